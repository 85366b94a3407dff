from __future__ import annotations

import json
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from dipr1.responses import PROBLEMS, SECTIONS, Response, parse_response

THINK = "<think>a street</think>"
LOOK = '<look>[{"bbox_2d": [0, 0, 9, 9], "why": "two overlap"}]</look>'
ANSWER = '<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]</answer>'
GOOD = f"{THINK}\n{LOOK}\n{ANSWER}"


def answering(content: str) -> str:
    return f"{THINK}{LOOK}<answer>{content}</answer>"


def test_empty_text():
    response = parse_response("")
    assert response.think is response.look is response.answer is None
    assert response.problems == ("no_tags", "answer_not_json")
    assert not response.well_formed


def test_a_well_formed_response():
    response = parse_response(GOOD)
    assert response.well_formed and response.problems == ()
    assert response.think == "a street"
    assert response.look.boxes.tolist() == [[0, 0, 9, 9]]
    assert response.look.whys == ("two overlap",)
    assert response.answer.boxes.tolist() == [[1, 2, 3, 4]]
    assert response.answer.boxes.dtype == np.float64
    assert response.answer.labels == ("person",)


def test_empty_lists_are_well_formed():
    response = parse_response(" <think>nobody</think>\n<look> [] </look>\n<answer>[]</answer>\n")
    assert response.well_formed
    assert response.look.boxes.shape == response.answer.boxes.shape == (0, 4)
    assert response.answer.labels == ()


def test_decimals_and_other_keys_are_well_formed():
    item = {"bbox_2d": [0.5, 1, 2.25, 1e1], "label": "person", "score": 0.5}
    response = parse_response(answering(json.dumps([item])))
    assert response.well_formed
    assert response.answer.boxes.tolist() == [[0.5, 1, 2.25, 10]]


@pytest.mark.parametrize(
    ("text", "in_form"),
    [
        ("<think>\n</think>\n<answer> [] </answer>", True),  # as a prompt may begin it
        ("<think> nobody </think>\n<answer> [] </answer>", False),
        ('<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]</answer>', True),
        ('<answer>[{"bbox_2d": [3, 2, 1, 4], "label": "person"}]</answer>', True),
        ("<answer>[]</answer> none", False),
        ("<answer>none</answer>", False),
        ("<look>[]</look><answer>[]</answer>", False),
        ("<think>a</think><look>[]</look><answer>[]</answer>", False),
        ("[]", False),
    ],
)
def test_the_form_of_an_answer_alone(text, in_form):
    response = parse_response(text, ["person"])
    assert response.in_form("answer") is in_form
    assert response.in_form("steps") is response.well_formed


def test_why_is_optional():
    response = parse_response(GOOD.replace(', "why": "two overlap"', ""))
    assert response.well_formed and response.look.whys == ("",)


def test_the_arrays_cannot_be_changed():
    # The same response is handed to every reward.
    with pytest.raises(ValueError, match="read-only"):
        parse_response(GOOD).answer.boxes[0, 0] = 7


@pytest.mark.parametrize(
    ("text", "problem", "lost"),
    [
        (LOOK + ANSWER, "think_missing", ["think"]),
        (THINK + ANSWER, "look_missing", ["look"]),
        (THINK + LOOK, "answer_missing", ["answer"]),
        (THINK + GOOD, "think_repeated", ["think"]),
        (GOOD + LOOK, "look_repeated", ["look"]),
        (GOOD + ANSWER, "answer_repeated", ["answer"]),
        (GOOD + "</answer>", "answer_repeated", ["answer"]),
        (GOOD.removesuffix("</answer>"), "answer_unclosed", []),
        (GOOD.replace("</think>", ""), "think_unclosed", []),
        (THINK + ANSWER + LOOK, "answer_out_of_order", []),
        (LOOK + THINK + ANSWER, "look_out_of_order", []),
        (f"<think>a street {LOOK}</think>{ANSWER}", "look_out_of_order", []),
        (GOOD.replace("a street", " \n"), "think_empty", []),
        ("Sure! " + GOOD, "outside_text", []),
        (THINK + "so" + LOOK + ANSWER, "outside_text", []),
        (GOOD + "<|vision_end|>", "outside_text", []),
        (GOOD.replace("<answer>", "<Answer>"), "answer_missing", ["answer"]),
    ],
)
def test_faults_of_the_tags(text, problem, lost):
    response = parse_response(text)
    assert problem in response.problems
    assert not response.well_formed
    assert [name for name in SECTIONS if getattr(response, name) is None] == lost
    if "answer" not in lost:
        assert response.answer.boxes.tolist() == [[1, 2, 3, 4]]


