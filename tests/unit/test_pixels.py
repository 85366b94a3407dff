"""Images are turned as EXIF says, and white stays white."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageOps

from dipr1.pixels import orientation, seen, seen_size

PIXELS = np.arange(4 * 3 * 3, dtype=np.uint8).reshape(4, 3, 3) * 7


@pytest.fixture
def opened(tmp_path):
    """A picture of 3 x 4 pixels with an EXIF orientation, opened from a file."""

    def open_one(turn: int, suffix: str = "png") -> Image.Image:
        exif = Image.Exif()
        exif[0x0112] = turn
        Image.fromarray(PIXELS).save(tmp_path / f"a.{suffix}", exif=exif)
        return Image.open(tmp_path / f"a.{suffix}")

    return open_one


@pytest.mark.parametrize("turn", range(1, 9))
def test_every_orientation_as_pillow_turns_it(opened, turn):
    with opened(turn) as image, opened(turn) as same, opened(turn) as stored:
        assert orientation(image) == turn
        assert seen_size(image) == ((4, 3) if turn >= 5 else (3, 4))
        assert (np.asarray(seen(image)) == np.asarray(ImageOps.exif_transpose(same))).all()
        assert (np.asarray(seen(stored, "ignore")) == PIXELS).all()


def test_a_tiff_is_turned_once(opened):
    with opened(6, "tif") as image:
        assert (np.asarray(seen(image)) == np.rot90(PIXELS, -1)).all()


@pytest.mark.parametrize("turn", [0, 9, 600])
def test_an_orientation_that_there_is_not_is_upright(opened, turn):
    with opened(turn) as image:
        assert orientation(image) == 1


@pytest.mark.parametrize("suffix", ["png", "pgm", "tif"])
def test_sixteen_bits_are_scaled(tmp_path, suffix):
    levels = np.array([[0, 257, 32768, 65535]], np.uint16)
    Image.fromarray(levels).save(tmp_path / f"a.{suffix}")
    with Image.open(tmp_path / f"a.{suffix}") as image:
        assert np.asarray(seen(image))[0, :, 0].tolist() == [0, 1, 128, 255]


@pytest.mark.parametrize("mode", ["I", "F"])
def test_numbers_of_no_known_range_are_refused(mode):
    with pytest.raises(ValueError, match="without a known range"):
        seen(Image.new(mode, (2, 2)))
