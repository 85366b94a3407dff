"""Load a policy: its model, its processor and its images in the frame it reads."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from PIL import Image

from dipr1.errors import UserError
from dipr1.pixels import TURN, seen
from dipr1.policies.families import policy_folder

if TYPE_CHECKING:
    from transformers import PreTrainedModel, ProcessorMixin

IMAGE_CACHE = 4096  # resized images kept, so that G responses to one prompt decode it once


@dataclass
class LoadedPolicy:
    """A multimodal LLM ready to answer."""

    model: PreTrainedModel
    processor: ProcessorMixin


def load_policy(name: str, dtype: str = "float32", threads: int | None = None) -> LoadedPolicy:
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
    return LoadedPolicy(model, processor)


@functools.lru_cache(maxsize=IMAGE_CACHE)
def load_image(path: str, frame: str, width: float, height: float, exif: str = TURN) -> Image.Image:
    """An image in the model's frame: resized where the frame is absolute.

    The processor's own resize is then the identity, so the frame's size is the size that the
    model sees, for every family.

    Args:
        path: the image file.
        frame: ``absolute`` or ``thousandths``.
        width: the frame's width (used where it is absolute).
        height: the frame's height.
        exif: what becomes of its EXIF orientation.

    Raises:
        UserError: the file cannot be read as an image.
    """
    try:
        with Image.open(path) as opened:
            image = seen(opened, exif)
    # Pillow's plugins raise whatever the broken bytes lead to (SyntaxError, struct.error, ...).
    except Exception as error:
        raise UserError(
            f"{path}: cannot be read as an image ({error}); mend the file, or convert again with"
            " --decode, which leaves broken images out"
        ) from None
    if frame == "absolute":
        image = image.resize((round(width), round(height)), Image.Resampling.BICUBIC)
    return image
