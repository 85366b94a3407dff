"""What an answer looks like."""

from __future__ import annotations

import pytest
from PIL import Image, ImageColor

from dipr1.report.drawn import GAP, drawn, view_colour


def colour(view: int) -> tuple[int, ...]:
    return ImageColor.getrgb(view_colour(view))


@pytest.fixture
def picture() -> Image.Image:
    return Image.new("RGB", (400, 300), "black")


def test_boxes_have_the_colour_of_their_view_where_they_are(picture):
    boxes, windows = [[10, 20, 60, 120], [200, 100, 240, 180]], [[150, 50, 350, 250]]
    sheet = drawn(picture, boxes, [0, 1], [0.5, 0.25], [[5, 5, 100, 150]], windows)
    scale = 2  # 900 // 400
    assert sheet.getpixel((10 * scale, 100 * scale)) == colour(0)
    assert sheet.getpixel((200 * scale, 150 * scale)) == colour(1)
    assert sheet.getpixel((150 * scale, 200 * scale)) == colour(1)  # the window's border
    assert sheet.getpixel((5 * scale, 5 * scale)) == (255, 255, 255)  # a look
    # the window is half as high as the picture, beside it, with the box that it gave
    assert sheet.size == (400 * scale + GAP + 300, 300 * scale)
    enlarged = 300 / 200
    left = 400 * scale + GAP + round((200 - 150) * enlarged)
    assert sheet.getpixel((left, round((150 - 50) * enlarged))) == colour(1)


def test_four_windows_stand_in_two_columns(picture):
    windows = [[0, 0, 200, 150]] * 4
    sheet = drawn(picture, [], [], [], windows=windows)
    assert sheet.size == (800 + 2 * (GAP + 400), 2 * 300 + GAP)


def test_without_windows_it_is_the_picture_alone(picture):
    sheet = drawn(picture, [[30, 40, 10, 20]], [0], [1.0])
    assert sheet.size == (800, 600)
    assert sheet.getpixel((20, 60)) == colour(0)  # corners in any order
    assert drawn(Image.new("RGB", (2000, 10)), [], [], []).size == (2000, 10)
