"""What the trainers are given to learn from."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.artifacts.reward_columns import reward_columns
from dipr1.responses import parse_response
from dipr1.rewards import accuracy_reward, looking_reward
from dipr1.training.lessons import teacher_response
from tests.unit.two_images import prompts, variance


@pytest.mark.parametrize("why", [None, "overlap"])
def test_teacher_earns_every_reward(why):
    columns = reward_columns(prompts(), variance())
    responses = [teacher_response(columns, row, "{count} people.", why) for row in range(2)]
    assert all(parse_response(text, labels=["person"]).well_formed for text in responses)
    assert accuracy_reward(responses, **columns) == [1.0, 1.0]
    np.testing.assert_allclose(looking_reward(responses, **columns), [1.0, 1.0])
