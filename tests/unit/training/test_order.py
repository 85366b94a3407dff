"""Both methods see the same prompts in every update."""

from __future__ import annotations

import pytest

from dipr1.policies.load import load_policy
from dipr1.training import grpo, sft
from dipr1.training.options import GrpoArm, SftArm
from dipr1.training.order import updates_per_pass
from tests.unit.scenes import scene_prompts

SIZES = {"updates": 4, "prompts_per_update": 2, "learning_rate": 1e-6}
ARMS = {
    sft: SftArm(method="sft", micro_batch_size=1, **SIZES),
    grpo: GrpoArm(
        method="grpo",
        rewards={"accuracy": 1},
        group_size=2,
        micro_batch_size=4,
        max_completion_length=4,
        **SIZES,
    ),
}


def prompts_read(method, folder) -> list[int]:
    """The rows that a training reads from its lessons, copies once."""
    arm, read = ARMS[method], []
    lessons = method.lessons(arm, scene_prompts(folder, 5), None, fixed=True, seed=7)
    shown = lessons.format["format_kwargs"]["transform"]
    recorded = lessons.with_transform(lambda rows: read.extend(rows["row"]) or shown(rows))
    policy = load_policy("tiny", threads=1)
    trainer = method.trainer(arm, policy, recorded, 7, folder / method.__name__)
    read.clear()
    trainer.train()
    return read


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_both_methods_see_the_same_prompts_in_every_update(tmp_path):
    """In two passes over five prompts, one of which is left out in each."""
    pytest.importorskip("trl")
    of_sft, of_grpo = (prompts_read(method, tmp_path) for method in (sft, grpo))
    assert of_sft == of_grpo[::2]
    assert len(of_sft) == 8
    assert len(set(of_sft[:4])) == len(set(of_sft[4:])) == 4
    assert of_sft[:4] != of_sft[4:]


def test_a_pass_is_whole_updates():
    arm = ARMS[grpo].model_copy(update={"iterations": 3, "updates_per_generation": 2})
    assert updates_per_pass(arm, 11) == 12
    assert updates_per_pass(ARMS[sft], 11) == 5
