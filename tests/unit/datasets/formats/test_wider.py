"""The WIDER Pedestrian reader on lists written by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dipr1.datasets.formats import wider
from dipr1.datasets.formats.wider import ignore_file, read
from dipr1.datasets.reading import ANY_LABEL, Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import Layout, Scene, joined, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "wider"


@pytest.fixture
def reading() -> Reading:
    return read(str(FOLDER / "train_annotations.txt"), "train")


def test_a_name_alone_is_an_image_without_people(reading):
    assert image_ids(reading) == ["img00001.jpg", "img00002.jpg", "img00003.jpg", "img00005.jpg"]
    assert reading.images[1].image == "train/img00002.jpg"
    assert not [
        row for row in boxes_of(reading) if row.image_id == "img00002.jpg" and not row.ignore
    ]


def test_boxes_come_with_their_class(reading):
    assert boxes_of(reading)[:2] == [
        ("img00001.jpg", (10, 20, 40, 60), "pedestrian", False, None),
        ("img00001.jpg", (50, 60, 57, 68), "cyclist", False, None),
    ]


def test_the_ignore_file_of_the_same_split_is_read(reading):
    assert [row for row in boxes_of(reading) if row.ignore] == [
        ("img00001.jpg", (100, 200, 130, 240), ANY_LABEL, True, None),
        ("img00001.jpg", (500, 0, 550, 60), ANY_LABEL, True, None),
        ("img00002.jpg", (5, 6, 12, 14), ANY_LABEL, True, None),
    ]


def test_lines_and_boxes_of_no_use_are_rejected_with_place_reason_and_text(reading):
    train, ignore = "train_annotations.txt", "pedestrian_ignore_part_train.txt"
    assert sorted(rejects(reading)) == [
        (ignore, "line 3", "not an image of the split", "img00099.jpg 1 2 3 4"),
        (ignore, "line 4", "not four numbers per box", "img00003.jpg 1 2 3"),
        (train, "line 3", "class is neither 1 nor 2", "3 5 6 7 8"),
        (train, "line 3", "not four numbers", "9 9 x 9"),
        (train, "line 4", "not a name and five numbers per box", "img00004.jpg 1 10 20 30"),
        (train, "line 5", "its id is listed twice", "img00001.jpg"),
        (train, "line 5", "its image is rejected", "img00001.jpg 1 1 2 3 4"),
        (train, "line 7", "bbox has no area", "img00005.jpg 1 0 0 0 9"),
    ]


def test_a_folder_is_all_its_annotation_files_each_with_its_ignore_file():
    reading = read(str(FOLDER))
    assert image_ids(reading)[-1] == "img00006.jpg"
    assert [row[1:4] for row in boxes_of(reading) if row.image_id == "img00006.jpg"] == [
        ((1, 2, 4, 6), "cyclist", False),
        ((7, 8, 16, 18), ANY_LABEL, True),
    ]


def test_names_of_2019_and_images_in_several_folders(tmp_path: Path):
    (tmp_path / "train_bbox.txt").write_text("ad00001.jpg 1 2 3 4\nsur00001.jpg\n")
    (tmp_path / "train_ignore.txt").write_text("sur00001.jpg 5 6 7 8\n")
    for name in ("images/ad_train/ad_02/ad00001.jpg", "images/sur_train/sur00001.jpg"):
        (tmp_path / name).parent.mkdir(parents=True)
        (tmp_path / name).touch()
    reading = read(str(tmp_path / "train_bbox.txt"), str(tmp_path / "images"))
    assert [image.image for image in reading.images] == [
        str(tmp_path / "images/ad_train/ad_02/ad00001.jpg"),
        str(tmp_path / "images/sur_train/sur00001.jpg"),
    ]
    assert [row.ignore for row in boxes_of(reading)] == [False, True]


def test_the_lines_of_2019_have_no_class(tmp_path: Path):
    rows = ["a.jpg 1 2 3 4 5 6 7 8", "b.jpg", "c.jpg 1 1 2 3 4", "d.jpg 2 2 2 2"]
    (tmp_path / "val_bbox.txt").write_text("\n".join(rows))
    reading = read(str(tmp_path / "val_bbox.txt"))
    assert [row[:3] for row in boxes_of(reading)] == [
        ("a.jpg", (1, 2, 4, 6), "pedestrian"),
        ("a.jpg", (5, 6, 12, 14), "pedestrian"),
        ("d.jpg", (2, 2, 4, 4), "pedestrian"),
    ]
    assert [row[1:3] for row in rejects(reading)] == [
        ("line 3", "not a name and four numbers per box")
    ]


def test_two_ignore_files_of_a_split_are_refused(tmp_path: Path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "train_ignore.txt").touch()
    with pytest.raises(UserError, match="could each be its ignore file"):
        read(str(tmp_path / "train_annotations.txt"))


@pytest.mark.parametrize(
    ("annotations", "others", "expected"),
    [
        ("val_bbox.txt", ["val_ignore.txt", "train_ignore.txt"], "val_ignore.txt"),
        ("dev.txt", ["ignore.dev.txt"], "ignore.dev.txt"),
        ("gt.txt", ["ignore.txt", "train_ignore.txt"], "ignore.txt"),  # neither names a split
        ("val.txt", ["ignore.txt"], None),
        ("val.txt", ["val.txt.ignore"], None),
    ],
)
def test_the_ignore_file_is_told_by_the_split_in_its_name(tmp_path, annotations, others, expected):
    for name in (annotations, *others):
        (tmp_path / name).touch()
    chosen = ignore_file(str(tmp_path / annotations))
    assert chosen == (expected and str(tmp_path / expected))


def test_a_folder_without_annotation_files_is_named(tmp_path: Path):
    (tmp_path / "train.txt").write_text("img00001.jpg\n")
    with pytest.raises(UserError, match=r"expected files such as train_annotations\.txt"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    rows, ignored = [], []
    for name, things in scene.items():
        words: list[object] = [name]
        for thing in things:
            if not thing.ignore:
                words += [wider.LABELS.index(thing.label) + 1, *map(int, thing.xywh)]
        rows.append(joined(" ", *words))
        regions = [int(value) for thing in things if thing.ignore for value in thing.xywh]
        if regions:
            ignored.append(joined(" ", name, *regions))
    lines(folder / "val_annotations.txt", rows)
    lines(folder / "pedestrian_ignore_part_val.txt", ignored)
    return str(folder / "val_annotations.txt"), None


LAYOUTS = [
    Layout(write_scene, wider.LABELS, [ANY_LABEL], name=lambda number: f"img{number:05d}.jpg")
]
