"""The columns that trainers and the evaluation hand to the rewards."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.prompts import render_response
from dipr1.rewards import accuracy_reward, looking_reward
from tests.unit.two_images import prompts, variance


def test_columns_are_in_the_model_frame():
    columns = reward_columns(prompts(), variance())
    assert columns["gt_uncertainty"] == [[0.1, 0.9], []]
    assert columns["region_boxes"][0] == [[10, 10, 30, 60], [50, 10, 70, 60], [0, 50, 10, 100]]
    assert columns["region_uncertainty"] == [[0.1, 0.9, 0.6], []]
    assert columns["region_boxes"][1] == []


def test_targets_are_chosen_for_looking_alone():
    columns = reward_columns(prompts(), variance(), "miss")
    assert columns["region_uncertainty"] == [[0.5, 0.5, 0.6], []]
    assert columns["gt_uncertainty"] == [[0.1, 0.9], []]
    with pytest.raises(UserError, match="looking_target: the variance has no column 'gain'"):
        reward_columns(prompts(), variance(), "gain")
    gain = variance().append_column("gain", pa.array([0.25, 0.75, 0.0, 0.0]))
    columns = reward_columns(prompts(), gain, "gain")
    assert columns["region_uncertainty"] == [[0.25, 0.75, 0.0], []]


def test_columns_without_statistics():
    assert "region_boxes" not in reward_columns(prompts(), None)


def test_statistics_of_other_annotations():
    with pytest.raises(UserError, match="2 objects are annotated but the variance has 1"):
        reward_columns(prompts(), variance().slice(1))


def test_an_image_without_statistics_earns_no_looking_reward_and_weighs_all_people_alike():
    """Even where nobody is there, which for one with statistics means: look nowhere."""
    rows = [{"image_id": name, "num_samples": 1} for name in "ab"]
    columns = reward_columns(prompts(), pa.Table.from_pylist(rows, VARIANCE.schema))
    names = "gt_uncertainty", "region_boxes", "region_uncertainty"
    assert [columns[name] for name in names] == [[None, None]] * 3
    nowhere = [render_response("Nobody.", [], [[10, 10, 30, 60]], ["person"])] * 2
    assert looking_reward(nowhere, **columns) == [None, None]
    assert accuracy_reward(nowhere, **columns) == [2 / 3, 0.0]
