"""Responses: what the policy writes, read without ever raising.

A well-formed response is::

    <think> what the scene is, what makes it hard </think>
    <look> [{"bbox_2d": [x1, y1, x2, y2], "why": "two people overlap"}, ...] </look>
    <answer> [{"bbox_2d": [x1, y1, x2, y2], "label": "person"}, ...] </answer>

Each tag once, in this order, nothing outside but white space; `think` not empty; both lists JSON
arrays (``[]`` is one); `why` optional text; `label` one of the prompt's labels. Coordinates are in
the model frame, integers or decimals; this module does not convert them.

A policy that is asked for boxes alone answers with the last section and nothing else: the form
`answer` (:meth:`Response.in_form`), where the other is `steps`.

Anything else is read as far as its meaning is plain, and every departure is named:

======================  ========  ==================================================================
problem                 sections  meaning
======================  ========  ==================================================================
no_tags                 (whole)   none of the six tags occurs; the whole text is read as the answer
outside_text            (whole)   text outside the sections
*_missing               all       the section's opening tag does not occur: the section is None
*_repeated              all       a tag of the section occurs more than once: the section is None
*_unclosed              all       no closing tag: the section ends at the next tag or with the text
*_out_of_order          lists     the section begins before an earlier one has ended
think_empty             think     nothing but white space
*_not_json              lists     no list can be made out: the section is None
*_code_fence            lists     the list is inside a code fence
*_several_fences        lists     more than one code fence: the last complete one is read
*_full_width            lists     full-width digits or punctuation
*_single_quotes         lists     strings in single quotes
*_trailing_comma        lists     a comma before a closing bracket
*_missing_comma         lists     two items without a comma between them
*_unquoted              lists     a key or text without quotes
*_python_values         lists     tuples, None, True or False
*_several_lists         lists     more than one list: their items are joined
*_nested_list           lists     the list is inside another one
*_box_tokens            lists     a family's box tokens, or what is left of them, in place of JSON
*_broken_list           lists     not JSON as a whole; its complete objects with a number are read
*_not_a_list            lists     one object in place of a list
*_bare_box              lists     four numbers in place of an object
*_text_numbers          lists     coordinates in quotes
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

import math
import re
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cache, lru_cache
from itertools import chain, islice
from typing import Any, Literal

import numpy as np

from dipr1 import almost_json

SECTIONS = ("think", "look", "answer")
Form = Literal["steps", "answer"]
_BEGUN = re.compile(r"<think>\s*\Z")
BOX_KEY = "bbox_2d"
OTHER_BOX_KEYS = ("box_2d", "bbox", "box")

_SECTION_PROBLEMS = ("missing", "repeated", "unclosed")
_LIST_PROBLEMS = (
    "not_json",
    "code_fence",
    "several_fences",
    *almost_json.NOTES,
    "nested_list",
    "box_tokens",
    "broken_list",
    "not_a_list",
    "bare_box",
    "text_numbers",
    "box_key",
    "bad_box",
    "non_finite_box",
    "degenerate_box",
)
PROBLEMS = (
    "no_tags",
    "outside_text",
    *(f"think_{problem}" for problem in (*_SECTION_PROBLEMS, "empty")),
    *(f"look_{problem}" for problem in (*_SECTION_PROBLEMS, "out_of_order", *_LIST_PROBLEMS)),
    *(f"answer_{problem}" for problem in (*_SECTION_PROBLEMS, "out_of_order", *_LIST_PROBLEMS)),
    "answer_missing_label",
    "answer_unknown_label",
)
"""Every name that can occur in `Response.problems`, in the order in which they are listed there."""

# A well-formed response may have these: the form is right, the box is wrong.
_PROBLEMS_OF_CONTENT = {"look_degenerate_box", "answer_degenerate_box"}
# The form `answer` has exactly one of these pairs besides: a prompt may begin to think by itself.
_PROBLEMS_OF_ANSWER_ALONE = ({"think_missing", "look_missing"}, {"think_empty", "look_missing"})


def begun_in(prompt: str) -> str:
    """The part of the response that a prompt ends in: `<think>`, where a template puts it there.

    Args:
        prompt: as the policy is given it, or its end.

    >>> begun_in("Find every person.<|im_end|>\\n<|im_start|>assistant\\n<think>\\n")
    '<think>\\n'
    """
    begun = _BEGUN.search(prompt)
    return begun.group() if begun else ""


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

    def in_form(self, form: Form) -> bool:
        """Whether the response has exactly the form that was asked for.

        >>> parse_response("<answer> [] </answer>").in_form("answer")
        True
        """
        if form == "steps":
            return self.well_formed
        return {*self.problems} - _PROBLEMS_OF_CONTENT in _PROBLEMS_OF_ANSWER_ALONE


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
    response = _parse_once(text)
    answer = response.answer
    if labels is None or answer is None or set(labels).union([None]).issuperset(answer.labels):
        return response
    return replace(
        response, problems=(*response.problems, "answer_unknown_label"), well_formed=False
    )


def box_labels(response: Response, num_boxes: int, asked: Sequence[str]) -> list[str | None]:
    """The label of each answered box; one that is not written is the one asked for, if only one.

    >>> box_labels(parse_response('<answer>[{"bbox_2d": [1, 2, 3, 4]}]</answer>'), 1, ["person"])
    ['person']
    """
    only = asked[0] if len(asked) == 1 else None
    if response.answer is None or len(response.answer.labels) != num_boxes:
        return [only] * num_boxes
    return [only if label is None else label for label in response.answer.labels]


def _parse_once(text: str) -> Response:
    """`_parse`, remembered: several rewards read the same completions one after another."""
    return _remembered(text) if len(text) <= _LONGEST_REMEMBERED else _parse(text)


# A thousand responses are remembered, so texts longer than any policy should write are not.
_LONGEST_REMEMBERED = 2**16


def _parse(text: str) -> Response:
    sections, problems = _split(_without_end_tokens(text))
    look = answer = None
    if (read := _plain_items(sections["look"], "look", problems)) is not None:
        look = Look(read[0], tuple([item.why for item in read[1]]))
    elif (items := _items(sections["look"], "look", problems)) is not None:
        look = Look(_boxes(items, "look", problems), _whys(items))
    if (read := _plain_items(sections["answer"], "answer", problems)) is not None:
        answer = Answer(read[0], tuple([item.label for item in read[1]]))
    elif (items := _items(sections["answer"], "answer", problems)) is not None:
        answer = Answer(_boxes(items, "answer", problems), _labels(items, problems))
    return Response(
        think=sections["think"],
        look=look,
        answer=answer,
        problems=tuple(sorted(problems, key=PROBLEMS.index)) if problems else (),
        well_formed=problems <= _PROBLEMS_OF_CONTENT,
    )


_remembered = lru_cache(maxsize=1024)(_parse)


# --- tags ---------------------------------------------------------------------------------------

_TAG = re.compile("(</?(?:think|look|answer)>)")
_ALL_TAGS = [f"<{slash}{name}>" for name in SECTIONS for slash in ("", "/")]


# Some trainers hand over the completion with the tokens that end it.
_END_TOKENS = ("<|im_end|>", "<|endoftext|>", "<|end|>", "<|eot_id|>", "</s>", "<eos>")


def _without_end_tokens(text: str) -> str:
    """The text without the end tokens behind it."""
    end = kept = len(text)
    while True:
        while end and text[end - 1].isspace():
            end -= 1
        if not text.endswith(_END_TOKENS, 0, end):
            return text[:kept]
        token = next(t for t in _END_TOKENS if text.endswith(t, 0, end))
        end = kept = end - len(token)


def _split(text: str) -> tuple[dict[str, str | None], set[str]]:
    """The text of each section and the problems with the tags."""
    parts = _TAG.split(text)  # every second one is a tag
    if len(parts) == 1:
        return {"think": None, "look": None, "answer": text}, {"no_tags"}
    names = parts[1::2]
    if names == _ALL_TAGS:
        return _sections_in_order(parts[::2])
    return _sections_out_of_form(text, list(_TAG.finditer(text)), names)


def _sections_in_order(parts: list[str]) -> tuple[dict[str, str | None], set[str]]:
    """`_split` where every tag occurs once and in order, from what stands around and between."""
    before, think, after_think, look, after_look, answer, behind = parts
    problems: set[str] = set()
    if not think or think.isspace():
        problems.add("think_empty")
    outside = before + after_think + after_look + behind
    if outside and not outside.isspace():
        problems.add("outside_text")
    return {"think": think, "look": look, "answer": answer}, problems


def _sections_out_of_form(
    text: str, tags: list[re.Match[str]], names: list[str]
) -> tuple[dict[str, str | None], set[str]]:
    """`_split` where a tag is missing, repeated or out of order."""
    problems: set[str] = set()
    counts = Counter(names)
    place = dict(zip(names, tags, strict=True))
    sections: dict[str, str | None] = {}
    spans: list[tuple[int, int]] = []
    for name in SECTIONS:
        opening, closing = f"<{name}>", f"</{name}>"
        sections[name] = None
        if counts[opening] > 1 or counts[closing] > 1:
            problems.add(f"{name}_repeated")
        elif counts[opening] == 0:
            problems.add(f"{name}_missing")
        else:
            begin, inside = place[opening].span()
            end = after = -1
            if counts[closing]:
                end, after = place[closing].span()
            if end < inside:
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


# --- lists as they should be ---------------------------------------------------------------------


@cache
def _plain_decoders() -> dict[str, Callable[[str], list]]:
    """What reads a plain list of each section; nothing where there is no msgspec.

    The rewards do without it: they are taken into environments of other trainers.
    """
    try:
        import msgspec
    except ImportError:
        return {}
    corners = ("bbox_2d", tuple[float, float, float, float])
    fields = {"look": [corners, ("why", str, "")], "answer": [corners, ("label", str)]}
    return {
        section: msgspec.json.Decoder(list[msgspec.defstruct(section, those, gc=False)]).decode
        for section, those in fields.items()
    }


def _plain_items(
    text: str | None, section: str, problems: set[str]
) -> tuple[np.ndarray, list] | None:
    """The boxes and the items of a list that leaves nothing to mend; None of any other.

    Most lists are such, and are read in a third of the time. msgspec takes nothing that `json` does
    not take, so that there is nothing here that could be read in two ways.
    """
    decode = _plain_decoders().get(section)
    if text is None or decode is None:
        return None
    try:
        items = decode(text)
    except (ValueError, RecursionError):
        return None
    numbers = list(chain.from_iterable([item.bbox_2d for item in items]))
    if not math.isfinite(sum(numbers)):
        return None
    return _read_only(np.array(numbers, np.float64).reshape(-1, 4), section, problems), items


# --- lists --------------------------------------------------------------------------------------


def _items(text: str | None, section: str, problems: set[str]) -> list | None:
    """The items of a list section, recovered if need be; None where there is no list."""
    if text is None:
        return None
    value = almost_json.json_value(text)
    notes: list[str] = []
    if value is None:
        value, notes = _recover(text)
    while type(value) is list and len(value) == 1 and type(value[0]) is list and value[0]:
        if type(value[0][0]) not in (dict, list):
            break
        value, notes = value[0], [*notes, "nested_list"]
    if _is_box(value) or (type(value) is dict and _box_of(value)[0] is not None):
        value, notes = [value], [*notes, "not_a_list"]
    if type(value) is not list:
        value, notes = None, ["not_json"]
    problems.update(f"{section}_{note}" for note in notes)
    return value


_FENCE = re.compile(r"```[a-zA-Z]*")
# An object without a number holds no box, whatever it was meant to be.
_OBJECT = re.compile(r"\{[^{}0-9]*[0-9][^{}]*\}")


def _recover(text: str) -> tuple[Any, list[str]]:
    """The value of a list that is not JSON, and notes on what had to be mended."""
    if "<|box_start|>" in text or "<box>" in text:
        return _box_token_items(text), ["box_tokens"]
    text, notes = almost_json.as_ascii(text)
    text, more = _inside_fence(text)
    notes += more
    mended, more = almost_json.mend(text)
    if mended is not None:
        return mended, notes + more
    objects = _OBJECT.findall(text)
    if objects:
        items, more = _mend_each(objects)
        return items, [*notes, *more, "broken_list"]
    # what is left of a single object that was cut off is no item, as with several
    items, more = _loose_items(text) if "{" not in text else ([], [])
    return items or None, notes + more


def _inside_fence(text: str) -> tuple[str, list[str]]:
    """What the last complete code fence holds, and the notes; all of it where there is none."""
    fences = [fence.span() for fence in _FENCE.finditer(text)]
    if not fences:
        return text, []
    if len(fences) == 1:
        begin, end = fences[0]
        inside = text[end:]
        # a fence that only closes what was never opened
        return (inside if "[" in inside or "{" in inside else text[:begin]), ["code_fence"]
    last = len(fences) // 2 * 2 - 2
    notes = ["code_fence", "several_fences"] if len(fences) > 2 else ["code_fence"]
    return text[fences[last][1] : fences[last + 1][0]], notes


# No policy writes more unreadable objects than this; a list that has more is not read to its end.
_MOST_UNREADABLE = 100


def _mend_each(chunks: list[str]) -> tuple[list, list[str]]:
    """The value of each chunk, None where it cannot be read, and the notes on all of them.

    As many as possible are read together: one by one is a hundred times slower.
    """
    items: list = []
    notes: list[str] = []
    num_unreadable, step = 0, 16
    while len(items) < len(chunks) and num_unreadable < _MOST_UNREADABLE:
        together = chunks[len(items) : len(items) + step]
        mended, more = almost_json.mend_quickly(f"[{','.join(together)}]")
        if type(mended) is list and len(mended) == len(together):
            items += mended
            notes += more
            step *= 2
        elif len(together) == 1:
            item, more = almost_json.mend(together[0])
            items.append(item)
            notes += more
            num_unreadable += item is None
        else:
            step = len(together) // 2
    return items + [None] * (len(chunks) - len(items)), notes


_REF_TOKENS = {"<ref>": "<|object_ref_start|>", "</ref>": "<|object_ref_end|>"}
_BOX_TOKENS = {"<box>": "<|box_start|>", "</box>": "<|box_end|>"}
_NUMBER = re.compile(r"[-+]?[0-9]+(?:\.[0-9]+)?")
_BETWEEN_NUMBERS = str.maketrans("[](),", "     ")
_MOST_NUMBERS = 4096  # are read where there is more than numbers: a thousand boxes


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
            numbers = _numbers(inside)
            items += [
                {BOX_KEY: numbers[start : start + 4], "label": label, "why": label}
                for start in range(0, max(len(numbers), 1), 4)
            ]
    return items


_FLOAT = r"[-+]?[0-9]+(?:\.[0-9]+)?"
_BETWEEN = r"\s{0,9},\s{0,9}"
_POINT = rf"\(\s{{0,9}}{_FLOAT}{_BETWEEN}{_FLOAT}\s{{0,9}}\)"
_LOOSE = re.compile(
    rf"(?P<points>{_POINT}{_BETWEEN}{_POINT})"
    rf"|(?P<row>[\[(]\s{{0,9}}{_FLOAT}(?:{_BETWEEN}{_FLOAT}){{3}}\s{{0,9}}[\])])"
    r"|(?P<label>[^\W\d_][\w '-]{0,63})"
)


def _loose_items(text: str) -> tuple[list, list[str]]:
    """Boxes in a text that is no list: rows, and a family's tokens with the tokens gone.

    These are ``person(1,2),(3,4)`` of Qwen2-VL and ``person[[1, 2, 3, 4]]`` of InternVL, where a
    label holds until the next one, and rows of four numbers whose list was cut off.
    """
    items: list = []
    label, label_end, tokens = None, -1, False
    for piece in _LOOSE.finditer(text):
        if piece.lastgroup == "label":
            label, label_end = piece.group().strip(), piece.end()
            continue
        numbers = [float(number) for number in _NUMBER.findall(piece.group())]
        named = label is not None and (
            items or not text[label_end : piece.start()].strip("[( \t\n:")
        )
        tokens = tokens or bool(named) or piece.lastgroup == "points"
        items.append({BOX_KEY: numbers, "label": label, "why": label} if named else numbers)
        if len(items) == _MOST_NUMBERS:
            break
    return items, ["box_tokens" if tokens else "broken_list"] if items else []


def _numbers(text: str) -> list[float]:
    """The numbers between two box tokens, whatever else is there."""
    try:
        return list(map(float, text.translate(_BETWEEN_NUMBERS).split()))
    except ValueError:
        numbers = islice(_NUMBER.finditer(text), _MOST_NUMBERS)
        return [float(number.group()) for number in numbers]


# --- items --------------------------------------------------------------------------------------

_NUMBER_TYPES = {int, float}


def _is_box(value: Any) -> bool:
    return type(value) is list and len(value) == 4 and _NUMBER_TYPES.issuperset(map(type, value))


def _box_of(item: dict) -> tuple[Any, bool]:
    """The value under an item's box key, and whether that key is not the one asked for."""
    if BOX_KEY in item:
        return item[BOX_KEY], False
    for key in OTHER_BOX_KEYS:
        if key in item:
            return item[key], True
    return None, False


