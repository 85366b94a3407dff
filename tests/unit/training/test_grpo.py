"""GRPO: an arm's rewards, and what it cannot be trained with."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.policies.load import load_policy
from dipr1.rewards import reasoning_reward
from dipr1.training.grpo import lessons, reward_functions, trainer
from dipr1.training.options import GrpoArm
from tests.unit.two_images import prompts, variance


def test_rewards_of_an_arm():
    arm = GrpoArm(method="grpo", rewards={"accuracy": 2.0, "reasoning": 1.0}, uncertainty_weight=0)
    functions, weights = reward_functions(arm)
    assert [function.__name__ for function in functions] == ["reasoning_reward", "accuracy_reward"]
    assert weights == [1.0, 2.0]
    assert functions[1].lam == 0


def test_sizes_must_divide(tmp_path):
    pytest.importorskip("trl")
    sizes = {"prompts_per_update": 3, "group_size": 2, "micro_batch_size": 4}
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, **sizes)
    with pytest.raises(UserError, match="6 responses per update"):
        trainer(arm, None, None, 0, tmp_path)


@pytest.mark.parametrize("wrong", ["save_every", "updates"])
def test_no_checkpoint_between_updates_of_the_same_responses(tmp_path, wrong):
    pytest.importorskip("trl")
    numbers = {"save_every": 12, "updates": 12, "iterations": 2, "updates_per_generation": 3}
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, **numbers | {wrong: 10})
    with pytest.raises(UserError, match=f"{wrong} = 10 is not a multiple of .* = 6; make it one"):
        trainer(arm, None, None, 0, tmp_path)


@pytest.mark.parametrize(("source", "refused"), [("precomputed", True), ("group", False)])
def test_a_reward_without_its_columns_is_refused(source, refused):
    pytest.importorskip("datasets")
    arm = GrpoArm(method="grpo", rewards={"looking": 1}, looking_source=source)
    if refused:
        with pytest.raises(UserError, match="looking_reward needs region_boxes and region_uncer"):
            lessons(arm, prompts(), None, fixed=True, seed=0)
    else:
        assert len(lessons(arm, prompts(), None, fixed=True, seed=0)) == 2


def test_an_arm_says_why_to_look():
    pytest.importorskip("datasets")

    def targets(**options):
        arm = GrpoArm(method="grpo", **{"rewards": {"looking": 1}} | options)
        rows = lessons(arm, prompts(), variance(), fixed=True, seed=0).data
        return rows["region_uncertainty"].to_pylist()[0]

    assert targets() == [0.1, 0.9, 0.6]
    assert targets(looking_target="miss") == [0.5, 0.5, 0.6]
    assert targets(looking_target="miss", looking_source="group") == [0.1, 0.9, 0.6]
    with pytest.raises(UserError, match="the variance has no column 'gain'"):
        targets(looking_target="gain")


def test_a_thinking_policy_is_rewarded_for_the_whole_response():
    pytest.importorskip("datasets")
    arm = GrpoArm(method="grpo", rewards={"reasoning": 1}, ask="both")
    rows = lessons(arm, prompts(), variance(), fixed=True, seed=0, begun="<think>\n").data
    columns = {name: rows[name].to_pylist() for name in ("prompt_end", "labels")}
    perfect = "two </think> <look> [] </look> <answer> [] </answer>"
    assert reasoning_reward([perfect] * len(rows), **columns) == [1.0] * len(rows)
    plain = lessons(arm, prompts(), variance(), fixed=True, seed=0)
    assert "prompt_end" not in plain.column_names


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_rollouts_are_generated_as_samples_are(qwen, tmp_path):
    pytest.importorskip("trl")
    policy = load_policy(str(qwen), threads=1)
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, micro_batch_size=16)
    rows = lessons(arm, prompts(), None, fixed=True, seed=0)
    settings = trainer(arm, policy, rows, 0, tmp_path).generation_config
    assert settings.suppress_tokens == policy.never_written()
    assert len(settings.suppress_tokens) == 4
    assert (settings.top_k, settings.top_p) == (0, 1.0)
    assert settings.repetition_penalty in (None, 1.0)
