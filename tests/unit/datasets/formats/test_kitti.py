"""The KITTI reader on label files written by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.cli import main
from dipr1.datasets.formats import kitti
from dipr1.datasets.formats.kitti import read
from dipr1.datasets.reading import ANY_LABEL, Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import Layout, Scene, Thing, joined, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "kitti"


@pytest.fixture
def reading() -> Reading:
    return read(str(FOLDER), "image_2")


def test_an_empty_label_file_is_an_image_without_objects(reading):
    assert image_ids(reading) == ["000007", "000008"]
    assert [image.image for image in reading.images] == ["image_2/000007.png", "image_2/000008.png"]
    assert {row.image_id for row in boxes_of(reading)} == {"000007"}


def test_boxes_are_corners_counted_from_zero_and_keep_their_decimals(reading):
    assert boxes_of(reading)[0] == (
        "000007",
        (10.4, 20.0, 30.73, 80.92),
        "Pedestrian",
        False,
        None,
    )
    assert boxes_of(reading)[1].label == "Person_sitting"
    assert boxes_of(reading)[1].visibility is None  # neither truncation nor grades say how much


def test_dont_care_lines_have_a_valid_box_and_are_ignored_whatever_is_asked(reading):
    assert boxes_of(reading)[2] == (
        "000007", (100.89, 10.71, 190.61, 30.13), ANY_LABEL, True, None
    )  # fmt: skip
    assert ANY_LABEL not in reading.categories


def test_result_files_have_a_score_besides(reading):
    assert boxes_of(reading)[3] == (
        "000007",
        (200.6, 100.93, 260.98, 180.95),
        "Cyclist",
        False,
        None,
    )


def test_a_class_may_have_two_words(tmp_path):
    numbers = "0.00 0 -1.57 20.00 30.00 40.00 70.00 1.20 0.50 0.80 1.00 1.50 9.00 -1.60"
    rows = [f"Person sitting {numbers}", f"Person sitting {numbers} 0.9", f"0 {numbers}"]
    (tmp_path / "a.txt").write_text("\n".join(rows))
    reading = read(str(tmp_path))
    assert boxes_of(reading) == [
        ("a", (20, 30, 40, 70), label, False, None) for label in (*["Person sitting"] * 2, "0")
    ]


def test_other_lines_are_rejected_with_place_reason_and_text(reading):
    fault = "not a type and 14 numbers"
    assert rejects(reading) == [
        ("000007.txt", "line 6", fault, "Car 0.00 0 1.85 10.00 10.00"),
        ("000007.txt", "line 7", fault, "Car 0.00 0 1.85 left 10.00 20.00 20.00 1 1 1 1 1 1 1"),
        (
            "000007.txt",
            "line 8",
            fault,
            "7 0 Car 0.00 0 1.85 10.00 10.00 20.00 20.00 1 1 1 1 1 1 1",
        ),
        (
            "000007.txt",
            "line 9",
            "bbox has no area",
            "Van 0.00 0 0 50.00 60.00 50.00 70.00 1 1 1 1 1 1 1",
        ),
    ]


def test_one_file_is_read_alone():
    assert image_ids(read(str(FOLDER / "000008.txt"))) == ["000008"]


def test_a_folder_without_label_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.txt file in this folder"):
        read(str(tmp_path))
    with pytest.raises(UserError, match="no such file or folder"):
        read(str(tmp_path / "label_2"))


@pytest.mark.parametrize(
    ("asked", "labels"),
    [(["Cyclist"], ["Cyclist", "Cyclist"]), (["Cyclist", "Car"], [ANY_LABEL, "Cyclist"])],
)
def test_convert_keeps_what_is_ignored_for_every_label(tmp_path, asked, labels):
    (tmp_path / "sizes.json").write_text('{"000007": [375, 1242], "000008": [375, 1242]}')
    files = ["--annotations", str(FOLDER), "--sizes", str(tmp_path / "sizes.json")]
    output = tmp_path / "a.parquet"
    command = ["convert", "--format", "kitti", *files, "--output", str(output), "--labels"]
    assert main([*command, *asked]) == 0
    row = ANNOTATIONS.read(output).to_pylist()[0]
    assert row["labels"] == labels
    assert row["ignore"] == [True, False]
    assert row["boxes"][0] == pytest.approx([100.89, 10.71, 190.61, 30.13])


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def row(thing: Thing) -> str:
        if thing.ignore:
            return joined(" ", "DontCare -1 -1 -10", *thing.xyxy, "-1 -1 -1 -1000 -1000 -1000 -10")
        return joined(" ", thing.label, "0.00 0 -0.2", *thing.xyxy, "1.9 0.5 1.2 1.8 1.5 8.4 0.01")

    for name, things in scene.items():
        lines(folder / f"{name}.txt", [row(thing) for thing in things])
    return str(folder), None


LAYOUTS = [Layout(write_scene, kitti.LABELS, [ANY_LABEL], unit=0.25)]
