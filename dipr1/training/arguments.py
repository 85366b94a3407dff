"""What the trainers of both methods are told alike."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dipr1.errors import UserError
from dipr1.training import processes
from dipr1.training.loggers import reporting
from dipr1.training.options import TrainedOptions


def shared_arguments(arm: TrainedOptions, seed: int, folder: Path) -> dict[str, Any]:
    """Arguments of `transformers.TrainingArguments`, from which both trainers' inherit."""
    import torch

    in_bf16 = arm.precision == "bf16"
    on_cpu = not torch.cuda.is_available()
    return {
        "output_dir": str(folder),
        "max_steps": arm.updates,
        "lr_scheduler_type": "constant_with_warmup" if arm.schedule == "constant" else arm.schedule,
        "warmup_steps": arm.warmup,
        "max_grad_norm": arm.max_grad_norm,
        "weight_decay": 0.0,
        "logging_steps": 1,
        "save_steps": arm.save_every,
        "save_total_limit": None if arm.keep_checkpoints else 2,
        "logging_nan_inf_filter": False,  # it would log 0 for a loss that is not a number
        **reporting(arm, folder),
        "seed": seed,
        "data_seed": seed,
        "bf16": in_bf16,
        "use_cpu": in_bf16 and on_cpu,  # else transformers refuses bf16 there
        "fp16": False,
        "gradient_checkpointing": arm.gradient_checkpointing,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    } | _of_several(on_cpu)


def _of_several(on_cpu: bool) -> dict[str, Any]:
    """What is told besides where several processes train together."""
    if processes.count() == 1:
        return {}
    on_gloo = {"use_cpu": True, "ddp_backend": "gloo"} if on_cpu else {}
    return on_gloo | {"ddp_find_unused_parameters": False}


def accumulated(responses: int, micro_batch_size: int, called: str) -> int:
    """In how many micro-batches each process has its share of an update.

    So the responses of an update are as many, whatever the number of processes.

    Args:
        responses: of an update.
        micro_batch_size: responses that a process handles at once.
        called: what makes so many responses, in messages.

    Raises:
        UserError: the share is no whole number of micro-batches.
    """
    own = responses // processes.count()
    if own % micro_batch_size:
        each = f" / {processes.count()} processes" if processes.count() > 1 else ""
        raise UserError(
            f"training: {called}{each} = {own} responses per update are not"
            f" a multiple of micro_batch_size = {micro_batch_size}; change one of them"
        )
    return own // micro_batch_size


def variety(arm: TrainedOptions) -> dict[str, Any]:
    """How an arm varies the questions, for :func:`dipr1.training.questions.variations`."""
    return {name: getattr(arm, name) for name in ("wordings", "ask", "absent_labels", "form")}
