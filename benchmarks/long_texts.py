"""Texts of any length that could make a reader slow, for `parsing.py` and the tests."""

from __future__ import annotations

import json
from collections.abc import Callable

THINK = "<think>a street</think>"
LOOK = '<look>[{"bbox_2d": [0, 0, 9, 9], "why": "two overlap"}]</look>'
ITEM = '{"bbox_2d": [1, 2, 3, 4], "label": "person"}'


def repeated(unit: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda length: before + unit * (length // len(unit)) + after


def distinct_boxes(length: int) -> str:
    """A well-formed list of boxes of which no two are equal, 100 characters for two."""
    boxes = ([k % 89, k % 83, k % 89 + 9.5 + k / 1e5, k % 83 + 9] for k in range(length // 58))
    return json.dumps([{"bbox_2d": box, "label": "person"} for box in boxes])


LONG: dict[str, Callable[[int], str]] = {
    "boxes": distinct_boxes,
    "one box again and again": repeated(f"{ITEM}, ", "[", f"{ITEM}]"),
    "boxes, cut off": repeated(f"{ITEM}, ", "["),
    "boxes in Python": repeated("{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}, ", "[", "]"),
    "boxes in Python, cut off": repeated("{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}, ", "["),
    "trailing commas, cut off": repeated('{"bbox_2d": [1, 2, 3, 4,], "label": "person",}, ', "["),
    "fenced boxes, cut off": repeated(f"{ITEM}, ", "```json\n["),
    "objects without commas": repeated(f"{ITEM} ", "["),
    "bare boxes": repeated("[1, 2, 3, 4], ", "[", "[1, 2, 3, 4]]"),
    "bare boxes, cut off": repeated("[1, 2, 3, 4], ", "["),
    "another key": repeated('{"bbox": [1, 2, 3, 4]}, ', "[", "{}]"),
    "Qwen2-VL box tokens": repeated(
        "<|object_ref_start|>person<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>"
    ),
    "InternVL box tokens": repeated("[11, 12, 13, 14], ", "<ref>person</ref><box>[", "]</box>"),
    "empty lists": repeated("[], ", "[", "[]]"),
    "empty objects": repeated("{}, ", "[", "{}]"),
    "empty objects, cut off": repeated("{}", "[,"),
    "objects that hold a comma": repeated("{,}", "["),
    "objects that hold a word": repeated("{'a',}", "["),
    "objects that hold a key": repeated("{'a':}", "["),
    "numbers": repeated("1,", "[", "1]"),
    "long decimals in a box token": repeated("1.8014398509481985,", "<box>"),
    "brackets": repeated("["),
    "closing brackets": repeated("]"),
    "nested objects": repeated('{"bbox_2d":'),
    "nested lists in a box": repeated("[", '[{"bbox_2d": '),
    "braces": repeated("{"),
    "closing braces": repeated("}"),
    "commas": repeated(", "),
    "commas before brackets": repeated(",]"),
    "a comma, then white space": repeated(" ", "[,"),
    "white space": repeated(" "),
    "line breaks": repeated("\n", "[", "x"),
    "commas and white space": repeated(",  \n", "["),
    "digits": repeated("9", "[", "]"),
    "digits in a box": repeated("9", '[{"bbox_2d": [1, 2, 3, ', "]}]"),
    "digits in a box token": repeated("9", "<box>"),
    "decimal places": repeated("3", '[{"bbox_2d": [1, 2, 3, 0.', "]}]"),
    "an exponent": repeated("9", "[1e", "]"),
    "signs": repeated("-", "<box>"),
    "points": repeated("1.", "<box>"),
    "numbers of two points": repeated("1.1", "<box>"),
    "numbers of 4,000 digits": repeated("9" * 4000 + ",", "[", "1]"),
    "quotes": repeated('"', "["),
    "strings without end": repeated('"a', "["),
    "single quotes": repeated("'", "["),
    "both quotes": repeated("'\""),
    "one long string": repeated("a", '["'),
    "backslashes": repeated("\\", '["'),
    "escapes": repeated("\\u0041", '["', '"]'),
    "broken escapes": repeated("\\u00", '["'),
    "fences": repeated("```"),
    "fences with a language": repeated("```json\n"),
    "one fence with a long language": repeated("a", "```"),
    "opening tags": repeated("<answer>"),
    "closing tags": repeated("</answer>"),
    "pairs of tags": repeated("<look></look>"),
    "halves of tags": repeated("</answer"),
    "smaller-than signs": repeated("<"),
    "box tokens": repeated("<|box_start|>"),
    "closing box tokens": repeated("<|box_end|>"),
    "references": repeated("<ref>", after="<box>"),
    "closing references": repeated("</ref>", after="<box>"),
    "letters": repeated("a"),
    "letters of three bytes": repeated("人", "["),
    "emoji": repeated("😀", '["', '"]'),
    "surrogates": repeated("\ud800", "["),
    "NUL": repeated("\x00", "["),
}
WRAPPERS = {
    "answer": f"{THINK}{LOOK}<answer>%s</answer>",
    "look": f"{THINK}<look>%s</look><answer>[{ITEM}]</answer>",
    "unclosed": f"{THINK}{LOOK}<answer>%s",
    "bare": "%s",
}