def _boxes(items: list, section: str, problems: set[str]) -> np.ndarray:
    """(N, 4) float64: the box of each item, a row of NaN where it has none; read-only."""
    boxes = _uniform_boxes(items, section, problems)
    if boxes is None:
        boxes = _read_boxes(items, section, problems)
    return _read_only(boxes, section, problems)


def _read_only(boxes: np.ndarray, section: str, problems: set[str]) -> np.ndarray:
    """The boxes, looked at for an area."""
    # NaN counts as neither: a row without a box is not a degenerate box.
    # To count takes half as long as `any`.
    if np.count_nonzero(boxes[:, :2] >= boxes[:, 2:]):
        problems.add(f"{section}_degenerate_box")
    boxes.setflags(write=False)
    return boxes


def _uniform_boxes(items: list, section: str, problems: set[str]) -> np.ndarray | None:
    """(N, 4) float64 where all items hold their box in the same way, else None."""
    key, problem = BOX_KEY, None
    if items and type(items[0]) is dict and BOX_KEY not in items[0]:
        key = next((other for other in OTHER_BOX_KEYS if other in items[0]), BOX_KEY)
        problem = "box_key"
    try:
        if items and type(items[0]) is list:
            rows, problem = items, "bare_box"
        else:
            rows = [item[key] for item in items]
        if problem == "box_key" and any(BOX_KEY in item for item in items):
            return None
        if not ({4}.issuperset(map(len, rows)) and {list}.issuperset(map(type, rows))):
            return None
        if not _NUMBER_TYPES.issuperset(map(type, chain.from_iterable(rows))):
            return None
        boxes = np.array(rows, np.float64) if rows else np.empty((0, 4))
    except (TypeError, KeyError, IndexError, OverflowError):
        return None
    if not np.isfinite(boxes).all():
        return None
    if problem:
        problems.add(f"{section}_{problem}")
    return boxes


