"""What happens around a trainer: the frozen tower, progress, checkpoints, the log."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.errors import UserError
from dipr1.progress import say

# Wall-clock figures, and counts since the last start: they differ between runs that are otherwise
# the same.
LEFT_OUT = (
    "runtime",
    "per_second",
    "step_time",
    "time/",
    "epoch",
    "total_flos",
    "train_loss",
    "num_tokens",
)


def freeze_vision(model) -> None:
    """Let only the language model learn.

    Raises:
        UserError: the model has no part called `visual` or `vision_tower`.
    """
    towers = [
        module
        for name, module in model.named_modules()
        if name.split(".")[-1] in ("visual", "vision_tower", "vision_model")
    ]
    if not towers:
        raise UserError(
            f"freeze_vision: {type(model).__name__} has no part called visual, vision_tower or"
            " vision_model; set training.freeze_vision to false"
        )
    for tower in towers:
        tower.requires_grad_(False)


def tell_progress(trainer, arm: str) -> None:
    """Print one short line per update, in place of the dictionaries that trainers print."""
    from transformers import PrinterCallback, TrainerCallback

    class Teller(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            shown = {
                name.removeprefix("rewards/").removesuffix("_reward/mean"): value
                for name, value in (logs or {}).items()
                if name == "loss" or (name.startswith("reward") and not name.endswith("std"))
            }
            if "loss" in shown:
                figures = ", ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
                say(f"{arm}: update {state.global_step} of {state.max_steps}: {figures}")

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Teller)


def newest_checkpoint(folder: Path) -> Path | None:
    """The complete checkpoint with the most updates; None without one.

    A trainer writes its state last, so a checkpoint that was cut short lacks it.
    """
    complete = [state.parent for state in folder.glob("checkpoint-*/trainer_state.json")]
    return max(complete, key=lambda path: int(path.name.split("-")[1]), default=None)


def log_table(history: list[dict]) -> pa.Table:
    """The trainer's log as rows (step, name, value), without what differs from run to run."""
    rows = [
        {"step": entry["step"], "name": name, "value": float(value)}
        for entry in history
        for name, value in sorted(entry.items())
        if name != "step"
        and isinstance(value, int | float)
        and not any(part in name for part in LEFT_OUT)
    ]
    return pa.Table.from_pylist(rows, TRAINING_LOG.schema)
