"""The Penn-Fudan reader on annotation files written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.datasets.formats.pennfudan import read
from dipr1.datasets.reading import Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import HEIGHT, WIDTH, Layout, Scene, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects


@pytest.fixture
def reading() -> Reading:
    return read(str(FIXTURES / "pennfudan"), "PNGImages")


def test_the_image_is_found_by_its_name_not_by_the_path_in_the_file(reading):
    image = reading.images[0]
    assert (image.image, image.size) == ("PNGImages/FudanPed00001.png", ("559", "536"))


def test_boxes_count_from_1_with_both_ends_inside(reading):
    assert boxes_of(reading)[:2] == [
        ("FudanPed00001", (0, 0, 302, 431), "person", False, None),
        ("FudanPed00001", (419, 170, 559, 536), "person", False, None),
    ]


def test_a_file_that_was_cut_short_spoils_its_image_only(reading):
    assert image_ids(reading) == ["FudanPed00001"]
    assert [image.fault for image in reading.images[1:]] == [
        "its file has more or fewer boxes than it announces",
        "no file name, size or number of objects in its file",
    ]


def test_other_records_are_rejected_with_place_reason_and_text(reading):
    box = "(Xmin, Ymin) - (Xmax, Ymax)"
    assert [row for row in rejects(reading) if row[1].startswith("line")] == [
        (
            "FudanPed00001.txt",
            "line 14",
            "no (Xmin, Ymin) - (Xmax, Ymax)",
            f'Bounding box for object 3 "PASpersonWalking" {box} : (420, 171) - (535)',
        ),
        (
            "FudanPed00002.txt",
            "line 4",
            "its image is rejected",
            f'Bounding box for object 1 "PASpersonWalking" {box} : (10, 20) - (30, 40)',
        ),
    ]


def test_a_folder_without_text_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.txt file in this folder"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    for name, things in scene.items():
        boxes = [
            f'Bounding box for object {number} "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax) :'
            " ({}, {}) - ({}, {})".format(*map(int, (x + 1, y + 1, x + width, y + height)))
            for number, (x, y, width, height) in enumerate((t.xywh for t in things), start=1)
        ]
        head = [
            f'Image filename : "PennFudanPed/PNGImages/{name}.png"',
            f"Image size (X x Y x C) : {WIDTH} x {HEIGHT} x 3",
            f"Objects with ground truth : {len(things)} {{ }}",
        ]
        lines(folder / f"{name}.txt", head + boxes)
    return str(folder), None


LAYOUTS = [Layout(write_scene, name=lambda number: f"FudanPed{number:05d}")]
