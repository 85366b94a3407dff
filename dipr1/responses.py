"""Responses: what the policy writes, read without ever raising.

A well-formed response is::

    <think> what the scene is, what makes it hard </think>
    <look> [{"bbox_2d": [x1, y1, x2, y2], "why": "two people overlap"}, ...] </look>
    <answer> [{"bbox_2d": [x1, y1, x2, y2], "label": "person"}, ...] </answer>

Each tag once, in this order, nothing outside but white space; `think` not empty; both lists JSON
arrays (``[]`` is one); `why` optional text; `label` one of the prompt's labels. Coordinates are in
the model frame, integers or decimals; this module does not convert them.

Anything else is read as far as its meaning is plain, and every departure is named:

======================  ========  ==================================================================
problem                 sections  meaning
======================  ========  ==================================================================
no_tags                 (whole)   none of the six tags occurs; the whole text is read as the answer
outside_text            (whole)   text outside the sections
*_missing               all       the section's opening tag does not occur: the section is None
*_repeated              all       a tag of the section occurs more than once: the section is None
*_unclosed              all       no closing tag: the section ends at the next tag or with the text
*_out_of_order          all       the section begins before an earlier one has ended
think_empty             think     nothing but white space
*_not_json              lists     no list can be made out: the section is None
*_code_fence            lists     the list is inside a code fence
*_single_quotes         lists     strings in single quotes
*_trailing_comma        lists     a comma before a closing bracket
*_box_tokens            lists     special box tokens in place of JSON
*_broken_list           lists     not JSON as a whole; the complete objects in it are read
*_not_a_list            lists     one object in place of a list
*_bare_box              lists     four numbers in place of an object
*_box_key               lists     the box is under ``box_2d``, ``bbox`` or ``box``
*_bad_box               lists     an item without a box of four numbers: a row of NaN
*_non_finite_box        lists     a coordinate that is not finite: a row of NaN
*_degenerate_box        lists     a box without width or height, or inverted: kept as it is
answer_missing_label    answer    an item without a label: its label is None
answer_unknown_label    answer    a label that was not asked for
======================  ========  ==================================================================

``*`` is the section. ``*_degenerate_box`` is the one problem of a well-formed response: such a box
has the right form, it is only wrong. A bad box stays in the answer as a row that matches nothing,
so that it counts as a false detection.
"""

from __future__ import annotations

import json
import re
from collections.abc import Collection
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import chain
from typing import Any

import numpy as np

SECTIONS = ("think", "look", "answer")
BOX_KEY = "bbox_2d"
OTHER_BOX_KEYS = ("box_2d", "bbox", "box")

_SECTION_PROBLEMS = ("missing", "repeated", "unclosed", "out_of_order")
_LIST_PROBLEMS = (
    "not_json",
    "code_fence",
    "single_quotes",
    "trailing_comma",
    "box_tokens",
    "broken_list",
    "not_a_list",
    "bare_box",
    "box_key",
    "bad_box",
    "non_finite_box",
    "degenerate_box",
)
PROBLEMS = (
    "no_tags",
    "outside_text",
    *(f"think_{problem}" for problem in (*_SECTION_PROBLEMS, "empty")),
    *(f"look_{problem}" for problem in (*_SECTION_PROBLEMS, *_LIST_PROBLEMS)),
    *(f"answer_{problem}" for problem in (*_SECTION_PROBLEMS, *_LIST_PROBLEMS)),
    "answer_missing_label",
    "answer_unknown_label",
)
"""Every name that can occur in `Response.problems`, in the order in which they are listed there."""

# A well-formed response may have these: the form is right, the box is wrong.
_PROBLEMS_OF_CONTENT = {"look_degenerate_box", "answer_degenerate_box"}


