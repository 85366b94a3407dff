"""Pictures for the page: read, made small enough, and written as data URIs."""

from __future__ import annotations

import base64
import io

from PIL import Image

from dipr1.errors import UserError
from dipr1.pixels import TURN, seen

LARGEST_SIDE = 960  # pixels of an embedded picture
LARGEST_BYTES = 60_000  # of an embedded picture, before base64 adds a third
QUALITIES = (82, 70, 55, 40)


def open_picture(file: str, largest_side: int | None = None, exif: str = TURN) -> Image.Image:
    """The picture in RGB, in the frame of its boxes.

    Args:
        file: its path.
        largest_side: read a JPEG at a smaller scale, but no smaller than this many pixels.
        exif: what becomes of its EXIF orientation.

    Raises:
        UserError: the file is missing or no image.
    """
    try:
        with Image.open(file) as image:
            if largest_side:
                image.draft("RGB", (largest_side, largest_side))
            return seen(image, exif)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "not an image"
        raise UserError(
            f"{file}: {reason}; the page shows images of the evaluation sets, so they must still"
            " be where the annotations say (or use --num-images 0 --num-suspects 0)"
        ) from None


def data_uri(
    image: Image.Image, largest_side: int = LARGEST_SIDE, largest_bytes: int = LARGEST_BYTES
) -> str:
    """The picture as a WebP data URI: first less quality, then fewer pixels until it is small.

    Args:
        image: RGB.
        largest_side: no side is longer than this, in pixels.
        largest_bytes: of the picture, before base64.

    >>> data_uri(Image.new("RGB", (9, 9)))[:23]
    'data:image/webp;base64,'
    """
    small = image.copy()
    small.thumbnail((largest_side, largest_side), Image.Resampling.LANCZOS)
    while True:
        for quality in QUALITIES:
            written = io.BytesIO()
            small.save(written, "WEBP", quality=quality, method=2)
            if written.tell() <= largest_bytes:
                return "data:image/webp;base64," + base64.b64encode(written.getvalue()).decode()
        small.thumbnail((small.width * 3 // 4, small.height * 3 // 4), Image.Resampling.LANCZOS)
