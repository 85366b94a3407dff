"""Image files as people see them: turned as their EXIF says, eight bits a channel.

Whoever drew the boxes saw the turned picture, in a browser or an annotation tool. So its size is
the size everywhere, and policies and reports are shown its pixels; `ignore` is for sets whose boxes
were made on the pixels as they are stored.
"""

from __future__ import annotations

import numpy as np
from PIL import Image

TURN, IGNORE = "turn", "ignore"  # what becomes of an EXIF orientation

_ORIENTATION = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_16_BIT = ("I;16", "I;16L", "I;16B", "I;16N")
_16_BIT_IN_32 = ("PNG", "PPM")  # formats whose mode `I` has the range of 16 bits


def orientation(image: Image.Image) -> int:
    """The EXIF orientation, 1 (upright) where there is none that makes sense.

    From 5 on width and height change places. What EXIF a PNG has after its pixels is known once it
    is loaded; a TIFF is turned by Pillow then.
    """
    try:
        # not PNG's own, which decodes the file to look for what follows the pixels
        value = Image.Image.getexif(image).get(_ORIENTATION, 1)
    except Exception:  # whatever broken bytes lead to; the pixels do not suffer from it
        return 1
    return value if value in _TURNS else 1


def seen_size(image: Image.Image, exif: str = TURN) -> tuple[int, int]:
    """Width and height of the picture as it is seen.

    >>> seen_size(Image.new("L", (4, 3)))
    (4, 3)
    """
    turned = exif == TURN and orientation(image) >= 5
    return image.size[::-1] if turned else image.size


def has_known_range(image: Image.Image) -> bool:
    """Whether it is known which of its numbers is white.

    >>> has_known_range(Image.new("I;16", (4, 3))), has_known_range(Image.new("F", (4, 3)))
    (True, False)
    """
    return image.mode != "F" and (image.mode != "I" or image.format in _16_BIT_IN_32)


def seen(image: Image.Image, exif: str = TURN) -> Image.Image:
    """The picture in RGB as it is seen; 16 bits are scaled to eight.

    Args:
        image: as it was opened.
        exif: `turn`, or `ignore` for the pixels as they are stored.

    Raises:
        ValueError: it is not known which of its numbers is white.
        OSError: it is broken.
    """
    if not has_known_range(image):
        raise ValueError(f"its pixels are numbers without a known range (mode {image.mode})")
    image.load()
    turn = _TURNS.get(orientation(image)) if exif == TURN else None
    if turn is not None:
        image = image.transpose(turn)
    if image.mode in (*_16_BIT, "I"):
        image = Image.fromarray((np.asarray(image) / 257).round().clip(0, 255).astype(np.uint8))
    return image.convert("RGB")
