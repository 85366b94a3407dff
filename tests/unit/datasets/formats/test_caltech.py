"""The Caltech reader on a JSON file written by hand and on `.vbb` files made here."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dipr1.datasets.formats.caltech import read
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import QUARTERS, Layout, Scene, cells, coco_document, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

JSON = str(FIXTURES / "caltech" / "test.json")
FIELDS = ("id", "pos", "posv", "occl", "lock")
NO_BOX = [0, 0, 0, 0]


def write_vbb(path: Path, labels: list[str], frames: list[list[tuple]]) -> None:
    """A `.vbb` file as vbb.m writes it; per frame (label's number from 1, pos, posv, occl)."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lists = []
    for objects in frames:
        content = np.empty((1, len(objects)), [(field, object) for field in FIELDS])
        for position, values in enumerate(objects):
            content[0, position] = tuple(np.atleast_2d(value) for value in (*values, 0))
        lists.append(content if objects else np.zeros((0, 0)))
    annotation = {
        "nFrame": len(frames),
        "objLists": cells(lists),
        "maxObj": len(labels),
        "objLbl": cells(labels),
    }
    with path.open("wb") as file:
        savemat(file, {"A": annotation, "vers": 1.4})


@pytest.fixture
def videos(tmp_path: Path) -> Path:
    person, people, unsure, false_alarm = 1, 2, 3, 4
    frames: list[list[tuple]] = [[] for _ in range(60)]
    frames[29] = [
        (person, [11, 21, 10, 20], NO_BOX, 0),
        (person, [31.5, 21, 10, 20], [31.5, 21, 10, 5], 1),
        (person, [51, 21, 10, 20], [51, 21, 10, 20], 1),
        (people, [71, 21, 40, 20], NO_BOX, 0),
        (unsure, [121, 21, 10, 20], NO_BOX, 0),
        (false_alarm, [141, 21, 10, 20], NO_BOX, 0),
        (person, [161, 21, 0, 20], NO_BOX, 0),
    ]
    frames[30] = [(person, [12, 21, 10, 20], NO_BOX, 0)]
    labels = ["person", "people", "person?", "person-fa"]
    write_vbb(tmp_path / "annotations/set06/V000.vbb", labels, frames)
    write_vbb(tmp_path / "annotations/set07/V011.vbb", ["person"], [[(1, [1, 1, 2, 2], NO_BOX, 0)]])
    return tmp_path


@pytest.fixture(
    params=[
        ("set06/V000/I00029.jpg", "set06/V000/I00059.jpg"),
        ("set06_V000_I00029.jpg", "set06_V000_I00059.jpg"),
        ("set06_V000_29.png", "set06_V000_59.png"),
    ],
    ids=["folders", "devkit", "converter"],
)
def frames(request: pytest.FixtureRequest, videos: Path) -> str:
    for name in request.param:
        (videos / "images" / name).parent.mkdir(parents=True, exist_ok=True)
        (videos / "images" / name).touch()
    (videos / "images" / "README.txt").touch()
    return str(videos / "images")


def test_the_data_set_is_the_frames_that_were_extracted(videos, frames):
    reading = read(str(videos / "annotations"), frames)
    assert image_ids(reading) == ["set06/V000/I00029", "set06/V000/I00059"]
    assert all(Path(image.image).is_file() for image in reading.images)
    assert {row.image_id for row in boxes_of(reading)} == {"set06/V000/I00029"}


def test_without_images_every_frame_is_named(videos):
    reading = read(str(videos / "annotations"))
    assert len(reading.images) == 61
    assert reading.images[29].image == "set06/V000/I00029.jpg"


def test_boxes_count_from_1_and_visibility_is_as_the_devkit_reads_it(videos):
    rows = boxes_of(read(str(videos / "annotations")))
    assert rows[:3] == [
        ("set06/V000/I00029", (10, 20, 20, 40), "person", False, 1),
        ("set06/V000/I00029", (30.5, 20, 40.5, 40), "person", False, 0.25),
        # occluded and the same box: nobody sees this person
        ("set06/V000/I00029", (50, 20, 60, 40), "person", False, 0),
    ]


def test_groups_and_doubts_are_ignored_persons_and_false_alarms_are_not(videos):
    rows = boxes_of(read(str(videos / "annotations")))
    assert [(row.label, row.ignore) for row in rows[3:6]] == [
        ("person", True),
        ("person", True),
        ("person-fa", False),
    ]


def test_an_object_that_is_rejected_later_is_found_again_in_its_file(videos):
    (row,) = rejects(read(str(videos / "annotations")))
    assert row[:3] == ("V000.vbb", "frame 29, object 7", "bbox has no area")
    assert json.loads(row[3])["pos"] == [161, 21, 0, 20]


@pytest.mark.parametrize("content", [b"", b"not a MATLAB file", b"MATLAB 5.0 MAT-file" * 20])
def test_a_file_that_is_no_vbb_is_named(tmp_path, content):
    (tmp_path / "V000.vbb").write_bytes(content)
    with pytest.raises(UserError, match=r"V000\.vbb: not a \.vbb file"):
        read(str(tmp_path))


def test_images_that_are_no_frames_are_named(videos):
    (videos / "images").mkdir()
    with pytest.raises(UserError, match="extract the frames"):
        read(str(videos / "annotations"), str(videos / "images"))


def test_json_images_go_by_either_name():
    reading = read(JSON, "images")
    assert [(image.image, image.size) for image in reading.images] == [
        ("images/set06_V000_I00029.jpg", (640, 480)),
        ("images/set06_V000_I00059.jpg", None),
    ]
    assert [reject.record for reject in reading.rejected_images] == ["images[2]"]


def test_json_visibility_is_the_share_of_the_visible_box_and_ignore_counts():
    assert boxes_of(read(JSON))[:3] == [
        ("1", (10, 20, 30, 60), "person", False, 0.25),
        ("1", (50, 20, 70, 60), "person", True, 1),
        ("1", (90, 20, 110, 60), "person", True, None),
    ]


def test_json_records_of_no_use_are_rejected_with_place_reason_and_text():
    rows = [row for row in rejects(read(JSON)) if row[1].startswith("annotations")]
    assert [row[1:3] for row in rows] == [
        ("annotations[3]", "unknown image_id"),
        ("annotations[4]", "bbox is not four numbers [x, y, width, height]"),
        ("annotations[5]", "vis_bbox is not four numbers"),
        ("annotations[6]", "ignore is neither 0 nor 1"),
        ("annotations[8]", "not an object"),
        ("annotations[7]", "bbox has no area"),
    ]
    assert json.loads(rows[-1][3])["id"] == 8


def test_json_of_another_kind_is_named(tmp_path):
    (tmp_path / "a.json").write_text('{"images": []}')
    with pytest.raises(UserError, match="expected a list under 'annotations' but got nothing"):
        read(str(tmp_path / "a.json"))
    (tmp_path / "a.json").write_text("[]")
    with pytest.raises(UserError, match="expected a COCO object with images, annotations but"):
        read(str(tmp_path / "a.json"))


def test_json_images_that_share_an_id_are_rejected_with_their_boxes(tmp_path):
    """Nobody can tell on which of the two the box lies."""
    names = ["set00_V000_I00029.jpg", "set00_V000_I00059.jpg"]
    document = {
        "images": [{"id": 7, "im_name": name, "width": 640, "height": 480} for name in names],
        "annotations": [{"image_id": 7, "bbox": [1, 2, 3, 4]}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    reading = read(str(tmp_path / "a.json"))
    assert image_ids(reading) == []
    assert [row[1:3] for row in rejects(reading)] == [
        ("images[0]", "its id is given to different images"),
        ("images[1]", "its id is given to different images"),
        ("annotations[0]", "its image is rejected"),
    ]


def test_json_boxes_are_persons_whatever_the_categories_say(tmp_path):
    document = {
        "images": [{"id": 1, "file_name": "set00_V000_I00029.jpg"}],
        "annotations": [{"image_id": 1, "category_id": 9, "bbox": [1, 2, 3, 4]}],
        "categories": [{"id": 1, "name": "pedestrian"}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    assert [row.label for row in boxes_of(read(str(tmp_path / "a.json")))] == ["person"]


# --- what test_roundtrip.py writes and reads back ---


def write_json_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    document = coco_document(scene, ["person"], "im_name", lambda thing: {"vis_bbox": thing.seen})
    lines(folder / "train.json", [json.dumps(document)])
    return str(folder / "train.json"), None


def write_vbb_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    labels = ["person", "people", "person?", "person-fa"]
    by_frame = {int(name.rpartition("I")[2]): things for name, things in scene.items()}
    fields = ("id", "pos", "occl", "lock", "posv")
    frames = []
    for frame in range(max(by_frame) + 1):
        things = by_frame.get(frame, [])
        content = np.empty((1, len(things)), [(name, object) for name in fields])
        for position, thing in enumerate(things):
            label = labels.index("people" if thing.ignore else thing.label) + 1
            hidden = thing.visibility != 1
            offset = np.array([1, 1, 0, 0])
            seen = np.add(thing.seen, offset) if hidden else np.zeros(4)
            values = (label, np.add(thing.xywh, offset), int(hidden), 0, seen)
            content[0, position] = tuple(np.atleast_2d(value) for value in values)
        frames.append(content if things else np.zeros((0, 0)))
    for name in scene:
        path = folder / "images" / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    annotation = {"nFrame": len(frames), "objLists": cells(frames), "objLbl": cells(labels)}
    (folder / "set00").mkdir(parents=True)
    with (folder / "set00" / "V000.vbb").open("wb") as file:
        savemat(file, {"A": annotation, "vers": 1.4})
    return str(folder), str(folder / "images")


LAYOUTS = [
    Layout(
        write_json_scene,
        ignored=["person"],
        visibility=QUARTERS,
        ignored_visibility=QUARTERS,
        unit=4,
    ),
    Layout(
        write_vbb_scene,
        ["person", "person-fa"],
        ["person"],
        visibility=QUARTERS,
        ignored_visibility=[1.0],
        unit=0.5,
        name=lambda number: f"set00/V000/I{30 * number - 1:05d}",
    ),
]
