"""The COCO reader on a file written by hand with every trap."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dipr1.datasets.formats.coco import read
from dipr1.datasets.reading import ANY_LABEL, Reading
from dipr1.errors import UserError
from tests.unit.datasets.formats.layouts import QUARTERS, Layout, Scene, Thing, coco_document, lines
from tests.unit.readings import boxes_of, rejects

# Written as text: NaN and Infinity are no JSON, but Python writes and reads them.
TRAPS = """{
 "categories": [{"id": 0, "name": "person"}, {"id": "7", "name": "rider"}],
 "images": [
  {"id": 0, "file_name": "zero.jpg", "width": 40, "height": 30},
  {"id": "a,b", "file_name": "text.jpg"},
  {"id": 3.0, "file_name": "float.jpg", "width": 40, "height": 30},
  {"id": 4, "file_name": "same.jpg"},
  {"id": 4, "file_name": "same.jpg"},
  {"id": 5, "file_name": "one.jpg"},
  {"id": "5", "file_name": "other.jpg"},
  {"id": true, "file_name": "bool.jpg"},
  {"file_name": "noid.jpg"},
  {"id": 8},
  {"id": 9, "file_name": 9},
  "image",
  {"id": 10, "file_name": "empty.jpg"}
 ],
 "annotations": [
  {"image_id": 0, "category_id": 0, "bbox": [1, 2, 3, 4]},
  {"image_id": "0", "category_id": "0", "bbox": [1.5, 2, 3, 4.5], "iscrowd": 0, "area": 1},
  {"image_id": "a,b", "category_id": 7, "bbox": [0, 0, 5, 5], "iscrowd": true},
  {"image_id": 3, "category_id": 0, "bbox": [-5, -5, 9, 9], "ignore": 1, "iscrowd": false},
  {"image_id": 3, "category_id": 0, "bbox": [0, 0, 1, 1], "visibility": 0.25, "iscrowd": null},
  {"image_id": 4, "category_id": 0, "bbox": [0, 0, 1, 1], "visibility": null},
  {"image_id": 5, "category_id": 0, "bbox": [0, 0, 1, 1]},
  {"image_id": 8, "category_id": 0, "bbox": [0, 0, 1, 1]},
  {"image_id": 99, "category_id": 0, "bbox": [0, 0, 1, 1]},
  {"category_id": 0, "bbox": [0, 0, 1, 1]},
  {"image_id": 0, "category_id": 1, "bbox": [0, 0, 1, 1]},
  {"image_id": 0, "bbox": [0, 0, 1, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 0, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, -1]},
  {"image_id": 0, "category_id": 0, "bbox": [NaN, 0, 1, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, Infinity, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1e30, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1]},
  {"image_id": 0, "category_id": 0, "bbox": "0 0 1 1"},
  {"image_id": 0, "category_id": 0, "bbox": {"x": 0}},
  {"image_id": 0, "category_id": 0, "bbox": ["0", 0, 1, 1]},
  {"image_id": 0, "category_id": 0, "bbox": [true, 0, 1, 1]},
  {"image_id": 0, "category_id": 0, "bbox": null},
  {"image_id": 0, "category_id": 0},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1], "iscrowd": 2},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1], "ignore": "no"},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1], "visibility": 1.5},
  {"image_id": 0, "category_id": 0, "bbox": [0, 0, 1, 1], "visibility": NaN},
  [0, 0, 1, 1]
 ]
}"""


@pytest.fixture
def traps(tmp_path: Path) -> Reading:
    (tmp_path / "traps.json").write_text(TRAPS)
    return read(str(tmp_path / "traps.json"), "images")


def write(folder: Path, document: object) -> str:
    path = folder / "coco.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def test_good_images_are_kept_with_their_path(traps):
    good = [image for image in traps.images if image.fault is None]
    assert [(image.image_id, image.image, image.size) for image in good] == [
        ("0", "images/zero.jpg", (40, 30)),
        ("a,b", "images/text.jpg", None),
        ("3", "images/float.jpg", (40, 30)),
        ("4", "images/same.jpg", None),
        ("10", "images/empty.jpg", None),
    ]


def test_without_a_folder_the_path_is_the_file_name(tmp_path):
    reading = read(write(tmp_path, TRAPS))
    assert reading.images[0].image == "zero.jpg"


def test_good_boxes_are_read_as_they_are(traps):
    assert boxes_of(traps)[:6] == [
        ("0", (1, 2, 4, 6), "person", False, None),
        ("0", (1.5, 2, 4.5, 6.5), "person", False, None),
        ("a,b", (0, 0, 5, 5), "rider", True, None),
        ("3", (-5, -5, 4, 4), "person", True, None),
        ("3", (0, 0, 1, 1), "person", False, 0.25),
        ("4", (0, 0, 1, 1), "person", False, None),
    ]


def test_bad_images_are_rejected_with_place_and_reason(traps):
    records = [row for row in rejects(traps) if row[1].startswith("images")]
    assert sorted(((record, reason) for _, record, reason, _ in records), key=place) == [
        ("images[4]", "its id is listed twice"),
        ("images[5]", "its id is given to different images"),
        ("images[6]", "its id is given to different images"),
        ("images[7]", "id is missing or neither a whole number nor a text"),
        ("images[8]", "id is missing or neither a whole number nor a text"),
        ("images[9]", "file_name is missing or no text"),
        ("images[10]", "file_name is missing or no text"),
        ("images[11]", "not an object"),
    ]


def test_bad_boxes_are_rejected_with_place_and_reason(traps):
    no_area, not_finite = "bbox has no area", "bbox is not finite or absurdly large"
    not_numbers = "bbox is not four numbers [x, y, width, height]"
    reasons = [
        *["its image is rejected"] * 2,
        *["unknown image_id"] * 2,
        *["unknown category_id"] * 2,
        *[no_area] * 2,
        *[not_finite] * 3,
        *[not_numbers] * 7,
        "iscrowd is neither 0 nor 1",
        "ignore is neither 0 nor 1",
        *["visibility is not a number in 0..1"] * 2,
        "not an object",
    ]
    places = [f"annotations[{position}]" for position in range(6, 6 + len(reasons))]
    records = [row[1:3] for row in rejects(traps) if row[1].startswith("annotations")]
    assert sorted(records, key=place) == list(zip(places, reasons, strict=True))


def place(row: tuple[str, ...]) -> int:
    """The position that the record names."""
    return int(row[0].partition("[")[2].rstrip("]"))


def test_every_record_is_kept_or_rejected(traps):
    assert len(traps.images) + len(traps.rejected_images) == 13
    assert len(traps.boxes().xyxy) + len(traps.rejected_boxes) == 29


def test_a_reject_carries_its_record_and_file(traps):
    raws = {record: (name, raw) for name, record, _, raw in rejects(traps)}
    assert raws["annotations[8]"] == (
        "traps.json",
        '{"image_id": 99, "category_id": 0, "bbox": [0, 0, 1, 1]}',
    )
    # Known to be bad only when the image's size is: read again from the file.
    assert raws["annotations[12]"] == (
        "traps.json",
        '{"image_id": 0, "category_id": 0, "bbox": [0, 0, 0, 1]}',
    )


def test_labels_are_the_categories(traps):
    assert traps.labels == ["person", "rider"]


def test_copies_of_an_area_for_all_labels_are_one(tmp_path):
    def copy(image: int, number: object) -> dict:
        return {"image_id": image, "category_id": 1, "bbox": [1, 2, 3, 4], "all_labels": number}

    document = WHOLE | {"images": [{"id": number, "file_name": "a.jpg"} for number in (1, 2)]}
    copies = [copy(1, 1), copy(1, 1), copy(1, 3), copy(2, 1), copy(2, "x"), copy(2, True)]
    reading = read(write(tmp_path, document | {"annotations": copies}))
    box = (1, 2, 4, 6), ANY_LABEL, True, None
    assert boxes_of(reading) == [("1", *box), ("1", *box), ("2", *box)]
    assert reading.categories == ["person"]
    assert [reject[1:3] for reject in reading.rejected_boxes] == [
        ("annotations[4]", "all_labels is no whole number"),
        ("annotations[5]", "all_labels is no whole number"),
    ]


def test_a_byte_order_mark_is_no_fault(tmp_path):
    path = write(tmp_path, "\ufeff" + TRAPS)
    assert len(read(path, "images").images) == 8


WHOLE = {"images": [], "annotations": [], "categories": [{"id": 1, "name": "person"}]}


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ("", "not JSON"),
        (TRAPS[:500], "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([], "expected a COCO object .* but got list"),
        ({"images": []}, "expected a list under 'annotations' but got nothing"),
        (WHOLE | {"images": {}}, "expected a list under 'images' but got dict"),
        (WHOLE | {"categories": []}, "categories is empty"),
        (WHOLE | {"categories": ["person"]}, r"categories\[0\]: expected an id and a name"),
        (WHOLE | {"categories": [{"id": 1}]}, r"categories\[0\]: expected an id and a name"),
        (
            WHOLE | {"categories": [{"id": 1, "name": "a"}, {"id": "1", "name": "b"}]},
            r"categories\[1\]: id 1 means both 'a' and 'b'",
        ),
    ],
)
def test_a_file_that_is_no_coco_file_is_refused_as_a_whole(tmp_path, document, message):
    with pytest.raises(UserError, match=message) as caught:
        read(write(tmp_path, document), "images")
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file"):
        read(str(tmp_path / "missing.json"), "images")
    with pytest.raises(UserError, match="cannot be read"):
        read(str(tmp_path), "images")


# --- what test_roundtrip.py writes and reads back ---


def write_scene(folder: Path, scene: Scene) -> tuple[str, str | None]:
    def visibility(thing: Thing) -> dict:
        return {"visibility": thing.visibility}

    document = coco_document(scene, ["person", "rider"], "file_name", visibility)
    lines(folder / "coco.json", [json.dumps(document)])
    return str(folder / "coco.json"), None


LAYOUTS = [
    Layout(
        write_scene,
        ["person", "rider"],
        ["person", "rider"],
        visibility=[None, *QUARTERS],
        unit=0.25,
    )
]
