"""Faults of answers that are counted for the log."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.rewards import accuracy_reward
from dipr1.rewards.faults import num_repeated, num_swallowing
from tests.unit.rewards.responding import PEOPLE, respond

LEFT, RIGHT = [0, 0, 10, 30], [12, 0, 22, 30]


@pytest.mark.parametrize(
    ("box", "swallows"),
    [
        ([0, 0, 22, 30], True),
        ([0, -1, 20, 31], True),  # 80 % of the second lies in it
        ([0, -5, 19, 35], False),
        ([0, 0, 10, 30], False),
        ([-40, -40, 60, 70], True),
        ([22, 30, 0, 0], False),
        ([0, 0, np.inf, 30], False),
        ([0, 0, np.nan, 30], False),
    ],
)
def test_a_box_that_holds_several_swallows_them(box, swallows):
    assert num_swallowing(np.array([box], float), [LEFT, RIGHT]) == swallows
    assert num_swallowing(np.array([box], float), [LEFT]) == 0


def test_whoever_stands_before_others_swallows_nobody():
    front = [0, 0, 20, 40]
    behind = [[1, 1, 6, 12], [10, 1, 15, 12]]
    assert num_swallowing(np.array([front], float), [front, *behind]) == 0
    assert num_swallowing(np.array([front], float), behind) == 1


def test_no_boxes_have_no_faults():
    for boxes in (np.empty((0, 4)), np.array([LEFT], float)):
        assert (num_swallowing(boxes, []), num_repeated(boxes)) == (0, 0)


def test_the_log_tells_how_many_answers_have_which_fault():
    all_of_them = np.array(PEOPLE)
    whole = [*all_of_them[:, :2].min(0).tolist(), *all_of_them[:, 2:].max(0).tolist()]
    texts = [respond([whole]), respond(PEOPLE), respond(PEOPLE * 2), "nobody"]
    logged = {}
    accuracy_reward(texts, gt_boxes=[PEOPLE] * 4, log_metric=logged.__setitem__)
    assert logged["answer/unreadable"] == 0.25
    assert logged["answer/swallowing"] == pytest.approx(1 / 3)
    assert logged["answer/duplicates"] == pytest.approx(1)