def _read_boxes(items: list, section: str, problems: set[str]) -> np.ndarray:
    """(N, 4) float64, whatever the items are."""
    rows, where = [], []
    for position in _containers(items):
        item = items[position]
        box, other_key = (item, False) if type(item) is list else _box_of(item)
        if box is not None and (numbers := _numbers_in_quotes(box)) is not None:
            box = numbers
            problems.add(f"{section}_text_numbers")
        if type(box) is list and len(box) == 4 and _NUMBER_TYPES.issuperset(map(type, box)):
            rows.append(box)
            where.append(position)
            if box is item:
                problems.add(f"{section}_bare_box")
            elif other_key:
                problems.add(f"{section}_box_key")
    boxes = np.full((len(items), 4), np.nan)
    if len(rows) < len(items):
        problems.add(f"{section}_bad_box")
    if rows:
        readable = _floats(rows)
        finite = np.isfinite(readable).all(axis=1)
        if not finite.all():
            problems.add(f"{section}_non_finite_box")
            readable[~finite] = np.nan
        boxes[where] = readable
    return boxes


_ONE_NUMBER = re.compile(rf"\s{{0,9}}({_FLOAT})\s{{0,9}}")


def _numbers_in_quotes(box: Any) -> list[float] | None:
    """``["1", "2", "3", "4"]`` and ``"1, 2, 3, 4"`` as numbers; None where it is neither."""
    parts = box.split(",", 4) if type(box) is str else box
    if type(parts) is not list or len(parts) != 4 or str not in set(map(type, parts)):
        return None
    numbers = []
    for part in parts:
        number = _ONE_NUMBER.fullmatch(part) if type(part) is str else None
        if number is None and type(part) not in _NUMBER_TYPES:
            return None
        numbers.append(float(number[1]) if number else part)
    return numbers