BOX = [[1.0, 2.0, 3.0, 4.0]]
NONE = [[math.nan] * 4]


@pytest.mark.parametrize(
    ("content", "problems", "boxes"),
    [
        ("", ["not_json"], None),
        ("nobody", ["not_json"], None),
        ("null", ["not_json"], None),
        ("7", ["not_json"], None),
        ('"[]"', ["not_json"], None),
        ('{"people": 0}', ["not_json"], None),
        ('[{"bbox_2d": [1, 2,', ["not_json"], None),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n```', ["code_fence"], BOX),
        ("```\n[]", ["code_fence"], []),
        ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}]", ["single_quotes"], BOX),
        ('[{"bbox_2d": [1, 2, 3, 4,], "label": "person",},]', ["trailing_comma"], BOX),
        (
            "[{'bbox_2d': [1, 2, 3, 4], 'label': 'person'},]",
            ["single_quotes", "trailing_comma"],
            BOX,
        ),
        (
            "<|object_ref_start|>person<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>",
            ["box_tokens"],
            BOX,
        ),
        ("<ref>person</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8.5]]</box>", ["box_tokens"],
         [*BOX, [5, 6, 7, 8.5]]),
        ("<ref>person</ref><box>(1,2)</box>", ["box_tokens", "bad_box"], NONE),
        (
            'Found: [{"bbox_2d": [1, 2, 3, 4], "label": "person"}].',
            ["broken_list"],
            BOX,
        ),
        (
            '[{"bbox_2d": [1, 2, 3, 4], "label": "person"}, {"bbox_2d": [5, 6',
            ["broken_list"],
            BOX,
        ),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "person"} {"x": 1,1}]', ["broken_list", "bad_box",
         "missing_label"], BOX + NONE),
        # without a number it is no item
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "person"} {"x": }]', ["broken_list"], BOX),
        ('{"bbox_2d": [1, 2, 3, 4], "label": "person"}', ["not_a_list"], BOX),
        ("[1, 2, 3, 4]", ["not_a_list", "bare_box", "missing_label"], BOX),
        ("[[1, 2, 3, 4]]", ["bare_box", "missing_label"], BOX),
        ('[{"bbox": [1, 2, 3, 4], "label": "person"}]', ["box_key"], BOX),
        ('[{"box_2d": [1, 2, 3, 4], "label": "person"}]', ["box_key"], BOX),
        ('[{"bbox_2d": [1, 2, 3, 4]}]', ["missing_label"], BOX),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": 3}]', ["missing_label"], BOX),
        ('[{"label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": null, "label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": [1, 2, 3], "label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": [1, 2, 3, 4, 5], "label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": [1, 2, 3, "4"], "label": "person"}]', ["text_numbers"], BOX),
        ('[{"bbox_2d": ["1", "2", "3", "4"], "label": "person"}]', ["text_numbers"], BOX),
        ('[{"bbox_2d": "1, 2, 3, 4", "label": "person"}]', ["text_numbers"], BOX),
        ('[{"bbox_2d": [1, 2, 3, "four"], "label": "person"}]', ["bad_box"], NONE),
        # logs of many models: what kept their answers from being read
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n```', ["code_fence"], BOX),
        ("[]\n[]", ["several_lists"], []),
        ('[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n[]', ["several_lists"], BOX),
        ("[1, 2, 3, 4]\n[5, 6, 7, 8]", ["several_lists", "bare_box", "missing_label"],
         [*BOX, [5, 6, 7, 8]]),
        ("[1, 2, 3, 4]\n[5, 6, 7, 8]\n[9, 10,", ["broken_list", "bare_box", "missing_label"],
         [*BOX, [5, 6, 7, 8]]),
        ("[[1, 2, 3, 4], [5, 6, 7, 8], [9, 10", ["broken_list", "bare_box", "missing_label"],
         [*BOX, [5, 6, 7, 8]]),
        ('[[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]]', ["nested_list"], BOX),
        ('[[{"bbox_2d": [1, 2, 3, 4], "label": "person"}, {"bbox_2d": [5, 6, 7, 8], '
         '"label": "person"}]]', ["nested_list"], [*BOX, [5, 6, 7, 8]]),
        ('[{"bbox_2d": (1, 2, 3, 4), "label": "person"}]', ["python_values"], BOX),
        ("[(1, 2, 3, 4), (5, 6, 7, 8)]", ["python_values", "bare_box", "missing_label"],
         [*BOX, [5, 6, 7, 8]]),
        ('［{"bbox_2d"：［１，２，３，４］，"label"："person"}］', ["full_width"], BOX),
        ("[{“bbox_2d”: [1, 2, 3, 4], “label”: “person”}]", ["full_width"], BOX),
        ('[{"bbox_2d": [1, 2, 3, 4] "label": "person"} {"bbox_2d": [5, 6, 7, 8], '
         '"label": "person"}]', ["missing_comma"], [*BOX, [5, 6, 7, 8]]),
        ('[{"bbox_2d": [1 2 3 4], "label": "person"}]', ["missing_comma"], BOX),
        ('[{bbox_2d: [1, 2, 3, 4], label: "person"}]', ["unquoted"], BOX),
        ("[{bbox_2d: [1, 2, 3, 4], label: person}]", ["unquoted"], BOX),
        ("[{'bbox_2d': [1, 2, 3, 4], 'label': 'person', 'id': None}]",
         ["single_quotes", "python_values"], BOX),
        ("[{'bbox_2d': [1, 2, 3, 4], 'why': 'a man's back', 'label': 'person'}]",
         ["single_quotes"], BOX),
        ('```json\n[{"bbox_2d": [9, 9, 10, 10], "label": "person"}]\n```\nNo:\n```json\n'
         '[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n```', ["code_fence", "several_fences"],
         BOX),
        ('```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n```\nNo:\n```json\n'
         '[{"bbox_2d": [9, 9,', ["code_fence", "several_fences"], BOX),
        # native answers with their tokens lost in decoding
        ("person(1,2),(3,4)", ["box_tokens"], BOX),
        ("person(1,2),(3,4)person(5,6),(7,8)", ["box_tokens"], [*BOX, [5, 6, 7, 8]]),
        ("person[[1, 2, 3, 4], [5, 6, 7, 8]]", ["box_tokens"], [*BOX, [5, 6, 7, 8]]),
        ("[no people]", ["not_json"], None),
        ("[{]}", ["not_json"], None),
        ("[1, 2, 3, 4", ["not_json"], None),
        ('[{"bbox_2d": [1, 2, 3, true], "label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": [[1, 2, 3, 4]], "label": "person"}]', ["bad_box"], NONE),
        ('[{"bbox_2d": "1234", "label": "person"}]', ["bad_box"], NONE),
        ("[1, null]", ["bad_box", "missing_label"], NONE * 2),
        ('[{"bbox_2d": [1, 2, 3, NaN], "label": "person"}]', ["non_finite_box"], NONE),
        ('[{"bbox_2d": [NaN, NaN, NaN, NaN], "label": "person"}]', ["non_finite_box"], NONE),
        ('[{"bbox_2d": [1, 2, -Infinity, 4], "label": "person"}]', ["non_finite_box"], NONE),
        ('[{"bbox_2d": [1, 2, 3, 1e999], "label": "person"}]', ["non_finite_box"], NONE),
        (
            '[{"bbox_2d": [1, 2, 3, 1%s], "label": "person"}]' % ("0" * 400),
            ["non_finite_box"],
            NONE,
        ),
        (
            '[{"bbox_2d": [1, 2, 3, %s], "label": "person"}]' % ("9" * 5000),
            ["non_finite_box"],
            NONE,
        ),
        ('[{"bbox_2d": [1, 2, 3, %s], "label"' % ("9" * 5000), ["not_json"], None),
    ],
)  # fmt: skip
def test_lists_that_are_not_as_asked(content, problems, boxes):
    response = parse_response(answering(content))
    expected = {f"answer_{problem}" for problem in problems}
    assert set(response.problems) == expected
    assert not response.well_formed
    if boxes is None:
        assert response.answer is None
    else:
        expected_boxes = np.reshape(np.array(boxes, dtype=float), (-1, 4))
        np.testing.assert_array_equal(response.answer.boxes, expected_boxes)
        wants_label = "missing_label" not in problems
        assert all(label == "person" for label in response.answer.labels) or not wants_label
    # The look section is read in the same way.
    look = parse_response(f"{THINK}<look>{content}</look>{ANSWER}")
    labels = {"answer_missing_label"}
    assert set(look.problems) == {p.replace("answer", "look") for p in expected - labels} - labels
    assert (look.look is None) == (boxes is None)


