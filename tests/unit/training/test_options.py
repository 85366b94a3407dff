"""Which options change what is learned."""

from __future__ import annotations

import pytest

from dipr1.training.options import GrpoArm, SftArm, without_effect


def test_a_rate_that_falls_towards_the_last_update_depends_on_their_number():
    assert "updates" in without_effect(SftArm(method="sft", warmup=3))
    assert "updates" not in without_effect(SftArm(method="sft", schedule="linear"))


def test_thresholds_that_rise_over_the_training_depend_on_the_number_of_updates():
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, match_ious=[0.5, 0.75])
    assert "updates" not in without_effect(arm)


def test_thresholds_must_rise_and_belong_to_the_accuracy_reward():
    for rewards, ious in (({"accuracy": 1}, [0.7, 0.5]), ({"looking": 1}, [0.5, 0.7])):
        with pytest.raises(ValueError, match="match_ious"):
            GrpoArm(method="grpo", rewards=rewards, match_ious=ious)


def test_micro_batches_matter_to_one_loss():
    for loss in ("group", "dapo", "bnpo", "grpo", "dr_grpo"):
        arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, loss_type=loss)
        assert ("micro_batch_size" in without_effect(arm)) == (loss != "bnpo")
