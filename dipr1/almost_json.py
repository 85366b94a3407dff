"""Lists that are nearly JSON, as models write them: read where their meaning is plain.

:mod:`dipr1.responses` comes here with what `json.loads` refuses. What had to be mended is named by
notes, which become problems of the response. All of it takes time linear in the length of the text.
"""

from __future__ import annotations

import json
import re
from typing import Any

NOTES = (
    "full_width",
    "single_quotes",
    "trailing_comma",
    "missing_comma",
    "unquoted",
    "python_values",
    "several_lists",
)
"""What :func:`mend` may say of a text."""

# Reading token by token is slow, and no list that a policy means is as long as this.
_LONGEST_BY_TOKEN = 2**14


# `json.loads` would make one for each text, which takes as long as the reading of a few boxes.
_DECODERS = {
    strict: [json.JSONDecoder(parse_int=kind, strict=strict) for kind in (None, float)]
    for strict in (True, False)
}


def json_value(text: str, *, strict: bool = True) -> Any:
    """The value of a JSON text, None where it is not JSON; `strict` as in `json.loads`."""
    if text.startswith("\ufeff"):
        return None
    for decoder in _DECODERS[strict]:
        try:
            return decoder.decode(text)
        except (json.JSONDecodeError, RecursionError):
            return None
        except ValueError:
            # Python refuses to read integers of thousands of digits; as floats they are infinite.
            continue
    return None


_TRAILING_COMMA = re.compile(r",(?=\s*[\]}])")


def mend(text: str) -> tuple[Any, list[str]]:
    """The value of an almost-JSON text, and the notes on what kept it from being JSON.

    Returns:
        (None, []) where it cannot be read.

    >>> mend("[{bbox_2d: (1, 2, 3, 4), 'label': None}]")
    ([{'bbox_2d': [1, 2, 3, 4], 'label': None}], ['single_quotes', 'unquoted', 'python_values'])
    """
    value, notes = mend_quickly(text)
    return (value, notes) if value is not None else _mend_by_token(text)


def mend_quickly(text: str) -> tuple[Any, list[str]]:
    """`mend` for the two commonest faults, a hundred times as fast."""
    value, notes = json_value(text), []
    for note, repair in (
        ("trailing_comma", lambda t: _TRAILING_COMMA.sub("", t)),
        ("single_quotes", lambda t: t.replace("'", '"')),
    ):
        if value is not None:
            break
        repaired = repair(text)
        if repaired != text:
            text = repaired
            notes.append(note)
            value = json_value(text)
    return value, notes if value is not None else []


# Full-width forms, and the punctuation of Chinese and of typesetters.
_FULL_WIDTH = {0xFF01 + k: 0x21 + k for k in range(94)}
_FULL_WIDTH |= str.maketrans("、，。：；【】〔〕「」“”„‘’\u3000", ',,.:;[][]"""""\'\' ')
_ANY_FULL_WIDTH = re.compile("[" + re.escape("".join(map(chr, _FULL_WIDTH))) + "]")


def as_ascii(text: str) -> tuple[str, list[str]]:
    """The text with full-width digits and punctuation in their usual form, and the note on it."""
    if _ANY_FULL_WIDTH.search(text) is None:
        return text, []
    return text.translate(_FULL_WIDTH), ["full_width"]


_TOKEN = re.compile(
    r"""(?P<space>\s+)
    |(?P<number>[-+]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][-+]?[0-9]+)?(?![\w.])|-?Infinity\b|NaN\b)
    |(?P<word>[^\W\d][\w-]*)
    |(?P<open>[\[({])
    |(?P<close>[\])}])
    |(?P<comma>,)
    |(?P<colon>[:=])
    |(?P<quote>["'])""",
    re.VERBOSE,
)
_BRACKETS = {"(": "[", ")": "]"}
_OPENING = {"]": "[", "}": "{"}
_CONSTANTS = {"None": "null", "True": "true", "False": "false"}
_IN_DOUBLE_QUOTES = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
# An apostrophe inside single quotes is one that nothing follows which could follow a string.
_END_OF_SINGLE = re.compile(r"'(?=\s*[,:}\])])|'\Z")