@pytest.mark.parametrize(
    "box", [[5, 0, 1, 9], [0, 9, 5, 1], [5, 9, 1, 1], [5, 5, 5, 9], [5, 5, 5, 5]]
)
def test_a_wrong_box_is_kept_and_the_form_is_right(box):
    response = parse_response(answering(json.dumps([{"bbox_2d": box, "label": "person"}])))
    assert response.problems == ("answer_degenerate_box",)
    assert response.well_formed
    assert response.answer.boxes.tolist() == [box]


@pytest.mark.parametrize("end", ["<|im_end|>", "</s>", "<|im_end|>\n<|endoftext|><|endoftext|>\n"])
def test_end_tokens_behind_a_response_are_no_part_of_it(end):
    assert parse_response(GOOD + end).well_formed


PLAIN = [
    GOOD,
    answering('[{"bbox_2d": [1, 2, 3, 4], "label": "a", "why": 7, "bbox": [5]}]'),
    answering('[{"bbox_2d": [1e3, -2.5, 12345678901234567890, 0.1], "label": "\\u00e9\\n"}]'),
    answering('[{"bbox_2d": [3, 2, 1, 4], "label": "inverted"}]'),
    answering('[{"bbox_2d": [1e308, 1e308, 1.7e308, 1.7e308], "label": "large"}]'),
    answering('[{"bbox_2d": [1, 2, 3, 4], "label": "\\ud800"}]'),
    answering('[{"bbox_2d": [1, 2, 3, 1e999], "label": "a"}]'),
    answering('[{"bbox_2d": [1, 2, 3, true], "label": "a"}]'),
    answering('[{"bbox_2d": [1, 2, 3, 4], "label": null}, {"bbox_2d": [1, 2, 3, 4]}]'),
    answering("[]"),
    '<think>x</think><look>[{"bbox_2d": [1, 2, 3, 4]}]</look><answer>[[1, 2, 3, 4]]</answer>',
]


