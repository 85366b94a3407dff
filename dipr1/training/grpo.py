"""GRPO with a weighted sum of rewards, through TRL's `GRPOTrainer`.

What is optimised has a name in the configuration: :mod:`dipr1.training.objectives`.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dipr1.errors import UserError
from dipr1.rewards import REWARDS, AccuracyReward
from dipr1.training.adapters import lora
from dipr1.training.arguments import accumulated, shared_arguments, variety
from dipr1.training.completions import PICTURE, Keeper, pictures
from dipr1.training.endings import told_of
from dipr1.training.lessons import asked, with_images
from dipr1.training.objectives import groups_weigh_alike, objective, weights_of_groups
from dipr1.training.options import ROLLOUTS, VLLM_ROLLOUTS, GrpoArm, by_vllm
from dipr1.training.order import after_passes, generated_together, updates_of_same_responses
from dipr1.training.processing import processing_once
from dipr1.training.timing import Clock, timed_trainer
from dipr1.training.tower import take_stand_ins

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
    if arm.show_every:
        columns[PICTURE] = pictures(prompts)
    if arm.rollout_looks:
        rollouts = _rollouts()
        columns[rollouts.QUESTION] = rollouts.questions(prompts)
    return with_images(prompts, columns, arm.prompts_per_update * generated_together(arm))


def _rollouts():
    """How rollouts look again; by name, for only the arms whose rollouts do depend on it."""
    return importlib.import_module(f"dipr1.training.{ROLLOUTS}")


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

    clock = Clock()

    class Trainer(timed_trainer(GRPOTrainer, clock)):
        """`passes_done` over the prompts lie behind a run that goes on; `images` of an update."""

        passes_done = 0

        def _get_train_sampler(self, dataset=None):
            return after_passes(super()._get_train_sampler(dataset), self.passes_done)

        def _generate_and_score_completions(self, inputs):
            with self.images.generation(self.model.training):
                scored = super()._generate_and_score_completions(inputs)
            if shown:
                shown.keep(self, inputs, scored)
            if weigh_groups:  # TRL's loss multiplies by this mask, which need not be 0 or 1
                mask = scored["completion_mask"]
                tokens = self.accelerator.gather(mask.sum(1))
                weights = weights_of_groups(tokens, arm.group_size)
                own = weights.split(len(mask))[self.accelerator.process_index]
                scored["tool_mask"] = own[:, None].expand(mask.shape)
            return scored

    _check_updates(arm)
    steps = accumulated(
        arm.prompts_per_update * arm.group_size,
        arm.micro_batch_size,
        "prompts_per_update x group_size",
    )
    weigh_groups = groups_weigh_alike(arm)
    shown = Keeper(arm, policy, folder) if arm.show_every else None
    functions, weights = reward_functions(arm)
    if arm.rollout_looks:
        rollouts = _rollouts()
        second_look = rollouts.SecondLook(
            policy,
            frames,
            max_regions=arm.rollout_looks,
            max_new_tokens=arm.max_completion_length,
            batch_size=arm.micro_batch_size,
            control=arm.rollout_control,
        )
        functions = [
            rollouts.of_final_boxes(one, second_look) if isinstance(one, AccuracyReward) else one
            for one in functions
        ]
    functions = [_reading_all_tokens(function, policy) for function in functions]
    functions = [clock.timed("rewards", function) for function in functions]
    processor, Trainer.images = processing_once(policy.processor, clock)
    config = GRPOConfig(
        **shared_arguments(arm, seed, folder),
        **objective(arm),
        learning_rate=arm.learning_rate,
        per_device_train_batch_size=arm.micro_batch_size,
        gradient_accumulation_steps=steps,
        steps_per_generation=steps * arm.updates_per_generation,
        num_iterations=arm.iterations,
        num_generations=arm.group_size,
        max_completion_length=arm.max_completion_length,
        temperature=arm.temperature,
        reward_weights=weights,
        **_generation(arm, policy),
    )
    with _found_alike(arm, policy):
        trained = Trainer(
            model=policy.model,
            reward_funcs=functions,
            args=config,
            train_dataset=lessons,
            processing_class=processor,
            peft_config=lora(arm, policy.model),
        )
    if by_vllm(arm):
        _vllm_rollouts().mend_prompts(trained)
    take_stand_ins(trained.images, trained.model, trained.ref_model)
    return trained


def _generation(arm: GrpoArm, policy: LoadedPolicy) -> dict[str, Any]:
    """What generates the responses; none has a token that stands for an image, which TRL allows."""
    if by_vllm(arm):
        return _vllm_rollouts().generation(arm, policy)
    return {"generation_kwargs": {"suppress_tokens": policy.never_written() or None}}


def _found_alike(arm: GrpoArm, policy: LoadedPolicy):
    """In what a trainer is made."""
    return _vllm_rollouts().shown_alike(policy) if by_vllm(arm) else nullcontext()


def _vllm_rollouts():
    """How vLLM generates responses; by name, for only the arms that use it depend on it."""
    return importlib.import_module(f"dipr1.training.{VLLM_ROLLOUTS}")


def _check_updates(arm: GrpoArm) -> None:
    """Check that no checkpoint lies between updates of the same responses, which it cannot hold.

    Raises:
        UserError: one does.
    """
    together = updates_of_same_responses(arm)
    for name in ("save_every", "updates"):
        if getattr(arm, name) % together:
            raise UserError(
                f"training: {name} = {getattr(arm, name)} is not a multiple of iterations x"
                f" updates_per_generation = {together}; make it one"
            )


def _reading_all_tokens(reward: Callable, policy) -> Callable:
    """`reward` of responses as `sample` and `predict` spell them: TRL drops every special token."""

    @functools.wraps(reward, assigned=["__name__"], updated=[])
    def rewarded(completions, completion_ids, **columns):
        texts = [policy.text(tokens) for tokens in completion_ids]
        with told_of(reward.__name__):
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
