"""Rollouts that look again."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from dipr1.frames import PolicyFrames
from dipr1.policies.families import read_policy_frames
from dipr1.policies.load import load_policy
from dipr1.policies.looking_again import Seen
from dipr1.responses import parse_response
from dipr1.rewards import AccuracyReward
from dipr1.training.second_look import (
    QUESTION,
    SecondLook,
    _merged,
    _others,
    _View,
    of_final_boxes,
    questions,
)
from tests.unit.two_images import prompts

LEFT = np.array([0.0, 0, 100, 100])  # of an image of 200 x 100, whose frame is 100 x 100


def response(boxes, looks=(), label="person") -> str:
    items = [{"bbox_2d": list(box), "label": label} for box in boxes]
    look = json.dumps([{"bbox_2d": list(box)} for box in looks])
    return f"<think>a</think> <look>{look}</look> <answer>{json.dumps(items)}</answer>"


def merged(boxes, seen: Seen) -> list[list[float]]:
    """The final boxes, model frame; `seen` are shares of the left half."""
    answer = parse_response(response(boxes)).answer
    text = _merged(answer, questions(prompts())[0], [(_View(LEFT, (), {}), seen)])
    final = parse_response(text, ["person"])
    assert final.in_form("answer")
    return final.answer.boxes.tolist()


def seen(*shares) -> Seen:
    return Seen.of(list(shares), [0.5] * len(shares), labels=["person"] * len(shares))


def test_what_a_window_denies_leaves_the_answer():
    assert merged([[10, 10, 20, 60], [60, 10, 80, 60]], seen()) == [[60, 10, 80, 60]]


def test_what_a_window_confirms_takes_its_borders():
    # [0.2, 0.1, 0.4, 0.7] of the left half are 20..40 of 200 pixels, 10..20 of the model's 100
    assert merged([[10, 10, 20, 60]], seen([0.2, 0.1, 0.4, 0.7])) == [[10, 10, 20, 70]]


def test_what_only_a_window_has_enters_and_what_it_cuts_does_not():
    final = merged([], seen([0.2, 0.1, 0.4, 0.7], [0.7, 0.1, 1.0, 0.7]))
    assert final == [[10, 10, 20, 70]]


def test_boxes_of_another_label_neither_confirm_nor_deny():
    other = Seen.of([[0.2, 0.2, 0.4, 0.6]], [0.5], labels=["rider"])
    answer = parse_response(response([[60, 20, 80, 60]])).answer
    text = _merged(answer, questions(prompts())[0], [(_View(LEFT, (), {}), other)])
    assert parse_response(text).answer.labels == ("person", "rider")


def test_copies_and_what_is_no_box_cost_what_they_cost_without_looking():
    box, outside = [10, 10, 20, 60], [60, 10, 80, 60]
    confirmed = seen([0.2, 0.1, 0.4, 0.6])
    final = merged([box, box, outside, outside, [9, 9, 3, 3]], confirmed)
    assert len(final) == 5
    assert sorted(final)[:2] == [[9, 9, 3, 3], box]
    columns = {"gt_boxes": [[box, outside]], "gt_labels": [["person"] * 2]}
    judged = [AccuracyReward()([response(boxes)], **columns) for boxes in (final, [box, outside])]
    assert judged[0] < judged[1] == [1.0]


def test_the_other_image_is_the_next_one_of_the_batch():
    rows = [{"image": name, "width": k} for k, name in enumerate("aabca")]
    assert [other["image"] for other in _others(rows)] == ["b", "b", "c", "a", "b"]
    assert _others(rows[:2]) == [None, None]


@pytest.fixture(scope="module")
def asked(tmp_path_factory) -> list[dict]:
    """Two questions about grey images."""
    folder = tmp_path_factory.mktemp("images")
    rows = questions(prompts())
    for row, grey in zip(rows, (60, 190), strict=True):
        row["image"] = str(folder / row["image"])
        Image.new("RGB", (200, 100), (grey, grey, grey)).save(row["image"])
        row |= {"frame_width": 128.0, "frame_height": 128.0}
    return rows


@pytest.fixture(scope="module")
def policy():
    pytest.importorskip("torch")
    return load_policy("tiny", threads=1)


def second_look(policy, **options) -> SecondLook:
    sizes = {"max_regions": 2, "max_new_tokens": 40, "batch_size": 2} | options
    return SecondLook(policy, read_policy_frames("tiny"), **sizes)


def test_equal_windows_are_asked_about_once(policy, asked):
    look, far = [10, 10, 20, 30], [100, 90, 110, 120]
    texts = [
        response([], [look, far, [60, 10, 70, 30]]),  # one more than two
        response([], [look]),
        response([[1, 2, 3, 40]]),
        "<answer>none</answer>",
    ]
    rows = [asked[0], asked[0], asked[0], asked[1]]
    final, counts = second_look(policy)(texts, rows)
    assert counts == {"again/crops": [2, 1, 0, 0], "again/asked": [2 / 4]}
    assert final[2:] == texts[2:]
    assert all(parse_response(text).in_form("answer") for text in final[:2])
    assert second_look(policy)(texts, rows) == (final, counts)
    # the same looks in another image
    _, counts = second_look(policy)(texts[1:2] * 2, asked)
    assert counts["again/asked"] == [1.0]


def test_the_control_shows_another_image(policy, asked):
    text = response([], [[10, 10, 20, 30]])
    looking = second_look(policy, control="other_image")
    [view] = looking._views(parse_response(text).look.boxes, asked[0], asked[1])
    [own] = second_look(policy)._views(parse_response(text).look.boxes, asked[0], asked[1])
    assert view.row["image"] == asked[1]["image"] != own.row["image"]
    assert (view.row["window"], view.window.tolist()) == (own.row["window"], own.window.tolist())
    final, counts = looking([text], asked[:1])  # there is no other
    assert (final, counts["again/crops"]) == ([text], [0])


def test_training_is_left_as_it_was(policy, asked):
    import torch

    policy.model.train()
    torch.manual_seed(7)
    expected = torch.rand(3)
    torch.manual_seed(7)
    second_look(policy)([response([], [[10, 10, 20, 30]])], asked[:1])
    assert policy.model.training and torch.equal(torch.rand(3), expected)
    policy.model.eval()


def test_a_window_that_cannot_be_seen_is_left_out(policy, asked):
    narrow = PolicyFrames("thousandths", largest_ratio=1.01)
    looking = SecondLook(policy, narrow, max_regions=1, max_new_tokens=1, batch_size=1)
    text = response([], [[10, 10, 20, 30]])
    assert looking([text], asked[:1])[0] == [text]


def test_the_reward_is_of_the_final_boxes(policy, asked):
    text = response([[10, 10, 20, 30]], [[10, 10, 20, 30]])
    logged = {}
    reward = of_final_boxes(AccuracyReward(), second_look(policy))
    columns = {"gt_boxes": [[[10, 10, 20, 30]]], "gt_labels": [["person"]], QUESTION: asked[:1]}
    [after] = reward([text], **columns, log_metric=logged.__setitem__)
    assert reward.__name__ == "accuracy_reward"
    assert logged["again/first"] == 1.0 and logged["again/crops"] == 1
    assert logged["again/gain"] == after - 1.0 < 0.0  # nobody is to be seen in a grey image