def test_with_and_without_msgspec_a_list_is_read_alike():
    code = (
        "import json, sys; sys.modules['msgspec'] = None if sys.argv[1] else sys\n"
        "if not sys.argv[1]: del sys.modules['msgspec']\n"
        "from dipr1.responses import parse_response\n"
        "for text in json.load(sys.stdin):\n"
        "    r = parse_response(text)\n"
        "    look = r.look and (r.look.boxes.tolist(), r.look.whys)\n"
        "    answer = r.answer and (r.answer.boxes.tolist(), r.answer.labels)\n"
        "    print(ascii((r.problems, r.well_formed, look, answer)))\n"
        "print('msgspec' in sys.modules and bool(sys.modules['msgspec']))\n"
    )
    read = [
        subprocess.run(
            [sys.executable, "-c", code, without],
            input=json.dumps(PLAIN),
            capture_output=True,
            text=True,
            check=True,
        ).stdout.splitlines()
        for without in ("", "without")
    ]
    assert read[0].pop() == "True" and read[1].pop() == "False"
    assert read[0] == read[1] and len(read[0]) == len(PLAIN)


def test_labels_are_those_asked_for():
    assert parse_response(GOOD, ["person"]).well_formed
    assert parse_response(GOOD, ("car", "person")).well_formed
    other = parse_response(GOOD, ["car"])
    assert other.problems == ("answer_unknown_label",) and not other.well_formed
    assert other.answer.labels == ("person",)
    missing = parse_response(answering('[{"bbox_2d": [1, 2, 3, 4]}]'), ["person"])
    assert missing.problems == ("answer_missing_label",)


