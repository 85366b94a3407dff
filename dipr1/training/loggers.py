"""Where trainers report to: TensorBoard's files, and services by name."""

from __future__ import annotations

import importlib.util
import os
import shutil
from pathlib import Path
from typing import Any

from dipr1.errors import UserError
from dipr1.training.options import TrainedOptions


def reporting(arm: TrainedOptions, folder: Path) -> dict[str, Any]:
    """Arguments of `transformers.TrainingArguments` that name the loggers, and what these read.

    Whatever a logger writes of its own accord lies in `folder`, but for trackio's data, which
    `trackio show` reads where it always does.

    Args:
        arm: what is asked for.
        folder: of the checkpoints; its last two parts are the run's name.

    Raises:
        UserError: a logger is not installed.
    """
    for name in arm.report_to:
        if importlib.util.find_spec(name) is None:
            raise UserError(
                f"report_to: {name} is not installed; `pip install {name}`, or take it out"
            )
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    if "wandb" in arm.report_to:
        folder.mkdir(parents=True, exist_ok=True)
        os.environ.setdefault("WANDB_DIR", str(folder))
        os.environ.setdefault("WANDB_PROJECT", "dipr1")
    run = {"project": "dipr1", "run_name": "/".join(folder.absolute().parts[-2:])}
    return {"report_to": list(arm.report_to)} | ({} if arm.report_to == ["tensorboard"] else run)


def keep_logs(arm: TrainedOptions, folder: Path, output: Path) -> None:
    """Close the loggers and copy what they wrote in `folder`, which is deleted, to `output`.

    A W&B run that was kept from the network is synchronised from there.
    """
    if "wandb" in arm.report_to:
        importlib.import_module("wandb").finish()
    for name in ("tensorboard", "wandb"):
        if (folder / name).is_dir():
            shutil.copytree(folder / name, output / name, symlinks=True, dirs_exist_ok=True)
