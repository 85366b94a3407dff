"""What the rewards share: a completion's text, its columns, the means that are logged."""

from __future__ import annotations

import numpy as np
import polars as pl
import pytest

from dipr1.rewards import LookingReward, accuracy_reward, looking_reward, reasoning_reward
from dipr1.rewards.completions import completion_text
from tests.unit.rewards.responding import PEOPLE, SCENE, TEXTS, respond

REWARDS = (reasoning_reward, looking_reward, LookingReward(source="group"), accuracy_reward)


@pytest.mark.parametrize(
    "completion",
    [
        "hello",
        [{"role": "assistant", "content": "hello"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}],
        [{"role": "assistant", "content": [{"type": "text", "text": t} for t in ("hel", "lo")]}],
    ],
)
def test_text_of_a_completion(completion):
    assert completion_text(completion) == "hello"


@pytest.mark.parametrize("completion", ["", [], [{"role": "assistant", "content": None}]])
def test_text_of_an_empty_completion(completion):
    assert completion_text(completion) == ""


def values(columns: dict, texts=TEXTS) -> list:
    return [reward(texts, **columns) for reward in REWARDS]


def lists(num: int) -> dict[str, list]:
    return {name: [value] * num for name, value in SCENE.items()} | {"image_id": ["a"] * num}


def arrays(value):
    """Nested lists as arrays of arrays, which data frames hold."""
    if not isinstance(value, list):
        return value
    array = np.empty(len(value), dtype=object)
    array[:] = [arrays(item) for item in value]
    return array


FORMS = {
    "arrays of arrays": arrays,
    "one array each": lambda column: [np.array(value) for value in column],
    "tuples": lambda column: tuple(
        tuple(map(tuple, v)) if isinstance(v, list) and isinstance(v[0], list) else v
        for v in column
    ),
    "polars": lambda column: pl.Series(column),
    "pandas": lambda column: pytest.importorskip("pandas").Series(
        [arrays(value) for value in column], index=range(5, 5 + len(column))
    ),
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
def test_columns_may_come_in_any_form(form):
    columns = lists(len(TEXTS))
    assert values({name: form(column) for name, column in columns.items()}) == values(columns)


def test_what_a_data_frame_makes_of_none_is_none():
    columns = lists(2) | {"gt_boxes": [float("nan"), PEOPLE], "region_boxes": [None, PEOPLE]}
    columns |= {"frame_width": [float("nan"), 100]}
    assert accuracy_reward(TEXTS[:2], **columns)[0] is None
    assert looking_reward(TEXTS[:2], **columns)[0] is None


def test_regions_whose_uncertainty_is_not_known_are_no_target():
    columns = {"region_boxes": [PEOPLE], "region_uncertainty": [None]}
    assert looking_reward([respond(PEOPLE)], **columns) == [None]


@pytest.mark.parametrize("as_column", [False, True])
def test_a_string_is_one_label(as_column):
    text, boxes = respond(PEOPLE[:1], label="person"), [PEOPLE[:1]]
    label = "person" if as_column else ["person"]
    assert accuracy_reward([text], gt_boxes=boxes, gt_labels=label, labels=label) == [1.0]
    assert reasoning_reward([text], labels=label) == [1.0]
    assert reasoning_reward([text], labels="car" if as_column else ["car"]) == [0.0]


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        (
            {"gt_labels": [["person"] * 3, ["person"]]},
            "gt_labels, row 1: expected 3 .* gt_boxes.*1",
        ),
        ({"gt_labels": "person"}, "gt_labels, row 0: expected 3 entries"),
        ({"gt_uncertainty": [[0.5] * 3, []]}, "gt_uncertainty, row 1: expected 3 entries"),
        ({"region_uncertainty": [[0.5], [0.5] * 3]}, "region_uncertainty, row 0: .*region_boxes"),
        ({"gt_boxes": [PEOPLE]}, "gt_boxes: expected 2 entries, one per completion, but got 1"),
        ({"labels": [["person"]] * 3}, "labels: expected 2 entries, one per completion, but got 3"),
        ({"frame_width": 100}, "frame_width: expected one entry per completion but got 100"),
        ({"image_id": "a"}, "image_id: expected one entry per completion but got 'a'"),
        ({"gt_boxes": "[]"}, "gt_boxes: expected one entry per completion"),
        ({"gt_boxes": [PEOPLE, PEOPLE[0]]}, "gt_boxes, row 1: expected boxes of four numbers"),
        ({"ignore_boxes": [[], [[1, 2]]]}, "ignore_boxes, row 1: expected boxes of four"),
        ({"gt_boxes": [PEOPLE, "[]"]}, r"gt_boxes, row 1: expected a list but got '\[\]'"),
        ({"gt_uncertainty": [0.5, [0.5] * 3]}, "gt_uncertainty, row 0: expected a list"),
        ({"prompt_end": ["", 5]}, "prompt_end, row 1: expected a text but got 5"),
        ({"prompt_end": ["<think>"]}, "prompt_end: expected 2 entries"),
    ],
)
def test_other_columns_are_refused_by_name_and_row(changed, message):
    with pytest.raises(ValueError, match=message):
        values(lists(2) | changed, TEXTS[:2])


END = "<|im_end|>\n<|im_start|>assistant\n<think>\n"


@pytest.mark.parametrize(
    "end", ["<think>", "<think>\n", END, ["<think>\n"] * len(TEXTS), pl.Series([END] * len(TEXTS))]
)
def test_a_prompt_that_ends_in_think_begins_the_response(end):
    texts = [text.removeprefix("<think>") for text in TEXTS]
    columns = lists(len(TEXTS))
    begun = ["<think>" + text for text in texts]
    assert values(columns | {"prompt_end": end}, texts) == values(columns, begun)
    assert reasoning_reward(texts[:1], prompt_end=end[:1] if isinstance(end, list) else END) == [1]
    assert reasoning_reward(texts[:1]) == [0.0]


def test_other_ends_of_a_prompt_begin_nothing():
    ends = ["", None, "<|im_start|>assistant\n", "<think> as you like", "<think>\n\n</think>\n\n"]
    assert reasoning_reward(TEXTS[:1] * 5, prompt_end=ends) == [1.0] * 5
    # what is written is the policy's, also where it begins to think once more
    assert reasoning_reward(TEXTS[:1], prompt_end="<think>\n") == [0.0]


def test_one_completion_is_no_list():
    with pytest.raises(ValueError, match="reasoning_reward: expected a list of completions"):
        reasoning_reward(TEXTS[0])