def test_a_label_holds_until_the_next_box_token():
    content = (
        "<|object_ref_start|>car<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>"
        "<|box_start|>(5,6),(7,8)<|box_end|>"
        "<|object_ref_start|>person<|object_ref_end|><|box_start|>(0,0),(1,1)<|box_end|>"
    )
    answer = parse_response(answering(content)).answer
    assert answer.boxes.tolist() == [[1, 2, 3, 4], [5, 6, 7, 8], [0, 0, 1, 1]]
    assert answer.labels == ("car", "car", "person")


def test_text_without_tags_is_an_answer():
    response = parse_response('Here: ```json\n[{"bbox_2d": [1, 2, 3, 4], "label": "person"}]\n```')
    assert response.problems == ("no_tags", "answer_code_fence")
    assert response.answer.boxes.tolist() == BOX
    assert response.look is response.think is None


def assert_consistent(response: Response) -> None:
    assert list(response.problems) == [name for name in PROBLEMS if name in response.problems]
    assert response.well_formed == all(p.endswith("degenerate_box") for p in response.problems)
    for section, texts in (("look", "whys"), ("answer", "labels")):
        value = getattr(response, section)
        if value is not None:
            boxes = value.boxes
            assert boxes.shape == (len(getattr(value, texts)), 4) and boxes.dtype == np.float64
            assert (np.isfinite(boxes).all(axis=1) | np.isnan(boxes).all(axis=1)).all()


@settings(max_examples=300, deadline=None)
@given(st.text())
@example("<answer>")
@example("</answer><answer>")
@example("<answer>[\x00]</answer>")
@example("<answer>[\ud800]</answer>")
def test_any_text_gives_a_result(text):
    assert_consistent(parse_response(text))
    assert_consistent(parse_response(answering(text), ["person"]))


PIECES = [
    *(f"<{slash}{name}>" for name in SECTIONS for slash in ("", "/")),
    *"{}[]\",'`: \n",
    *('"bbox_2d"', '"bbox"', '"label"', '"person"', "bbox_2d", "```json", "NaN", "-Infinity"),
    *("1", "-2.5", "1e400", "9" * 400, "[1, 2, 3, 4]", "null", "true", "<|box_start|>"),
    *("<|box_end|>", "<box>", "(1,2),(3,4)", '{"bbox_2d": [1, 2, 3, 4], "label": "person"}'),
]


@settings(max_examples=500, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=25).map("".join))
def test_any_pieces_of_responses_give_a_result(text):
    assert_consistent(parse_response(text))
    assert_consistent(parse_response(answering(text)))


@settings(max_examples=500, deadline=None)
@given(st.data())
def test_a_mutated_response_gives_a_result(data):
    text = GOOD
    for _ in range(data.draw(st.integers(1, 4))):
        start = data.draw(st.integers(0, len(text)))
        end = data.draw(st.integers(start, min(len(text), start + 12)))
        text = text[:start] + data.draw(st.sampled_from(["", *PIECES])) + text[end:]
    assert_consistent(parse_response(text, ["person"]))


def json_value():
    scalar = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3)
    key = st.sampled_from(["bbox_2d", "bbox", "label", "why", "x"])
    return st.recursive(
        scalar, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(key, inner, max_size=3)
    )


@settings(max_examples=300, deadline=None)
@given(json_value())
def test_any_json_gives_a_result(value):
    assert_consistent(parse_response(answering(json.dumps(value))))


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(*[st.floats(-1e6, 1e6) | st.integers(-(10**6), 10**6)] * 4).map(list), max_size=6
    )
)
def test_what_is_written_is_what_is_read(boxes):
    items = [{"bbox_2d": box, "label": "person"} for box in boxes]
    response = parse_response(answering(json.dumps(items)), ["person"])
    assert response.well_formed
    assert response.answer.boxes.tolist() == boxes
