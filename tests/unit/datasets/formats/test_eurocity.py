"""The EuroCity Persons reader on frames written by hand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dipr1.datasets.formats import eurocity
from dipr1.datasets.formats.eurocity import read
from dipr1.datasets.reading import Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import HEIGHT, WIDTH, Layout, Scene, Thing, lines
from tests.unit.readings import FIXTURES, boxes_of, image_ids, rejects

FOLDER = FIXTURES / "eurocity"


@pytest.fixture
def reading() -> Reading:
    return read(str(FOLDER), "img/val")


def test_frames_without_objects_are_kept_and_images_lie_by_city(reading):
    assert image_ids(reading) == ["roma/roma_00001", "roma/roma_00002"]
    assert reading.images[1].image == "img/val/roma/roma_00002.png"
    assert reading.images[1].size == (1920, 1024)


def test_children_of_children_are_objects_in_the_order_of_the_file(reading):
    assert [row.label for row in boxes_of(reading)[3:6]] == ["rider", "bicycle", "co-rider"]


def test_visibility_is_what_the_worst_tag_leaves(reading):
    assert [row.visibility for row in boxes_of(reading)[:4]] == [1, 0.6, 0.9, 0.2]


def test_boxes_are_corners_as_they_stand(reading):
    assert boxes_of(reading)[1].box == (40.5, 20, 60, 80)


def test_sitting_people_and_groups_are_ignored_for_what_they_are(reading):
    ignored = [(row.box[0], row.label) for row in boxes_of(reading) if row.ignore]
    assert ignored == [
        (70, "pedestrian"),
        (200, "pedestrian"),
        (400, "rider"),
        (500, "bicycle"),
    ]
    assert [row.visibility for row in boxes_of(reading) if row.ignore][1:] == [None] * 3


def test_people_on_posters_are_neither_people_nor_ignored(reading):
    assert boxes_of(reading)[9][1:4] == ((700, 20, 720, 60), "depiction", False)


def test_other_records_are_rejected_with_place_reason_and_text(reading):
    rows = rejects(reading)
    assert [row[:3] for row in rows if row[1].startswith("object")] == [
        ("roma_00001.json", "object 11", "x0, y0, x1, y1 are not four numbers"),
        ("roma_00001.json", "object 12", "x0, y0, x1, y1 are not four numbers"),
        ("roma_00001.json", "object 13", "identity is missing or no text"),
        ("roma_00001.json", "object 14", "tags is no list of texts"),
        ("roma_00001.json", "object 15", "not an object"),
        ("roma_00001.json", "object 17", "x0, y0, x1, y1 are not four numbers"),
        ("roma_00001.json", "object 16", "bbox has no area"),
    ]
    # without its child, which is a record of its own
    assert json.loads(rows[-1][3]) == {
        "identity": "pedestrian", "x0": 30, "y0": 20, "x1": 10, "y1": 80
    }  # fmt: skip


def test_a_bad_file_spoils_its_image_only(reading):
    assert [(reject.record, reject.reason) for reject in reading.rejected_images] == [
        ("roma/roma_00003.json", "its file is not JSON"),
        ("roma/roma_00004.json", "no frame with children"),
    ]


def test_a_bad_file_given_alone_is_an_error():
    with pytest.raises(UserError, match="not JSON"):
        read(str(FOLDER / "roma" / "roma_00003.json"))


def test_a_folder_without_json_files_is_named(tmp_path):
    with pytest.raises(UserError, match=r"no \.json file in this folder"):
        read(str(tmp_path))


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    groups = {label: group for group, label in eurocity._GROUPS.items()}

    def child(thing: Thing) -> dict:
        identity, tags = thing.label, []
        if thing.ignore:
            identity = groups[thing.label]
        elif thing.visibility is not None and thing.visibility < 1:
            tags = [f"occluded>{round(100 - 100 * thing.visibility)}"]
        corners = dict(zip(("x0", "y0", "x1", "y1"), thing.xyxy, strict=True))
        return {"identity": identity, "tags": tags, "children": [], **corners}

    for name, things in scene.items():
        children = [child(thing) for thing in things]
        while len(children) > 5:  # a rider's vehicle is a child of the rider
            children[0]["children"].append(children.pop())
        frame = {"identity": "frame", "imagewidth": WIDTH, "imageheight": HEIGHT}
        lines(folder / f"{name}.json", [json.dumps({**frame, "children": children})])
    return str(folder), None


LAYOUTS = [
    Layout(
        write_scene,
        eurocity.LABELS[:9],
        eurocity.LABELS[:8],
        visibility=[1, 0.9, 0.6, 0.2],
        unit=0.25,
        name=lambda number: f"roma/roma_{number:05d}",
    )
]
