"""Load a policy: its model, its processor and its images in the frame it reads."""

from __future__ import annotations

import functools
import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from dipr1.errors import UserError

if TYPE_CHECKING:
    from PIL import Image
    from transformers import PreTrainedModel, ProcessorMixin

TINY = Path(__file__).parents[1] / "demo" / "checkpoint"
IMAGE_CACHE = 4096  # resized images kept, so that G responses to one prompt decode it once


@dataclass
class Policy:
    """A multimodal LLM ready to answer."""

    model: PreTrainedModel
    processor: ProcessorMixin


def policy_folder(name: str) -> Path:
    """Folder of a policy; ``tiny`` is the one that the package ships.

    Raises:
        UserError: there is no checkpoint in it.
    """
    folder = TINY if name == "tiny" else Path(name)
    if not (folder / "config.json").is_file():
        remedy = "run `dipr1 pretrain`" if name == "tiny" else "give a Hugging Face folder"
        raise UserError(f"policy {name!r}: no config.json in {folder}; {remedy}")
    return folder


def load_policy(name: str, dtype: str = "float32", threads: int | None = None) -> Policy:
    """Load model and processor from a Hugging Face checkpoint folder.

    Args:
        name: ``tiny`` or a folder.
        dtype: type of the weights, ``float32`` or ``bfloat16``.
        threads: CPU threads that torch may use.

    Raises:
        UserError: the folder holds no checkpoint.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor
    from transformers.utils import logging

    logging.disable_progress_bar()
    if threads:
        torch.set_num_threads(threads)
    folder = policy_folder(name)
    processor = AutoProcessor.from_pretrained(folder)
    processor.tokenizer.padding_side = "left"
    model = AutoModelForImageTextToText.from_pretrained(folder, dtype=getattr(torch, dtype))
    model.to("cuda" if torch.cuda.is_available() else "cpu").eval()
    return Policy(model, processor)


@functools.lru_cache(maxsize=IMAGE_CACHE)
def load_image(path: str, frame: str, width: float, height: float) -> Image.Image:
    """An image in the model's frame: resized where the frame is absolute.

    The processor's own resize is then the identity, so the frame's size is the size that the
    model sees, for every family.

    Args:
        path: the image file.
        frame: ``absolute`` or ``thousandths``.
        width: the frame's width (used where it is absolute).
        height: the frame's height.

    Raises:
        UserError: the file cannot be read as an image.
    """
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as opened:
            image = opened.convert("RGB")
    except (OSError, UnidentifiedImageError) as error:
        raise UserError(f"{path}: cannot be read as an image ({error}); convert again") from None
    if frame == "absolute":
        image = image.resize((round(width), round(height)), Image.Resampling.BICUBIC)
    return image


def fingerprint(options: dict, files: list[str | Path]) -> str:
    """Digest of what a result depends on; a part made under another one is not continued.

    Folders count by the names and contents of their files.
    """
    digest = hashlib.sha256(json.dumps(options, sort_keys=True, default=str).encode())
    for path in map(Path, files):
        inner = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in inner:
            digest.update(file.name.encode())
            with file.open("rb") as stream:
                digest.update(hashlib.file_digest(stream, "sha256").digest())
    return digest.hexdigest()
