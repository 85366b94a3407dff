"""Sizes of image files, read from their headers without decoding the pixels."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import BinaryIO

from PIL import Image

from dipr1.progress import progress

# Reading headers waits for the disk or the network, so more threads than cores pay.
_NUM_THREADS = 8

# How a whole file ends. A file that ends otherwise was cut short, or has something appended.
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}


def image_sizes(paths: Sequence[str]) -> list[tuple[int, int] | str]:
    """Width and height of each image, or in words why it cannot be used.

    The size is that of the stored pixels: an EXIF orientation is not applied, as it is not when the
    policy's processor is given the image. JPEG and PNG files are decoded only if their end is not
    the format's own, to tell a truncated file from one with something appended; files of any other
    format are decoded.

    >>> image_sizes(["no/such/file.jpg"])
    ['image file is missing']
    """
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        sizes: Iterable[tuple[int, int] | str] = pool.map(_image_size, paths)
        return list(progress(sizes, total=len(paths), desc="image headers"))


def _image_size(path: str) -> tuple[int, int] | str:
    try:
        with open(path, "rb") as file, Image.open(file) as image:
            if not _ends_well(file, image.format):
                image.load()
            return image.size
    except FileNotFoundError:
        return "image file is missing"
    # Pillow's plugins raise whatever the broken bytes lead to (SyntaxError, struct.error, ...).
    except Exception as error:
        reason = " ".join(str(error).split()).replace(path, "the file")
        return f"image file is broken: {reason or type(error).__name__}"


def _ends_well(file: BinaryIO, image_format: str | None) -> bool:
    ending = _ENDINGS.get(image_format or "")
    if ending is None:
        return False
    position = file.tell()
    file.seek(0, 2)
    file.seek(max(0, file.tell() - len(ending)))
    found = file.read()
    file.seek(position)
    return found == ending
