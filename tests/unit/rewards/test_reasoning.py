"""The reasoning reward: is the response in the form that was asked for?"""

from __future__ import annotations

import pytest

from dipr1.rewards import ReasoningReward, reasoning_reward
from tests.unit.random_boxes import cases, some_boxes
from tests.unit.rewards.exact import LABELS, response_of
from tests.unit.rewards.responding import HONEST, respond


def test_reasoning_of_no_completions():
    assert reasoning_reward([]) == []


@pytest.mark.parametrize(
    ("text", "thirds"),
    [
        (HONEST, 3),
        ("", 0),
        ("[]", 0),
        ("<think>a</think>", 1),
        ("<think></think><look>[]</look><answer>[]</answer>", 2),
        ("<think>a</think><look>[]</look><answer>nobody</answer>", 2),
        ("<think>a</think><look>[]</look><answer>```[]```</answer>", 2),
        ("<think>a</think><look>[]</look><answer>[]", 2),
        ("<think>a</think><answer>[]</answer><look>[]</look>", 2),
        (HONEST + HONEST, 0),
        (respond([[5, 5, 1, 1]]), 3),
    ],
)
def test_graded_reasoning_counts_sections(text, thirds):
    assert ReasoningReward(graded=True)([text]) == [thirds / 3]
    assert reasoning_reward([text]) == [float(thirds == 3)]


def test_reasoning_checks_the_labels_asked_for():
    assert reasoning_reward([HONEST] * 2, labels=[["person"], ["car"]]) == [1.0, 0.0]


def test_reasoning_is_one_for_every_well_formed_response():
    texts = []
    for random in cases("reasoning", 300):
        looks, boxes = some_boxes(random, 4, unusable=0), some_boxes(random, 4, unusable=0)
        texts.append(response_of(looks, boxes))
    assert ReasoningReward()(texts, labels=[LABELS] * len(texts)) == [1.0] * len(texts)
    assert ReasoningReward(graded=True)(texts) == [1.0] * len(texts)
