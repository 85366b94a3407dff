"""Image sizes from headers: right, without decoding whole files, and total on broken ones."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.datasets.images import image_sizes


@pytest.fixture
def picture() -> Image.Image:
    pixels = np.random.default_rng(0).integers(0, 256, (31, 57, 3), np.uint8)
    return Image.fromarray(pixels)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp", "bmp", "gif", "tif"])
def test_width_and_height(tmp_path: Path, picture, suffix):
    path = str(tmp_path / f"a.{suffix}")
    picture.save(path)
    assert image_sizes([path]) == [(57, 31)]


def test_no_paths():
    assert image_sizes([]) == []


def test_answers_keep_the_order_of_the_paths(tmp_path: Path):
    paths = []
    for width in range(1, 40):
        paths.append(str(tmp_path / f"{width}.png"))
        Image.new("L", (width, 2)).save(paths[-1])
    assert image_sizes(paths) == [(width, 2) for width in range(1, 40)]


def test_the_orientation_tag_is_not_applied(tmp_path: Path, picture):
    exif = Image.Exif()
    exif[0x0112] = 6
    picture.save(tmp_path / "turned.jpg", exif=exif)
    assert image_sizes([str(tmp_path / "turned.jpg")]) == [(57, 31)]


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_a_truncated_file_is_broken(tmp_path: Path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    picture.save(path)
    path.write_bytes(path.read_bytes()[:-400])
    (reason,) = image_sizes([str(path)])
    assert isinstance(reason, str) and reason.startswith("image file is broken: ")
    assert str(tmp_path) not in reason


@pytest.mark.parametrize("suffix", ["jpg", "png"])
def test_something_appended_is_no_fault(tmp_path: Path, picture, suffix):
    path = tmp_path / f"a.{suffix}"
    picture.save(path)
    path.write_bytes(path.read_bytes() + b"appended by a camera")
    assert image_sizes([str(path)]) == [(57, 31)]


@pytest.mark.parametrize("content", [b"", b"\xff\xd8\xff", b"no image at all" * 10])
def test_a_file_that_is_no_image_is_broken(tmp_path: Path, content):
    path = tmp_path / "a.jpg"
    path.write_bytes(content)
    (reason,) = image_sizes([str(path)])
    assert isinstance(reason, str) and reason.startswith("image file is broken: ")
    assert str(tmp_path) not in reason


def test_a_folder_and_a_missing_file_are_told_apart(tmp_path: Path):
    folder, missing = image_sizes([str(tmp_path), str(tmp_path / "missing.jpg")])
    assert folder.startswith("image file is broken: ")
    assert missing == "image file is missing"
