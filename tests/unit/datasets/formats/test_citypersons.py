"""The CityPersons reader: three layouts of the same boxes, with every trap."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import savemat

from dipr1.datasets.formats import caltech, coco
from dipr1.datasets.formats.citypersons import read
from dipr1.datasets.reading import ANY_LABEL
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import QUARTERS, Layout, Scene, cells
from tests.unit.readings import ReadBox, boxes_of, image_ids, rejects

# class, x, y, w, h, id, visible x, y, w, h
ROWS = [
    [1, 2000, 1000, 100, 200, 24000, 2000, 1000, 100, 50],
    [2, 10, 20, 30, 60, 25000, 10, 20, 40, 60],  # a rider; more is visible than there is
    [3, 10, 20, 30, 60, 26000, 10, 20, 15, 60],
    [4, 10, 20, 30, 60, 27000, 10, 20, 30, 60],
    [0, 1839, 382, 31, 71, 0, 1839, 382, 31, 71],
    [5, 300, 400, 120, 80, 28000, 0, 0, 0, 0],
]
LABELS = ["pedestrian", "rider", "sitting person", "person (other)", ANY_LABEL, ANY_LABEL]
NAMES = ["pedestrian", "rider", "sitting person", "person (other)", "ignore", "person group"]
AACHEN, BONN = "aachen_000000_000019_leftImg8bit.png", "bonn_000001_000019_leftImg8bit.png"
FULL = [(row[1], row[2], row[1] + row[3], row[2] + row[4]) for row in ROWS]


def matlab(path: Path, cells: list[dict], key: str = "anno_val_aligned") -> str:
    """A file like the published ones."""
    array = np.empty((1, len(cells)), object)
    for column, cell in enumerate(cells):
        array[0, column] = cell
    savemat(path, {key: array})
    return str(path)


def cell(name: object, rows: np.ndarray) -> dict:
    return {"cityname": "aachen", "im_name": name, "bbs": rows}


@pytest.fixture
def mat(tmp_path: Path) -> str:
    cells = [cell(AACHEN, np.array(ROWS, np.uint16)), cell(BONN, np.zeros((0, 10), np.uint8))]
    return matlab(tmp_path / "anno_val.mat", cells)


@pytest.fixture
def folder(tmp_path: Path) -> str:
    for name, rows in ((AACHEN, ROWS), (BONN, [])):
        objects = [
            {"instanceId": row[5], "label": label, "bbox": row[1:5], "bboxVis": row[6:]}
            for label, row in zip(NAMES, rows, strict=False)
        ]
        stem, city = name.removesuffix("_leftImg8bit.png"), name.partition("_")[0]
        path = tmp_path / "gtBboxCityPersons" / city / f"{stem}_gtBboxCityPersons.json"
        path.parent.mkdir(parents=True)
        path.write_text(json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": objects}))
    return str(tmp_path / "gtBboxCityPersons")


@pytest.fixture
def official(tmp_path: Path) -> str:
    document = {
        "categories": [{"id": 1, "name": "pedestrian"}, {"id": 2, "name": "rider"}],
        "images": [
            {"id": 1, "im_name": AACHEN, "height": 1024, "width": 2048},
            {"id": 2, "im_name": BONN, "height": 1024, "width": 2048},
        ],
        "annotations": [
            {
                "id": number,
                "image_id": 1,
                "category_id": 1,
                "iscrowd": int(row[0] == 5),
                "ignore": int(row[0] != 1),
                "bbox": row[1:5],
                "vis_bbox": row[6:],
                "height": row[4],
                "vis_ratio": min(row[8] * row[9] / (row[3] * row[4]), 1),
            }
            for number, row in enumerate(ROWS)
        ],
    }
    path = tmp_path / "val_gt.json"
    path.write_text(json.dumps(document))
    return str(path)


def expected(boxes: list[tuple]) -> list[ReadBox]:
    visibility = [0.25, 1.0, 0.5, 1.0, None, None]
    return [
        ReadBox("aachen_000000_000019", box, label, label == ANY_LABEL, share)
        for box, label, share in zip(boxes, LABELS, visibility, strict=True)
    ]


@pytest.mark.parametrize("layout", ["mat", "folder"])
def test_classes_become_labels_and_ignore_regions(layout, request):
    reading = read(request.getfixturevalue(layout))
    assert boxes_of(reading) == expected(FULL)
    assert reading.categories == ["pedestrian", "rider", "sitting person", "person (other)"]
    assert {image.size for image in reading.images} == {(2048, 1024)}


@pytest.mark.parametrize("layout", ["mat", "folder"])
def test_visible_boxes_but_for_regions_that_have_none(layout, request):
    boxes = [(row[6], row[7], row[6] + row[8], row[7] + row[9]) for row in ROWS[:4]]
    reading = read(request.getfixturevalue(layout), box="visible")
    assert boxes_of(reading) == expected(boxes + FULL[4:])
    assert rejects(reading, (2048, 1024)) == []


def test_the_evaluations_file_has_one_category_and_two_flags(official):
    rows = boxes_of(read(official))
    assert [row.box for row in rows] == FULL
    assert {row.label for row in rows} == {"pedestrian"}
    assert [row.ignore for row in rows] == [False, True, True, True, True, True]
    assert [row.visibility for row in rows] == [0.25, 1, 0.5, 1, 1, 0]
    visible = boxes_of(read(official, box="visible"))
    assert [row.box for row in visible] == [(2000, 1000, 2100, 1050), *FULL[1:]]
    assert [image.size for image in read(official).images] == [(2048, 1024)] * 2


@pytest.mark.parametrize("kind", [np.uint16, np.int16, np.float64])
def test_small_types_do_not_overflow(tmp_path, kind):
    rows = np.array([[1, 30000, 30000, 30000, 30000, 0, 0, 0, 1, 1]], kind)
    path = matlab(tmp_path / "a.mat", [cell(AACHEN, rows)])
    assert boxes_of(read(path))[0].box == (30000, 30000, 60000, 60000)
    rows = np.array([[1, 200, 200, 100, 200, 0, 200, 200, 100, 200]], np.uint8)
    path = matlab(tmp_path / "a.mat", [cell(AACHEN, rows)])
    assert boxes_of(read(path))[0] == ("aachen_000000_000019", (200, 200, 300, 400), *PERSON)


PERSON = ("pedestrian", False, 1.0)


@pytest.mark.parametrize("layout", ["mat", "folder"])
def test_an_image_without_people_is_kept(layout, request):
    assert image_ids(read(request.getfixturevalue(layout))) == [
        "aachen_000000_000019",
        "bonn_000001_000019",
    ]


@pytest.mark.parametrize("layout", ["mat", "folder", "official"])
def test_images_lie_in_one_folder_or_in_one_per_city(layout, request, tmp_path):
    path = request.getfixturevalue(layout)
    (tmp_path / "images" / "bonn").mkdir(parents=True)
    root = tmp_path / "images"
    assert [image.image for image in read(path, str(root)).images] == [
        f"{root}/{AACHEN}",
        f"{root}/bonn/{BONN}",
    ]
    assert [image.image for image in read(path).images] == [AACHEN, BONN]


def test_rows_of_unknown_classes_are_rejected_as_they_were(tmp_path):
    rows = np.array([[6, *ROWS[0][1:]], ROWS[0], [1, 5, 5, 0, 9, 1, 5, 5, 0, 9]], np.uint16)
    reading = read(matlab(tmp_path / "a.mat", [cell(AACHEN, rows)]))
    assert rejects(reading, (2048, 1024)) == [
        ("a.mat", "cell 0, row 0", "class is none of 0 to 5", str([6, *ROWS[0][1:]])),
        ("a.mat", "cell 0, row 2", "bbox has no area", "[1, 5, 5, 0, 9, 1, 5, 5, 0, 9]"),
    ]
    assert len(boxes_of(reading)) == 2


def test_rows_that_are_no_number_are_rejected(tmp_path):
    rows = np.array([ROWS[0], ROWS[0], ROWS[0]], np.float64)
    rows[0, 0], rows[1, 3], rows[2, 8] = np.nan, np.inf, np.nan
    reading = read(matlab(tmp_path / "a.mat", [cell(AACHEN, rows)]))
    assert [row[1:3] for row in rejects(reading, (2048, 1024))] == [
        ("cell 0, row 0", "class is none of 0 to 5"),
        ("cell 0, row 1", "bbox is not finite or absurdly large"),
    ]
    assert boxes_of(reading)[1].visibility is None


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (cell(AACHEN, np.ones((2, 6))), "bbs has not the ten columns"),
        (cell(AACHEN, np.array(["a"], object)), "bbs holds no numbers"),
        (cell(7, np.ones((1, 10))), "im_name is no text"),
        ({"im_name": AACHEN}, "not a structure with im_name and bbs"),
        (3.5, "not a structure with im_name and bbs"),
    ],
)
def test_a_broken_cell_is_rejected_and_the_others_keep_their_records(tmp_path, broken, reason):
    good = np.array([ROWS[0], [1, 1, 1, 0, 0, 0, 0, 0, 0, 0]], np.uint16)
    reading = read(matlab(tmp_path / "a.mat", [broken, cell(BONN, good)]))
    first, second = rejects(reading, (2048, 1024))
    assert first[1] == "cell 0" and first[2].startswith(reason)
    assert second[1:] == ("cell 1, row 1", "bbox has no area", "[1, 1, 1, 0, 0, 0, 0, 0, 0, 0]")
    assert image_ids(reading) == ["bonn_000001_000019"]


@pytest.mark.parametrize(
    ("objects", "reason"),
    [
        ([7], "not an object"),
        ([{"label": "dog", "bbox": [1, 2, 3, 4], "bboxVis": [1, 2, 3, 4]}], "unknown label"),
        ([{"label": [], "bbox": [1, 2, 3, 4], "bboxVis": [1, 2, 3, 4]}], "unknown label"),
        ([{"label": "rider", "bbox": [1, 2, 3], "bboxVis": [1, 2, 3, 4]}], "bbox is not four"),
        ([{"label": "rider", "bbox": [1, 2, 3, 4]}], "bboxVis is not four numbers"),
        ([{"label": "rider", "bbox": [1, 2, 0, 4], "bboxVis": [1, 2, 3, 4]}], "bbox has no area"),
    ],
)
def test_a_bad_object_is_rejected_as_it_was(folder, objects, reason):
    path = next(Path(folder).rglob("bonn*.json"))
    path.write_text(json.dumps({"imgHeight": 1024, "imgWidth": 2048, "objects": objects}))
    ((name, record, found_reason, raw),) = rejects(read(folder), (2048, 1024))
    assert (name, record) == (path.name, "objects[0]")
    assert found_reason.startswith(reason)
    assert json.loads(raw) == objects[0]


@pytest.mark.parametrize("text", ["", '{"imgHeight": 1', "[]", '{"objects": {}}', "\xff"])
def test_a_bad_file_of_a_folder_is_rejected_and_the_others_are_read(folder, text):
    path = next(Path(folder).rglob("bonn*.json"))
    path.write_bytes(text.encode("latin-1"))
    reading = read(folder)
    assert [row[0] for row in rejects(reading, (2048, 1024))] == [path.name]
    assert len(boxes_of(reading)) == 6


def test_one_file_of_the_folder_can_be_read_alone(folder):
    reading = read(str(next(Path(folder).rglob("aachen*.json"))))
    assert boxes_of(reading) == expected(FULL)


def test_what_is_none_of_the_layouts_is_refused(tmp_path, mat):
    def refused(path: Path | str, message: str) -> None:
        with pytest.raises(UserError, match=message) as caught:
            read(str(path))
        assert "\n" not in str(caught.value)

    refused(tmp_path / "missing.mat", "no such file")
    (tmp_path / "empty").mkdir()
    refused(tmp_path / "empty", r"no file \*_gtBboxCityPersons.json in it")
    whole = Path(mat).read_bytes()
    Path(mat).write_bytes(whole[: len(whole) // 2])
    refused(mat, "not a readable .mat file")
    refused(matlab(tmp_path / "b.mat", [], key="boxes"), "expected a variable anno_SPLIT_aligned")
    (tmp_path / "c.json").write_text('{"images": []}')
    refused(tmp_path / "c.json", "expected a list under")
    (tmp_path / "d.json").write_text("{")
    refused(tmp_path / "d.json", "not JSON")


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    classes = {"pedestrian": 1, "rider": 2, "sitting person": 3, "person (other)": 4}
    images = []
    for name, things in scene.items():
        rows = [
            [0 if thing.ignore else classes[thing.label], *thing.xywh, 24000, *thing.seen]
            for thing in things
        ]
        boxes = np.array(rows, np.uint16) if rows else np.zeros((0, 10), np.uint8)
        name = f"{name}_leftImg8bit.png"
        images.append({"cityname": name.partition("_")[0], "im_name": name, "bbs": boxes})
    folder.mkdir(parents=True)
    savemat(folder / "anno_val.mat", {"anno_val_aligned": cells(images)})
    return str(folder / "anno_val.mat"), None


LAYOUTS = [
    Layout(
        write_scene,
        ["pedestrian", "rider", "sitting person", "person (other)"],
        [ANY_LABEL],
        visibility=QUARTERS,
        unit=4,
        name=lambda number: f"frankfurt_000000_{number:06d}",
    )
]


def test_the_form_of_mmdetection_is_named_and_read_as_coco(tmp_path: Path):
    document = {
        "images": [{"id": 1, "file_name": AACHEN, "width": 2048, "height": 1024}],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4], "vis_ratio": 0.25},
            {"image_id": 1, "category_id": 1, "bbox": [1, 2, 3, 4]},
        ],
        "categories": [{"id": 1, "name": "pedestrian"}],
    }
    path = tmp_path / "val.json"
    path.write_text(json.dumps(document))
    with pytest.raises(UserError, match="COCO's form, as for MMDetection; give --format coco"):
        read(str(path))
    assert [box.visibility for box in boxes_of(coco.read(str(path)))] == [0.25, None]


def test_caltech_s_json_with_a_visible_ratio_alone(tmp_path: Path):
    document = {
        "images": [{"id": 1, "file_name": "a.jpg"}],
        "annotations": [{"image_id": 1, "bbox": [1, 2, 3, 4], "vis_ratio": 0.5}],
    }
    (tmp_path / "a.json").write_text(json.dumps(document))
    (box,) = boxes_of(caltech.read(str(tmp_path / "a.json")))
    assert box.visibility == 0.5
