"""Pictures are small enough to embed and stay under their boxes."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest
from PIL import Image

from dipr1.report.pictures import data_uri, open_picture


def test_a_large_picture_is_made_smaller_and_small_enough():
    noise = np.random.default_rng(0).integers(0, 256, (1500, 3000, 3), np.uint8)
    data = base64.b64decode(data_uri(Image.fromarray(noise)).partition("base64,")[2])
    assert len(data) <= 60_000
    with Image.open(io.BytesIO(data)) as image:
        assert max(image.size) <= 960
        assert image.width == pytest.approx(2 * image.height, abs=2)


def test_a_picture_is_turned_to_the_frame_of_its_boxes(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # turn by 90 degrees when shown
    Image.new("RGB", (40, 20)).save(tmp_path / "a.jpg", exif=exif)
    assert open_picture(str(tmp_path / "a.jpg")).size == (20, 40)
    assert open_picture(str(tmp_path / "a.jpg"), exif="ignore").size == (40, 20)
