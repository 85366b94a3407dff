"""Which options change what is learned."""

from __future__ import annotations

from dipr1.training.options import GrpoArm, SftArm, without_effect


def test_a_rate_that_falls_towards_the_last_update_depends_on_their_number():
    assert "updates" in without_effect(SftArm(method="sft", warmup=3))
    assert "updates" not in without_effect(SftArm(method="sft", schedule="linear"))


def test_micro_batches_matter_to_one_loss():
    for loss in ("group", "dapo", "bnpo", "grpo", "dr_grpo"):
        arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, loss_type=loss)
        assert ("micro_batch_size" in without_effect(arm)) == (loss != "bnpo")