def _containers(items: list) -> list[int]:
    """Positions of the items that can hold anything: neither numbers and texts nor empty ones."""
    if {dict, list}.isdisjoint(map(type, items)):
        return []
    return [k for k, item in enumerate(items) if item and type(item) in (dict, list)]


def _floats(rows: list[list[float]]) -> np.ndarray:
    """(N, 4) float64; an integer too large for that is infinite."""
    try:
        return np.array(rows, np.float64)
    except OverflowError:
        return np.array([[_float(number) for number in row] for row in rows])


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:
        return float("inf")


def _whys(items: list) -> tuple[str, ...]:
    whys = [item.get("why") if type(item) is dict else None for item in items]
    if {str}.issuperset(map(type, whys)):
        return tuple(whys)
    return tuple([why if type(why) is str else "" for why in whys])


def _labels(items: list, problems: set[str]) -> tuple[str | None, ...]:
    if dict not in set(map(type, items)):
        labels: list = [None] * len(items)
    else:
        labels = [item.get("label") if item and type(item) is dict else None for item in items]
    kinds = set(map(type, labels))
    if kinds <= {str}:
        return tuple(labels)
    problems.add("answer_missing_label")
    if kinds <= {str, type(None)}:
        return tuple(labels)
    return tuple([label if type(label) is str else None for label in labels])
