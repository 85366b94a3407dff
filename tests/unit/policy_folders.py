"""Folders of trained policies without the training: the shipped weights and a record."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from dipr1.artifacts.made import made_by, write_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.policies.families import policy_input
from dipr1.provenance import CHECKPOINT

OPTIONS = {
    "method": "grpo",
    "form": "steps",
    "updates": 3,
    "lora_rank": 0,
    "max_completion_length": 160,
    "rewards": {"accuracy": 3.0, "looking": 0.0},
    "dtype": "float32",
}


def trained_policy(folder: Path, kind: str = "crowdhuman", base: str = "tiny", **options) -> Path:
    """The folder of a policy that was trained on prompts, which lie beside it.

    Args:
        folder: to write.
        kind: format of the annotations.
        base: what it was trained from.
        options: of the training that are not `OPTIONS`.
    """
    prompts = folder.parent / "prompts.parquet"
    about = {"format": kind, "labels": ["person", "rider"]}
    made = made_by("convert", about, [], code={"format": "coco"}, dataset="mine", split="train")
    PROMPTS.write(PROMPTS.schema.empty_table(), prompts, made)
    shutil.copytree(CHECKPOINT, folder)
    made = made_by(
        "train",
        OPTIONS | options,
        [prompts, policy_input(base)],
        code={"method": "grpo", "rewards": ("accuracy",)},
        arm="dipr1",
        seed=4,
    )
    write_made(folder, "policy", made)
    return folder


def as_adapter(folder: Path, base: str) -> Path:
    """The same as an adapter of `base`, without weights."""
    (folder / "config.json").unlink()
    (folder / "model.safetensors").write_bytes(b"adapter")
    (folder / "model.safetensors").rename(folder / "adapter_model.safetensors")
    config = {"base_model_name_or_path": base, "peft_type": "LORA"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
    (folder / "base.json").write_text(json.dumps({"policy": base, "weights": "0"}))
    return folder
