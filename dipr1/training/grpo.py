"""GRPO with a weighted sum of rewards, through TRL's `GRPOTrainer`.

The paper's abstract says that DIP-R1 is trained with GRPO. We have read the abstract only, so the
hyper-parameters are ours. Where TRL departs from the textbook objective, the configuration names
it:

- `loss_type`: TRL's default `dapo` divides the sum over tokens by the tokens of the whole batch;
  `bnpo` with one group per micro-batch divides by the group's tokens.
- `bias_correction_kl`: TRL's default multiplies the KL term by the importance ratio; false is the
  plain k3 estimator.
- `beta`: 0 in TRL and here, so no reference model is kept.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dipr1.errors import UserError
from dipr1.rewards import REWARDS, AccuracyReward
from dipr1.training.arguments import shared_arguments, variety
from dipr1.training.lessons import asked, with_images
from dipr1.training.options import GrpoArm
from dipr1.training.order import after_passes
from dipr1.training.second_look import QUESTION, SecondLook, of_final_boxes, questions

if TYPE_CHECKING:
    from datasets import Dataset

    from dipr1.frames import PolicyFrames
    from dipr1.policies.load import LoadedPolicy


def lessons(
    arm: GrpoArm, prompts: pa.Table, variance: pa.Table | None, begun: str = "", **asking: Any
) -> Dataset:
    """What an arm is asked.

    Args:
        arm: its rewards, and how the questions vary.
        prompts: the prompts artifact.
        variance: the variance artifact of the same images.
        begun: what of a response stands in the prompt.
        asking: the `crops`, the `seed`, and whether the policy's frame is `fixed`.

    Raises:
        UserError: a reward needs statistics and there are none.
    """
    prompts, columns = asked(prompts, variance, **_target(arm), **variety(arm), **asking)
    for reward in reward_functions(arm)[0]:
        if absent := [name for name in reward.needs if name not in columns]:
            raise UserError(
                f"--rewards: {reward.__name__} needs {' and '.join(absent)}, so --variance FILE is"
                " needed"
            )
    if begun:
        columns["prompt_end"] = [begun] * prompts.num_rows
    if arm.rollout_looks:
        columns[QUESTION] = questions(prompts)
    return with_images(prompts, columns)


def _target(arm: GrpoArm) -> dict[str, Any]:
    """What the columns of an arm say of a region, which matters where the looking reward reads it.

    An arm whose statistics are never read needs none of their columns.
    """
    reads = arm.rewards.get("looking") and arm.looking_source == "precomputed"
    return {"target": arm.looking_target} if reads else {}


def trainer(
    arm: GrpoArm,
    policy: LoadedPolicy,
    lessons: Dataset,
    seed: int,
    folder: Path,
    frames: PolicyFrames | None = None,
):
    """A `trl.GRPOTrainer` for one arm.

    Args:
        arm: of this method.
        policy: that is trained.
        lessons: what it is asked.
        seed: of the order and of the responses.
        folder: of the checkpoints.
        frames: of the policy; only `rollout_looks` needs them.

    Raises:
        UserError: the sizes of batch and group do not divide each other.
    """
    from trl import GRPOConfig, GRPOTrainer

    class Trainer(GRPOTrainer):
        """`passes_done` over the prompts lie behind a run that goes on."""

        passes_done = 0

        def _get_train_sampler(self, dataset=None):
            return after_passes(super()._get_train_sampler(dataset), self.passes_done)

    responses = arm.prompts_per_update * arm.group_size
    if responses % arm.micro_batch_size:
        raise UserError(
            f"training: prompts_per_update x group_size = {responses} responses per update are not"
            f" a multiple of micro_batch_size = {arm.micro_batch_size}; change one of them"
        )
    functions, weights = reward_functions(arm)
    if arm.rollout_looks:
        second_look = SecondLook(
            policy,
            frames,
            max_regions=arm.rollout_looks,
            max_new_tokens=arm.max_completion_length,
            batch_size=arm.micro_batch_size,
            control=arm.rollout_control,
        )
        functions = [
            of_final_boxes(one, second_look) if isinstance(one, AccuracyReward) else one
            for one in functions
        ]
    functions = [_reading_all_tokens(function, policy) for function in functions]
    config = GRPOConfig(
        **shared_arguments(arm, seed, folder),
        learning_rate=arm.learning_rate,
        per_device_train_batch_size=arm.micro_batch_size,
        gradient_accumulation_steps=responses // arm.micro_batch_size,
        num_generations=arm.group_size,
        max_completion_length=arm.max_completion_length,
        temperature=arm.temperature,
        loss_type=arm.loss_type,
        beta=arm.beta,
        use_bias_correction_kl=arm.bias_correction_kl,
        reward_weights=weights,
        generation_kwargs={"suppress_tokens": policy.never_written() or None},  # TRL: the image's
    )
    return Trainer(
        model=policy.model,
        reward_funcs=functions,
        args=config,
        train_dataset=lessons,
        processing_class=policy.processor,
    )


def _reading_all_tokens(reward: Callable, policy) -> Callable:
    """`reward` of responses as `sample` and `predict` spell them: TRL drops every special token."""

    @functools.wraps(reward, assigned=["__name__"], updated=[])
    def rewarded(completions, completion_ids, **columns):
        texts = [policy.text(tokens) for tokens in completion_ids]
        return reward(texts, completion_ids=completion_ids, **columns)

    return rewarded


def reward_functions(arm: GrpoArm) -> tuple[list[Callable], list[float]]:
    """The arm's rewards and their weights, in the order of `REWARDS`; none without a weight."""
    weighted = {name: arm.rewards[name] for name in REWARDS if arm.rewards.get(name)}
    functions = [
        REWARDS[name].make(
            **{option.parameter: getattr(arm, option.key) for option in REWARDS[name].options}
        )
        for name in weighted
    ]
    return functions, list(weighted.values())
