"""The rewards as EasyR1 loads and calls them."""

from __future__ import annotations

import json
from functools import partial

import pytest

from dipr1.rewards import for_easyr1
from tests.unit.rewards.adapters.inputs import easyr1_inputs
from tests.unit.rewards.responding import EXPECTED, PEOPLE, TEXTS, TOTALS, load_file


@pytest.mark.parametrize("module", [for_easyr1, load_file(for_easyr1, "custom_reward_fn")])
def test_easyr1_calls_with_a_list_or_with_one(module):
    assert (module.REWARD_NAME, module.REWARD_TYPE) == ("dipr1", "batch")
    scores = module.compute_score(easyr1_inputs())
    assert scores == [module.compute_score(one) for one in easyr1_inputs()]
    for found, rewards, total in zip(scores, EXPECTED, TOTALS, strict=True):
        assert found.pop("overall") == pytest.approx(total, rel=1e-15)
        assert found == rewards


def test_easyr1_with_arguments_from_the_configuration():
    compute_score = partial(for_easyr1.compute_score, **{"weights": {"accuracy": 1.0}})
    found = [score["overall"] for score in compute_score(easyr1_inputs())]
    assert found == [rewards["accuracy"] for rewards in EXPECTED]


def test_easyr1_in_batches_has_groups():
    inputs = [
        {"response": text, "ground_truth": json.dumps({"gt_boxes": PEOPLE, "image_id": name})}
        for text, name in zip(TEXTS, "aaaabbc", strict=True)
    ]
    scores = for_easyr1.compute_score(inputs, options={"looking_source": "group"})
    assert ["looking" in score for score in scores] == [True] * 4 + [False] * 3
