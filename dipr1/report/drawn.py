"""An answer drawn on its picture, with what was looked at again beside it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image, ImageDraw, ImageFont

from dipr1.report.colours import LIGHT, colour_of

LEAST_SIDE = 900  # pixels to which a small picture is enlarged, whole times
LINE = 2
GAP = 8
LOOK = "#ffffff"
_DASH = 6


def view_colour(view: int) -> str:
    """The colour of the boxes of a view, and of its window.

    >>> view_colour(0) == view_colour(1)
    False
    """
    return LIGHT[colour_of(view + 1)]


def drawn(
    picture: Image.Image,
    boxes: ArrayLike,
    views: ArrayLike,
    confidence: ArrayLike,
    looks: ArrayLike = (),
    windows: ArrayLike = (),
) -> Image.Image:
    """The picture with boxes in the colour of their view, and its windows, enlarged, to its right.

    Args:
        picture: RGB; pixels are the boxes' frame.
        boxes: (N, 4).
        views: (N,) 0 the first view, k the k-th window.
        confidence: (N,).
        looks: (L, 4) drawn with broken lines.
        windows: (W, 4) drawn with thin lines.
    """
    scale = max(1, LEAST_SIDE // max(picture.size))
    whole = _with_boxes(picture, scale, boxes, views, confidence)
    for look in np.reshape(looks, (-1, 4)):
        _broken(ImageDraw.Draw(whole), look * scale)
    windows = np.reshape(windows, (-1, 4))
    for number, window in enumerate(windows, 1):
        ImageDraw.Draw(whole).rectangle([*(window * scale)], outline=view_colour(number))
    if not len(windows):
        return whole
    found = boxes, views, confidence
    crops = [
        _enlarged(picture, window, number, *found, whole.height)
        for number, window in enumerate(windows, 1)
    ]
    return _beside(whole, crops)


def _with_boxes(
    picture: Image.Image, scale: float, boxes: ArrayLike, views: ArrayLike, confidence: ArrayLike
) -> Image.Image:
    size = round(picture.width * scale), round(picture.height * scale)
    large = picture.convert("RGB").resize(size, Image.Resampling.BICUBIC)
    pen, font = ImageDraw.Draw(large), ImageFont.load_default(12)
    for box, view, sure in zip(np.reshape(boxes, (-1, 4)), views, confidence, strict=True):
        x1, y1, x2, y2 = box * scale
        colour = view_colour(int(view))
        pen.rectangle(
            [min(x1, x2), min(y1, y2), max(x1, x2), max(y1, y2)], outline=colour, width=LINE
        )
        corner = min(x1, x2) + LINE, min(y1, y2)
        pen.text(corner, f"{sure:.2f}", LOOK, font, stroke_width=1, stroke_fill="black")
    return large


def _enlarged(
    picture: Image.Image,
    window: np.ndarray,
    number: int,
    boxes: ArrayLike,
    views: ArrayLike,
    confidence: ArrayLike,
    height: int,
) -> Image.Image:
    """A window at half the height of the whole picture, with the boxes that it gave."""
    crop = picture.crop([round(side) for side in window])
    of_it = np.asarray(views) == number
    inside = np.reshape(boxes, (-1, 4))[of_it] - np.tile(window[:2], 2)
    scale = height / 2 / crop.height
    shown = _with_boxes(
        crop, scale, inside, np.asarray(views)[of_it], np.asarray(confidence)[of_it]
    )
    border = [0, 0, shown.width - 1, shown.height - 1]
    ImageDraw.Draw(shown).rectangle(border, outline=view_colour(number), width=LINE)
    return shown


def _beside(whole: Image.Image, crops: Sequence[Image.Image]) -> Image.Image:
    """The crops in two columns to the right of the picture."""
    columns = [crops[place::2] for place in range(min(2, len(crops)))]
    rows = [crops[place : place + 2] for place in range(0, len(crops), 2)]
    width = max(sum(crop.width + GAP for crop in row) for row in rows)
    height = max(sum(crop.height + GAP for crop in column) - GAP for column in columns)
    sheet = Image.new("RGB", (whole.width + width, max(whole.height, height)), "white")
    sheet.paste(whole, (0, 0))
    top = 0
    for row in rows:
        left = whole.width + GAP
        for crop in row:
            sheet.paste(crop, (left, top))
            left += crop.width + GAP
        top += max(crop.height for crop in row) + GAP
    return sheet


def _broken(pen: ImageDraw.ImageDraw, box: np.ndarray) -> None:
    """A rectangle of broken lines."""
    x1, y1, x2, y2 = box
    for low, high, lines in ((x1, x2, ((y1,), (y2,))), (y1, y2, ((x1,), (x2,)))):
        for begin in np.arange(low, high, 2 * _DASH):
            end = min(begin + _DASH, high)
            for (other,) in lines:
                along = low == x1 and high == x2
                pen.line(
                    [(begin, other), (end, other)] if along else [(other, begin), (other, end)],
                    fill=LOOK,
                )