class _Unreadable(Exception):
    """Not a list that is nearly JSON."""


def _mend_by_token(text: str) -> tuple[Any, list[str]]:
    if len(text) > _LONGEST_BY_TOKEN:
        return None, []
    try:
        written, notes = _Rewriter(text).rewritten()
    except _Unreadable:
        return None, []
    values = json_value(f"[{written}]", strict=False)
    if not values:
        return None, []
    if len(values) > 1:
        notes.add("several_lists")
        # lists of items are joined; an item or a row of numbers is one item
        values = [
            [item for value in values for item in (value if _holds_items(value) else [value])]
        ]
    return values[0], [note for note in NOTES if note in notes]


def _holds_items(value: Any) -> bool:
    return type(value) is list and all(type(item) in (dict, list) for item in value)


class _Rewriter:
    """Writes an almost-JSON text again as the JSON it stands for, token by token."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.out: list[str] = []
        self.open: list[str] = []  # brackets not yet closed
        self.last = ""  # kind of the last token: "value", "comma", "colon" or "open"
        self.notes: set[str] = set()

    def rewritten(self) -> tuple[str, set[str]]:
        """The JSON of all values of the text, between commas, and the notes."""
        position = 0
        while position < len(self.text):
            token = _TOKEN.match(self.text, position)
            if token is None:
                raise _Unreadable
            position = token.end()
            if token.lastgroup != "space":
                position = getattr(self, f"_{token.lastgroup}")(token) or position
        if self.open:
            raise _Unreadable
        if self.last == "comma":
            self.out.pop()
        return "".join(self.out), self.notes

    def _value(self, written: str, kind: str = "value") -> None:
        """Write the beginning of a value, after a comma where one is missing."""
        if not self.open and kind != "open":
            raise _Unreadable  # prose around a list, or no list at all
        if self.last == "value":
            self.out.append(",")
            if self.open:
                self.notes.add("missing_comma")
        self.out.append(written)
        self.last = kind

    def _number(self, token: re.Match[str]) -> None:
        sign, digits = re.match(r"([-+]?)(.*)", token.group()).groups()
        whole, point, fraction = digits.partition(".")
        if whole.isdigit() or point:  # JSON knows neither +1 nor 007, .5 or 5.
            digits = (whole.lstrip("0") or "0") + (point + fraction if fraction else "")
        self._value(sign.strip("+") + digits)

    def _word(self, token: re.Match[str]) -> None:
        word = token.group()
        if word in _CONSTANTS or word in _CONSTANTS.values():
            self._value(_CONSTANTS.get(word, word))
            if word in _CONSTANTS:
                self.notes.add("python_values")
        elif self.open and self.open[-1] == "{":
            self._value(json.dumps(word))
            self.notes.add("unquoted")
        else:
            raise _Unreadable

    def _open(self, token: re.Match[str]) -> None:
        bracket = _BRACKETS.get(token.group(), token.group())
        if bracket != token.group():
            self.notes.add("python_values")
        self._value(bracket, "open")
        self.open.append(bracket)

    def _close(self, token: re.Match[str]) -> None:
        bracket = _BRACKETS.get(token.group(), token.group())
        if not self.open or self.open.pop() != _OPENING[bracket]:
            raise _Unreadable
        if self.last == "comma":
            self.out.pop()
            self.notes.add("trailing_comma")
        self.out.append(bracket)
        self.last = "value"

    def _comma(self, token: re.Match[str]) -> None:
        if self.last != "value":
            raise _Unreadable
        self.out.append(",")
        self.last = "comma"

    def _colon(self, token: re.Match[str]) -> None:
        self.out.append(":")
        self.last = "colon"

    def _quote(self, token: re.Match[str]) -> int:
        """Write a string; returns where it ends."""
        start = token.start()
        if token.group() == '"':
            string = _IN_DOUBLE_QUOTES.match(self.text, start)
            if string is None:
                raise _Unreadable
            self._value(string.group())
            return string.end()
        end = _END_OF_SINGLE.search(self.text, start + 1)
        if end is None:
            raise _Unreadable
        self._value(json.dumps(self.text[start + 1 : end.start()].replace("\\'", "'")))
        self.notes.add("single_quotes")
        return end.end()
