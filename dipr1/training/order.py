"""In which order prompts are seen: the same in both methods, and in a run that goes on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dipr1.training.options import TrainedOptions

if TYPE_CHECKING:
    from trl.trainer.utils import RepeatSampler


def micro_batch(most: int, prompts: int) -> int:
    """The largest number up to `most` that divides `prompts`.

    >>> [micro_batch(most, 12) for most in (64, 12, 11, 5)]
    [12, 12, 6, 4]
    """
    return max(size for size in range(1, most + 1) if prompts % size == 0)


def prompts_in_order(lessons, prompts_per_update: int, seed: int) -> RepeatSampler:
    """The prompts as TRL's `GRPOTrainer` draws them, each once.

    It takes a new order in every pass, and leaves out the prompts that make no whole update.
    """
    from trl.trainer.utils import RepeatSampler

    return RepeatSampler(lessons, 1, batch_size=prompts_per_update, seed=seed)


def updates_per_pass(arm: TrainedOptions, lessons: int) -> int:
    """After how many updates an arm has seen all prompts that make whole updates.

    >>> updates_per_pass(TrainedOptions(prompts_per_update=2), 7)
    3
    """
    together = generated_together(arm)
    drawn = lessons // (arm.prompts_per_update * together)
    return drawn * together * getattr(arm, "iterations", 1)


def generated_together(arm: TrainedOptions) -> int:
    """The updates whose responses are generated together, where there are responses."""
    return getattr(arm, "updates_per_generation", 1)


def updates_of_same_responses(arm: TrainedOptions) -> int:
    """How many updates are made of responses that are generated together."""
    return generated_together(arm) * getattr(arm, "iterations", 1)


def after_passes(sampler: RepeatSampler, passes: int) -> RepeatSampler:
    """`sampler` as it is after so many passes; in a run that goes on it would begin anew."""
    import torch

    for _ in range(passes):
        torch.randperm(sampler.num_samples, generator=sampler.generator)
    return sampler
