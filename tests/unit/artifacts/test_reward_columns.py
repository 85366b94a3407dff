"""The columns that trainers and the evaluation hand to the rewards."""

from __future__ import annotations

import pytest

from dipr1.artifacts.reward_columns import reward_columns
from dipr1.errors import UserError
from tests.unit.two_images import prompts, variance


def test_columns_are_in_the_model_frame():
    columns = reward_columns(prompts(), variance())
    assert columns["gt_uncertainty"] == [[0.1, 0.9], []]
    assert columns["region_boxes"][0] == [[10, 10, 30, 60], [50, 10, 70, 60], [0, 50, 10, 100]]
    assert columns["region_uncertainty"] == [[0.1, 0.9, 0.6], []]
    assert columns["region_boxes"][1] == []


def test_columns_without_statistics():
    assert "region_boxes" not in reward_columns(prompts(), None)


def test_statistics_of_other_annotations():
    with pytest.raises(UserError, match="2 objects are annotated but the variance has 1"):
        reward_columns(prompts(), variance().slice(1))
