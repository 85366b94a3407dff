"""The VisDrone reader on annotation files written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.datasets.formats import visdrone
from dipr1.datasets.formats.visdrone import read
from dipr1.datasets.reading import ANY_LABEL, Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import Layout, Scene, joined, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

NAME = "0000001_00000_d_0000001"


@pytest.fixture
def reading() -> Reading:
    return read(str(FIXTURES / "visdrone"), "images")


def test_an_empty_file_is_an_image_without_objects(reading):
    assert image_ids(reading) == [NAME, "0000002_00000_d_0000001"]
    assert reading.images[0].image == f"images/{NAME}.jpg"


def test_boxes_are_turned_from_widths_to_corners(reading):
    assert boxes_of(reading)[0] == (NAME, (10, 20, 40, 60), "pedestrian", False, None)


def test_a_comma_at_the_end_is_allowed(reading):
    assert boxes_of(reading)[1] == (NAME, (50, 60, 57, 68), "car", False, None)


def test_category_0_is_ignored_whatever_is_asked(reading):
    assert boxes_of(reading)[2] == (NAME, (0, 0, 300, 100), ANY_LABEL, True, None)


def test_a_score_of_0_ignores_a_box_for_its_own_label(reading):
    assert boxes_of(reading)[3:5] == [
        (NAME, (70, 80, 79, 90), "others", True, None),
        (NAME, (90, 90, 95, 95), "people", True, None),
    ]


def test_other_lines_are_rejected_with_place_reason_and_text(reading):
    file = f"{NAME}.txt"
    assert rejects(reading) == [
        (file, "line 7", "unknown category", "1,2,3,4,1,12,0,0"),
        (file, "line 8", "not eight numbers", "1,2,3,4,1,1,0"),
        (file, "line 9", "not eight numbers", "1,2,3,4,1,one,0,0"),
        (file, "line 10", "bbox has no area", "5,5,0,9,1,1,0,0"),
    ]


def test_a_folder_without_text_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.txt file in this folder"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    names = (ANY_LABEL, *visdrone.LABELS)
    for name, things in scene.items():
        rows = [
            joined(
                ",", *map(int, thing.xywh), int(not thing.ignore), names.index(thing.label), 0, 1
            )
            for thing in things
        ]
        comma = "," if len(rows) % 2 else ""
        lines(folder / f"{name}.txt", [row + comma for row in rows])
    return str(folder), None


LAYOUTS = [Layout(write_scene, visdrone.LABELS, [ANY_LABEL, *visdrone.LABELS])]
