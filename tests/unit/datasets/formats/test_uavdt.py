"""The UAVDT reader on ground truth written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.datasets.formats import uavdt
from dipr1.datasets.formats.uavdt import read
from dipr1.datasets.reading import ANY_LABEL
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import Layout, Scene, joined, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "uavdt"


@pytest.fixture
def frames(tmp_path: Path) -> str:
    """Six frames of M0101, of which 1, 5 and 6 have no good line, and none of M0205."""
    (tmp_path / "M0101").mkdir()
    for frame in range(1, 7):
        (tmp_path / "M0101" / f"img{frame:06d}.jpg").touch()
    (tmp_path / "M0101" / "Thumbs.db").touch()
    return str(tmp_path)


def test_frames_without_objects_are_read_from_the_folder_of_images(frames):
    reading = read(str(FOLDER), frames)
    assert image_ids(reading) == [f"M0101/img{frame:06d}" for frame in range(1, 7)] + [
        "M0205/img000001"
    ]
    assert reading.images[0].image == f"{frames}/M0101/img000001.jpg"


def test_without_images_the_frames_are_those_with_lines():
    assert image_ids(read(str(FOLDER))) == [
        *("M0101/img000002", "M0101/img000004", "M0101/img000003"),  # 3 is only in the ignore file
        "M0205/img000001",
    ]


def test_boxes_and_categories_are_those_of_gt_whole_alone():
    boxes = [row for row in boxes_of(read(str(FOLDER))) if not row.ignore]
    assert boxes == [
        ("M0101/img000002", (10, 20, 40, 60), "car", False, None),
        ("M0101/img000002", (50, 60, 120, 140), "truck", False, None),
        ("M0101/img000004", (11, 21, 41, 61), "bus", False, None),
        ("M0205/img000001", (5, 6, 12, 14), "car", False, None),
    ]


def test_the_ignore_file_holds_for_every_label_and_may_be_empty_or_missing(tmp_path):
    ignored = [row for row in boxes_of(read(str(FOLDER))) if row.ignore]
    assert ignored == [
        ("M0101/img000002", (500, 40, 550, 269), ANY_LABEL, True, None),
        ("M0101/img000003", (501, 40, 551, 269), ANY_LABEL, True, None),
    ]
    (tmp_path / "M0301_gt_whole.txt").write_text("1,1,5,6,7,8,1,1,1\n")
    assert [row.ignore for row in boxes_of(read(str(tmp_path)))] == [False]


def test_other_lines_are_rejected_with_place_reason_and_text():
    file = "M0101_gt_whole.txt"
    assert rejects(read(str(FOLDER))) == [
        (file, "line 4", "unknown category", "4,9,1,2,3,4,1,1,-1"),
        (file, "line 5", "frames count from 1", "0,1,1,2,3,4,1,1,1"),
        (file, "line 6", "not nine numbers", "5,1,1,2,3"),
    ]


def test_a_box_that_is_rejected_later_is_found_again_in_its_own_file():
    assert ("M0101_gt_ignore.txt", "line 1", "bbox lies outside its image",
            "2,7,500,40,50,229,1,-1,-1") in rejects(
        read(str(FOLDER)), size=(400, 400)
    )  # fmt: skip


def test_one_sequence_can_be_read_alone_with_its_ignore_file():
    reading = read(str(FOLDER / "M0101_gt_whole.txt"))
    assert len(boxes_of(reading)) == 5
    assert {image.image_id.split("/")[0] for image in reading.images} == {"M0101"}


def test_files_without_categories_are_refused_with_the_remedy():
    with pytest.raises(UserError, match=r"expected files named M0101_gt_whole\.txt"):
        read(str(FOLDER / "M0101_gt.txt"))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    files: dict[str, list[str]] = {}
    for name, things in scene.items():
        sequence, frame = name.split("/img")
        (folder / "images" / sequence).mkdir(parents=True, exist_ok=True)
        (folder / "images" / f"{name}.jpg").touch()
        rows = {
            kind: files.setdefault(f"{sequence}_{kind}", []) for kind in ("gt_whole", "gt_ignore")
        }
        for number, thing in enumerate(things):
            place = joined(",", int(frame), number, *map(int, thing.xywh))
            if thing.ignore:
                rows["gt_ignore"].append(f"{place},1,-1,-1")
            else:
                category = uavdt.LABELS.index(thing.label) + 1
                rows["gt_whole"].append(f"{place},2,3,{category}")
    for name, rows in files.items():
        lines(folder / "GT" / f"{name}.txt", rows)
    return str(folder / "GT"), str(folder / "images")


LAYOUTS = [
    Layout(
        write_scene,
        uavdt.LABELS,
        [ANY_LABEL],
        name=lambda number: f"M010{number % 3}/img{number:06d}",
    )
]
