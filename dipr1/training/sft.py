"""Supervised fine-tuning on a perfect teacher's responses, through TRL's `SFTTrainer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dipr1.training.arguments import shared_arguments, variety
from dipr1.training.lessons import asked, teacher_response, with_images
from dipr1.training.options import SftArm

if TYPE_CHECKING:
    from datasets import Dataset


def lessons(arm: SftArm, prompts: pa.Table, variance: pa.Table | None, **asking: Any) -> Dataset:
    """What an arm is shown; `asking` is the `seed` and whether the policy's frame is `fixed`."""
    prompts, columns = asked(prompts, variance, **variety(arm), **asking)
    responses = (
        teacher_response(columns, row, arm.sft_think, arm.sft_why, arm.form)
        for row in range(prompts.num_rows)
    )
    completions = [[{"role": "assistant", "content": response}] for response in responses]
    return with_images(prompts, {"completion": completions})


def trainer(arm: SftArm, policy, lessons: Dataset, seed: int, folder: Path):
    """A `trl.SFTTrainer` that sees as many prompts per update as GRPO does.

    The loss is on the response alone.
    """
    from trl import SFTConfig, SFTTrainer

    config = SFTConfig(
        **shared_arguments(arm, seed, folder),
        learning_rate=arm.sft_learning_rate,
        per_device_train_batch_size=arm.prompts_per_update,
        max_length=None,
        completion_only_loss=True,
    )
    return SFTTrainer(
        model=policy.model,
        args=config,
        train_dataset=lessons,
        processing_class=policy.processor,
    )
