"""The MOTChallenge reader on sequences written by hand."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dipr1.datasets.formats import mot
from dipr1.datasets.formats.mot import read
from dipr1.datasets.reading import Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import (
    HEIGHT,
    QUARTERS,
    WIDTH,
    Layout,
    Scene,
    joined,
    lines,
)
from tests.unit.readings import FIXTURES, ReadBox, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "mot"


def of_sequence(name: str) -> list[ReadBox]:
    return boxes_of(read(str(FOLDER / name)))


def test_seqinfo_names_every_frame_and_its_size():
    reading = read(str(FOLDER / "MOT20-01"), "train")
    assert image_ids(reading) == [f"MOT20-01/{frame:06d}" for frame in range(1, 5)]
    assert reading.images[3].image == "train/MOT20-01/img1/000004.jpg"
    assert {image.size for image in reading.images} == {("640", "480")}


def test_without_seqinfo_the_frames_are_those_with_lines_and_of_unknown_size():
    reading = read(str(FOLDER / "TUD-Campus"))
    assert [(image.image_id, image.size) for image in reading.images] == [
        ("TUD-Campus/000001", None),
        ("TUD-Campus/000003", None),
    ]


def test_boxes_count_from_1():
    assert of_sequence("MOT20-01")[0] == (
        "MOT20-01/000001", (0, 0, 100, 200), "pedestrian", False, 0.86
    )  # fmt: skip


def test_what_is_not_evaluated_is_ignored():
    assert of_sequence("MOT20-01")[1] == (
        "MOT20-01/000001", (10, 20, 40, 60), "pedestrian", True, 0.25
    )  # fmt: skip


def test_what_the_evaluation_forgives_is_an_ignored_pedestrian():
    forgiven = of_sequence("MOT20-01")[2:6]  # static, on vehicle, reflection, distractor
    assert [(row.label, row.ignore) for row in forgiven] == [("pedestrian", True)] * 4


def test_vehicles_and_occluders_do_not_forgive_pedestrians():
    assert [row.label for row in of_sequence("MOT20-01")[6:8]] == ["car", "occluder full"]


def test_ten_columns_are_pedestrians_with_a_place_in_the_world():
    assert of_sequence("TUD-Campus") == [
        ("TUD-Campus/000001", (398, 181, 519, 410), "pedestrian", False, None),
        ("TUD-Campus/000003", (-29, 182, 47, 417), "pedestrian", False, None),
        # the last three are x, y, z and no class, no visibility
        ("TUD-Campus/000003", pytest.approx((87, 98, 148.08, 316.56)), "pedestrian", True, None),
    ]


def test_each_mot17_sequence_is_read_once():
    sequences = {image.image_id.split("/")[0] for image in read(str(FOLDER)).images}
    assert sequences == {"MOT17-02-DPM", "MOT17-04-SDP", "MOT20-01", "TUD-Campus"}


def one_sequence(folder: Path, *rows: str, **files: str) -> Reading:
    """What is read of a sequence with these lines; further files by their name without suffix."""
    lines(folder / "S1" / "gt" / "gt.txt", rows)
    for name, text in files.items():
        place = {"labels": "gt/labels.txt", "seqinfo": "seqinfo.ini"}[name]
        (folder / "S1" / place).write_text(text)
    return read(str(folder))


def test_classes_are_lines_of_labels_txt_where_it_lies_beside(tmp_path):
    rows = [f"1,1,2,2,5,5,1,{number},1" for number in (1, 2, 3)]
    reading = one_sequence(tmp_path, *rows, labels="car\nperson\n")
    assert [row.label for row in boxes_of(reading)] == ["car", "person"]
    assert reading.categories == ["car", "person"]
    assert [row[1:3] for row in rejects(reading)] == [("line 3", "unknown class")]


def test_whole_frames_may_be_written_as_decimals(tmp_path):
    reading = one_sequence(tmp_path, "2.0,1.0,2,2,5,5,1.0,1.0,0.5")
    assert boxes_of(reading) == [("S1/000002", (1, 1, 6, 6), "pedestrian", False, 0.5)]


@pytest.mark.parametrize(
    "row",
    [
        "1,-1,2,2,5,5,0.9,-1,-1,-1",  # det.txt
        "1,4,2,2,5,5,-1,-1,-1,-1",  # trackers
        "1,-1,2,2,5,5,1,1,1",
    ],
)
def test_detections_are_not_ground_truth(tmp_path, row):
    reading = one_sequence(tmp_path, row)
    reason = "id or conf is -1: a detection, not ground truth"
    assert rejects(reading) == [("gt.txt", "line 1", reason, row)]


def test_a_seqinfo_without_a_size_leaves_it_to_the_images(tmp_path):
    reading = one_sequence(tmp_path, seqinfo="[Sequence]\nseqLength=2\nimExt=.png\n")
    assert [(image.image, image.size) for image in reading.images] == [
        ("S1/img1/000001.png", None),
        ("S1/img1/000002.png", None),
    ]


def test_copies_of_a_mot17_sequence_must_be_the_same(tmp_path):
    shutil.copytree(FOLDER, tmp_path, dirs_exist_ok=True)
    (tmp_path / "MOT17-02-FRCNN/gt/gt.txt").write_text("1,11,11,11,10,10,1,1,1\n")
    with pytest.raises(
        UserError, match=r"MOT17-02-FRCNN/gt/gt.txt: not the same as .*MOT17-02-DPM"
    ):
        read(str(tmp_path))


def test_other_lines_are_rejected_with_place_reason_and_text():
    numbers = "not nine or ten numbers"
    assert rejects(read(str(FOLDER / "MOT20-01")), size=(640, 480)) == [
        ("gt.txt", "line 9", "unknown class", "3,9,1,1,9,9,1,99,1"),
        ("gt.txt", "line 10", numbers, "3,9,1,1,9,9,1,1"),
        ("gt.txt", "line 11", "frames count from 1", "0,9,1,1,9,9,1,1,1"),
        ("gt.txt", "line 12", "frame is not a whole number", "1.5,9,1,1,9,9,1,1,1"),
        ("gt.txt", "line 14", "bbox lies outside its image", "3,10,641,1,5,5,1,1,1"),
    ]


@pytest.mark.parametrize("length", ["", "seqLength=many", "seqLength=99999999999", "seqLength=-1"])
def test_a_broken_seqinfo_is_named(tmp_path, length):
    shutil.copytree(FOLDER / "MOT20-01", tmp_path / "MOT20-01")
    path = tmp_path / "MOT20-01" / "seqinfo.ini"
    path.write_text(f"[Sequence]\nimWidth=640\nimHeight=480\n{length}\n")
    with pytest.raises(UserError, match=r"seqinfo\.ini: not a seqinfo\.ini with a whole"):
        read(str(tmp_path))


def test_a_folder_without_ground_truth_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no gt/gt\.txt in this folder"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    numbers = {label: number for number, label in mot._CLASSES.items()}
    rows = []
    for name, things in scene.items():
        for number, (x, y, width, height) in enumerate(thing.xywh for thing in things):
            thing = things[number]
            place = joined(",", int(name.split("/")[1]), number, x + 1, y + 1, width, height)
            rows.append(
                joined(",", place, int(not thing.ignore), numbers[thing.label], thing.visibility)
            )
    lines(folder / "MOT20-01" / "gt" / "gt.txt", rows)
    info = {"imDir": "img1", "seqLength": len(scene), "imWidth": WIDTH, "imHeight": HEIGHT}
    pairs = [f"{key}={value}" for key, value in info.items()]
    lines(folder / "MOT20-01" / "seqinfo.ini", ["[Sequence]", *pairs])
    return str(folder), None


LAYOUTS = [
    Layout(
        write_scene,
        mot.LABELS,
        mot.LABELS,
        visibility=QUARTERS,
        ignored_visibility=QUARTERS,
        unit=0.25,
        name=lambda number: f"MOT20-01/{number:06d}",
    )
]
