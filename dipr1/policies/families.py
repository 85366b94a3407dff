"""Families of policies: in which frame a checkpoint of each answers.

To add a family, name it in `FAMILIES`.
"""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, Literal

from dipr1.artifacts.made import POLICY_FILES, Input, content_digest, read_made
from dipr1.errors import UserError
from dipr1.frames import (
    LARGEST_ASPECT_RATIO,
    MAX_PIXELS,
    MERGE_SIZE,
    MIN_PIXELS,
    PATCH_SIZE,
    Bounds,
    PolicyFrames,
)
from dipr1.policies.adapters import base_of, is_adapter
from dipr1.policies.bounding import bounded_frames
from dipr1.provenance import CHECKPOINT

# By the beginning of `model_type` in config.json: the coordinates that the family was trained with.
# Qwen2-VL resizes as Qwen2.5-VL does, but answers in thousandths.
FAMILIES: dict[str, Literal["absolute", "thousandths"]] = {
    "qwen2_vl": "thousandths",
    "qwen2_5_vl": "absolute",
    "qwen3_vl": "thousandths",
    "internvl": "thousandths",
}


def policy_folder(folder_or_name: str) -> Path:
    """The checkpoint folder of a policy, or the folder of an adapter.

    Args:
        folder_or_name: a Hugging Face checkpoint folder, an adapter's, or `tiny`.

    Raises:
        UserError: there is no checkpoint in it.
    """
    folder = CHECKPOINT if folder_or_name == "tiny" else Path(folder_or_name)
    if not any((folder / name).is_file() for name in POLICY_FILES):
        raise UserError(
            f"{folder / 'config.json'}: no such file; --policy takes `tiny` or the folder of a"
            " downloaded Hugging Face checkpoint, or of an adapter"
        )
    return folder


def whole_folder(folder_or_name: str) -> Path:
    """The checkpoint folder of a policy; of an adapter, that of its base.

    Raises:
        UserError: there is no checkpoint in it, or no base where the adapter says.
    """
    folder = policy_folder(folder_or_name)
    if not is_adapter(folder):
        return folder
    base, _ = base_of(folder)
    try:
        return whole_folder(base)
    except UserError:
        raise UserError(
            f"{folder}: is an adapter of {base}, where no checkpoint is; put it there, or say in"
            " its base.json where it is"
        ) from None


def policy_input(folder_or_name: str) -> Input:
    """A policy as what an artifact is made from."""
    return Input(folder_or_name, content_digest(policy_folder(folder_or_name)), "policy")


def read_policy_frames(
    folder_or_name: str,
    kind: Literal["absolute", "thousandths"] | None = None,
    bounds: Bounds = Bounds(),  # noqa: B008 (it is frozen)
) -> PolicyFrames:
    """Read from a checkpoint's JSON files in which frame it answers.

    Args:
        folder_or_name: a Hugging Face checkpoint folder, an adapter's, or `tiny`.
        kind: what a fine-tune answers in, where that is not its family's, nor what it was trained
            in here.
        bounds: of the pixels that it is shown, where they are not the checkpoint's.

    Raises:
        UserError: there is no checkpoint in it, its files are not JSON, its family or the resize of
            its processor is not known, or it cannot keep to the bounds.

    >>> read_policy_frames("tiny").fixed
    (128, 128)
    """
    return bounded_frames(_own_frames(folder_or_name, kind), bounds)


def _own_frames(
    folder_or_name: str, kind: Literal["absolute", "thousandths"] | None
) -> PolicyFrames:
    folder = whole_folder(folder_or_name)
    config = settings_in(folder / "config.json") or {}
    declared = config.get("dipr1_frame")
    if declared and kind != "thousandths":
        return PolicyFrames("absolute", fixed=(int(declared["width"]), int(declared["height"])))
    family = str(config.get("model_type"))
    if family == "internvl_chat":
        raise UserError(
            f"{folder / 'config.json'}: model_type 'internvl_chat' needs code of its own, which"
            " transformers lacks; download the same checkpoint with -HF at the end of its name"
        )
    own = policy_folder(folder_or_name)  # an adapter is kept with the processor that it saw by
    kind = kind or (read_made(own).options or {}).get("frame") or _family_frame(folder, family)
    is_qwen = family.startswith("qwen")
    if kind == "thousandths":
        ratio = LARGEST_ASPECT_RATIO if is_qwen else math.inf
        return PolicyFrames("thousandths", largest_ratio=ratio)
    if not is_qwen:
        raise UserError(
            f"{folder / 'config.json'}: how model_type {family!r} resizes images is not known, so"
            " --frame can only be thousandths"
        )
    return _read_resize(own if any(own.glob("*processor_config.json")) else folder)


def _family_frame(folder: Path, family: str) -> Literal["absolute", "thousandths"]:
    for name, kind in FAMILIES.items():
        if family.startswith(name):
            return kind
    raise UserError(
        f"{folder / 'config.json'}: no known frame for model_type {family!r}; known families:"
        f" {', '.join(FAMILIES)}; name the frame of any other (--frame, policy.frame)"
    )


def _read_resize(folder: Path) -> PolicyFrames:
    """The resize of a Qwen2-VL processor; some checkpoints keep it in processor_config.json."""
    settings = settings_in(folder / "preprocessor_config.json")
    if settings is None:
        settings = (settings_in(folder / "processor_config.json") or {}).get("image_processor", {})
    size = settings.get("size") or {}
    # min_pixels wins over size where both are given, as in transformers.
    least = settings.get("min_pixels") or size.get("shortest_edge") or size.get("min_pixels")
    most = settings.get("max_pixels") or size.get("longest_edge") or size.get("max_pixels")
    return PolicyFrames(
        "absolute",
        factor=settings.get("patch_size", PATCH_SIZE) * settings.get("merge_size", MERGE_SIZE),
        min_pixels=least or MIN_PIXELS,
        max_pixels=most or MAX_PIXELS,
    )


def settings_in(path: Path) -> dict[str, Any] | None:
    """What a JSON file of a checkpoint says; None where there is no such file.

    Raises:
        UserError: it holds no JSON object.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except ValueError as error:
        raise UserError(f"{path}: not JSON ({error}); download the checkpoint again") from None
    if not isinstance(content, dict):
        raise UserError(f"{path}: expected a JSON object but got {type(content).__name__}")
    return content
