"""Supervised fine-tuning on a perfect teacher's responses, through TRL's `SFTTrainer`."""

from __future__ import annotations

from pathlib import Path

from dipr1.training.lessons import sft_lessons
from dipr1.training.options import Training


def sft_trainer(training: Training, policy, prompts, variance, seed: int, folder: Path):
    """A `trl.SFTTrainer` that sees as many prompts per update as GRPO does.

    The loss is on the response alone.
    """
    from trl import SFTConfig, SFTTrainer

    from dipr1.training.running import shared_arguments, variety

    config = SFTConfig(
        **shared_arguments(training, seed, folder),
        learning_rate=training.sft_learning_rate,
        per_device_train_batch_size=training.prompts_per_update,
        max_length=None,
        completion_only_loss=True,
    )
    return SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=sft_lessons(
            prompts, variance, training.sft_think, training.sft_why, **variety(training, seed)
        ),
        processing_class=policy.processor,
    )
