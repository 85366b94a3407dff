"""Supervised fine-tuning on a perfect teacher's responses, through TRL's `SFTTrainer`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dipr1.policies.rendering import check_taught
from dipr1.training import processes
from dipr1.training.adapters import lora
from dipr1.training.arguments import accumulated, shared_arguments, variety
from dipr1.training.lessons import asked, teacher_response, with_images, with_targets_on_crops
from dipr1.training.options import SftArm
from dipr1.training.order import after_passes, micro_batch, prompts_in_order

if TYPE_CHECKING:
    from datasets import Dataset

    from dipr1.frames import PolicyFrames
    from dipr1.policies.load import LoadedPolicy


def lessons(
    arm: SftArm, prompts: pa.Table, variance: pa.Table | None, begun: str = "", **asking: Any
) -> Dataset:
    """What an arm is shown.

    Args:
        arm: what its teacher says, and how the questions vary.
        prompts: the prompts artifact.
        variance: the variance artifact of the same images.
        begun: what of a response stands in the prompt: the teacher's begins with the same.
        asking: the `crops`, the `seed`, and whether the policy's frame is `fixed`.
    """
    prompts, columns = asked(prompts, variance, **variety(arm), **asking)
    columns = with_targets_on_crops(prompts, columns)
    responses = (
        teacher_response(columns, row, arm.sft_think, arm.sft_why, arm.form)
        for row in range(prompts.num_rows)
    )
    if begun:
        responses = (_after(begun, response) for response in responses)
    completions = [[{"role": "assistant", "content": response}] for response in responses]
    return with_images(prompts, {"completion": completions})


def _after(begun: str, response: str) -> str:
    """The response begun as the prompt ends; to the letter, since TRL looks for what both share."""
    if response.startswith("<think>"):
        return begun + response.removeprefix("<think>")
    return f"{begun}</think>\n{response}"


def trainer(
    arm: SftArm,
    policy: LoadedPolicy,
    lessons: Dataset,
    seed: int,
    folder: Path,
    frames: PolicyFrames | None = None,
):
    """A `trl.SFTTrainer` that sees the same prompts in each update as GRPO does.

    The loss is on the response alone; arguments as of GRPO's.

    Raises:
        UserError: the policy's chat template makes something else of responses.
    """
    from trl import SFTConfig, SFTTrainer

    class Trainer(SFTTrainer):
        """`passes_done` over the prompts lie behind a run that goes on."""

        passes_done = 0

        def _get_train_sampler(self, dataset=None):
            order = prompts_in_order(self.train_dataset, arm.prompts_per_update, seed)
            return after_passes(order, self.passes_done)

    prompt, [answer] = (lessons.data[name][0].as_py() for name in ("prompt", "completion"))
    check_taught(policy.processor, prompt, answer["content"])
    prompts = arm.prompts_per_update
    size = micro_batch(arm.micro_batch_size, prompts // processes.count())
    config = SFTConfig(
        **shared_arguments(arm, seed, folder),
        learning_rate=arm.sft_learning_rate,
        per_device_train_batch_size=size,
        gradient_accumulation_steps=accumulated(prompts, size, "prompts_per_update"),
        max_length=None,
        completion_only_loss=True,
    )
    trained = Trainer(
        model=policy.model,
        args=config,
        train_dataset=lessons,
        processing_class=policy.processor,
        peft_config=lora(arm, policy.model),
    )
    # Qwen-VL's classes say no; TRL's loss divides by the tokens of the whole update all the same
    trained.model_accepts_loss_kwargs = True
    # TRL gathers one sum of each process, of which this would drop some after an epoch's last
    # batch, as if they were samples that fill it up; after a resume it would not
    trained.accelerator.gather_for_metrics = trained.accelerator.gather
    return trained