@dataclass(frozen=True, slots=True, eq=False)
class Look:
    """The regions a response looks at.

    Attributes:
        boxes: (N, 4) float64 xyxy in the frame of the text; read-only. A row of NaN is an item
            whose box cannot be read.
        whys: the reason given for each, "" where none is.
    """

    boxes: np.ndarray
    whys: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """The detections a response ends with.

    Attributes:
        boxes: (N, 4) float64 xyxy in the frame of the text; read-only. A row of NaN is an item
            whose box cannot be read.
        labels: the label of each, None where none is given.
    """

    boxes: np.ndarray
    labels: tuple[str | None, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Response:
    """A response, read.

    Attributes:
        think: text of the think section; None where it is missing or repeated.
        look: None where the section is missing, repeated or no list can be made out.
        answer: as `look`.
        problems: names from `PROBLEMS`, each once, in the order of `PROBLEMS`.
        well_formed: the response has exactly the form above.
    """

    think: str | None
    look: Look | None
    answer: Answer | None
    problems: tuple[str, ...]
    well_formed: bool


def parse_response(text: str, labels: Collection[str] | None = None) -> Response:
    """Read a response; any string gives a result, in time linear in its length.

    Args:
        text: the completion, without special tokens.
        labels: the labels that the prompt asks for; None leaves them unchecked.

    >>> response = parse_response(
    ...     '<think>two people</think><look>[]</look>'
    ...     '<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]</answer>'
    ... )
    >>> response.well_formed, response.answer.boxes.tolist(), response.answer.labels
    (True, [[1.0, 2.0, 3.0, 4.0]], ('person',))
    >>> parse_response('```json\\n[{"bbox_2d": [1, 2, 3, 4]}]\\n```').problems
    ('no_tags', 'answer_code_fence', 'answer_missing_label')
    """
    response = _parse(text)
    answer = response.answer
    if labels is None or answer is None or set(labels).union([None]).issuperset(answer.labels):
        return response
    return replace(
        response, problems=(*response.problems, "answer_unknown_label"), well_formed=False
    )


# Several rewards read the same completions one after another.
@lru_cache(maxsize=1024)
def _parse(text: str) -> Response:
    sections, problems = _split(text)
    look_items = _items(sections["look"], "look", problems)
    answer_items = _items(sections["answer"], "answer", problems)
    look = answer = None
    if look_items is not None:
        look = Look(_boxes(look_items, "look", problems), _whys(look_items))
    if answer_items is not None:
        answer = Answer(_boxes(answer_items, "answer", problems), _labels(answer_items, problems))
    return Response(
        think=sections["think"],
        look=look,
        answer=answer,
        problems=tuple(sorted(problems, key=PROBLEMS.index)),
        well_formed=problems <= _PROBLEMS_OF_CONTENT,
    )


# --- tags ---------------------------------------------------------------------------------------


def _split(text: str) -> tuple[dict[str, str | None], set[str]]:
    """The text of each section and the problems with the tags."""
    problems: set[str] = set()
    counts = {name: (text.count(f"<{name}>"), text.count(f"</{name}>")) for name in SECTIONS}
    if not any(chain.from_iterable(counts.values())):
        return {"think": None, "look": None, "answer": text}, {"no_tags"}
    sections: dict[str, str | None] = {}
    spans = []
    for name in SECTIONS:
        opened, closed = counts[name]
        sections[name] = None
        if opened > 1 or closed > 1:
            problems.add(f"{name}_repeated")
        elif opened == 0:
            problems.add(f"{name}_missing")
        else:
            begin = text.index(f"<{name}>")
            inside = begin + len(name) + 2
            end = text.find(f"</{name}>", inside)
            after = end + len(name) + 3
            if end < 0:
                problems.add(f"{name}_unclosed")
                end = after = _next_tag(text, inside)
            if any(begin < earlier for _, earlier in spans):
                problems.add(f"{name}_out_of_order")
            sections[name] = text[inside:end]
            spans.append((begin, after))
    if sections["think"] is not None and not sections["think"].strip():
        problems.add("think_empty")
    if _text_outside(text, sorted(spans)):
        problems.add("outside_text")
    return sections, problems


_TAG = re.compile("</?(?:think|look|answer)>")


def _next_tag(text: str, start: int) -> int:
    """Where the next tag begins, or the end of the text."""
    tag = _TAG.search(text, start)
    return tag.start() if tag else len(text)


def _text_outside(text: str, spans: list[tuple[int, int]]) -> bool:
    """Whether anything but white space lies outside the `spans`, which are sorted."""
    covered = 0
    for begin, end in spans:
        if text[covered:begin].strip():
            return True
        covered = max(covered, end)
    return bool(text[covered:].strip())


# --- lists --------------------------------------------------------------------------------------


def _items(text: str | None, section: str, problems: set[str]) -> list | None:
    """The items of a list section, recovered if need be; None where there is no list."""
    if text is None:
        return None
    value = _json(text)
    if type(value) is list and not _is_box(value):
        return value
    found, notes = _recover(text) if value is None else (value, [])
    if _is_box(found) or (type(found) is dict and _box_of(found)[0] is not None):
        found, notes = [found], [*notes, "not_a_list"]
    if type(found) is not list:
        found, notes = None, ["not_json"]
    problems.update(f"{section}_{note}" for note in notes)
    return found


def _json(text: str) -> Any:
    """The value of a JSON text, None where it is not JSON."""
    for parse_int in (None, float):
        try:
            return json.loads(text, parse_int=parse_int)
        except (json.JSONDecodeError, RecursionError):
            return None
        except ValueError:
            # Python refuses to read integers of thousands of digits; as floats they are infinite.
            continue
    return None


_FENCE = re.compile(r"```[a-zA-Z]*")
_TRAILING_COMMA = re.compile(r",(\s*[\]}])")
_OBJECT = re.compile(r"\{[^{}]*\}")


def _recover(text: str) -> tuple[Any, list[str]]:
    """Read a list that is not JSON; also the notes on what had to be mended."""
    if "<|box_start|>" in text or "<box>" in text:
        return _box_token_items(text), ["box_tokens"]
    notes = []
    fences = [fence.span() for fence in _FENCE.finditer(text)]
    if fences:
        notes.append("code_fence")
        text = text[fences[0][1] : fences[1][0] if len(fences) > 1 else len(text)]
    mended, more = _mend(text)
    if mended is not None:
        return mended, notes + more
    objects = [_mend(chunk) for chunk in _OBJECT.findall(text)]
    if not objects:
        return None, notes
    notes += [*chain.from_iterable(more for _, more in objects), "broken_list"]
    return [item for item, _ in objects], notes


def _mend(text: str) -> tuple[Any, list[str]]:
    """The value of an almost-JSON text, and the notes on what kept it from being JSON."""
    value, notes = _json(text), []
    for note, repair in (
        ("trailing_comma", lambda t: _TRAILING_COMMA.sub(r"\1", t)),
        ("single_quotes", lambda t: t.replace("'", '"')),
    ):
        if value is not None:
            break
        repaired = repair(text)
        if repaired != text:
            text = repaired
            notes.append(note)
            value = _json(text)
    return value, notes if value is not None else []


_REF_TOKENS = {"<ref>": "<|object_ref_start|>", "</ref>": "<|object_ref_end|>"}
_BOX_TOKENS = {"<box>": "<|box_start|>", "</box>": "<|box_end|>"}
_NUMBER = re.compile(r"[-+]?\d+(?:\.\d+)?")


def _box_token_items(text: str) -> list[dict]:
    """Items of ``<|object_ref_start|>person<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>``.

    The shorter tokens ``<ref>``, ``<box>`` of other models are read too. A label holds until the
    next one, and between two box tokens there may be several boxes.
    """
    for short, token in {**_REF_TOKENS, **_BOX_TOKENS}.items():
        text = text.replace(short, token)
    items, label = [], None
    for piece in text.split("<|box_end|>"):
        before, opened, inside = piece.partition("<|box_start|>")
        _, named, reference = before.rpartition("<|object_ref_start|>")
        if named:
            label = reference.partition("<|object_ref_end|>")[0].strip()
        if opened:
            numbers = [float(number) for number in _NUMBER.findall(inside)]
            for start in range(0, max(len(numbers), 1), 4):
                items.append({BOX_KEY: numbers[start : start + 4], "label": label, "why": label})
    return items


# --- items --------------------------------------------------------------------------------------

_NUMBER_TYPES = {int, float}


def _is_box(value: Any) -> bool:
    return type(value) is list and len(value) == 4 and _NUMBER_TYPES.issuperset(map(type, value))


def _box_of(item: dict) -> tuple[Any, bool]:
    """The value under an item's box key, and whether the key is another one than ours."""
    if BOX_KEY in item:
        return item[BOX_KEY], False
    for key in OTHER_BOX_KEYS:
        if key in item:
            return item[key], True
    return None, False


def _boxes(items: list, section: str, problems: set[str]) -> np.ndarray:
    """(N, 4) float64: the box of each item, a row of NaN where it has none; read-only."""
    boxes = _plain_boxes(items)
    if boxes is None:
        rows = [_row(item, section, problems) for item in items]
        boxes = np.array(rows, dtype=np.float64).reshape(-1, 4)
    # NaN counts as neither: a row without a box is not a degenerate box.
    if (boxes[:, :2] >= boxes[:, 2:]).any():
        problems.add(f"{section}_degenerate_box")
    boxes.flags.writeable = False
    return boxes


def _plain_boxes(items: list) -> np.ndarray | None:
    """(N, 4) float64 where every item is well formed, else None."""
    try:
        rows = [item[BOX_KEY] for item in items]
        if not ({4}.issuperset(map(len, rows)) and {list}.issuperset(map(type, rows))):
            return None
        if not _NUMBER_TYPES.issuperset(map(type, chain.from_iterable(rows))):
            return None
        boxes = np.fromiter(chain.from_iterable(rows), np.float64, 4 * len(rows)).reshape(-1, 4)
    except (TypeError, KeyError, IndexError, OverflowError):
        return None
    return boxes if np.isfinite(boxes).all() else None


_NO_BOX = [float("nan")] * 4


def _row(item: Any, section: str, problems: set[str]) -> list:
    """The box of one item, whatever the item is."""
    box, other_key = (item, False) if type(item) is list else (None, False)
    if type(item) is dict:
        box, other_key = _box_of(item)
    if not _is_box(box):
        problems.add(f"{section}_bad_box")
        return _NO_BOX
    if box is item:
        problems.add(f"{section}_bare_box")
    elif other_key:
        problems.add(f"{section}_box_key")
    if not all(abs(_float(number)) < float("inf") for number in box):
        problems.add(f"{section}_non_finite_box")
        return _NO_BOX
    return [float(number) for number in box]


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _whys(items: list) -> tuple[str, ...]:
    whys = (item.get("why") if type(item) is dict else None for item in items)
    return tuple(why if type(why) is str else "" for why in whys)


def _labels(items: list, problems: set[str]) -> tuple[str | None, ...]:
    found = [item.get("label") if type(item) is dict else None for item in items]
    if {str}.issuperset(map(type, found)):
        return tuple(found)
    problems.add("answer_missing_label")
    return tuple(label if type(label) is str else None for label in found)
