"""What becomes of the records that were read: nothing is lost, and rejects have their reason."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import numpy as np
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main
from dipr1.datasets.converting import Count
from tests.unit.datasets.coco_set import convert, make_source, rejects


@pytest.fixture
def source(tmp_path: Path, monkeypatch) -> dict:
    """A COCO document with images on disk; the working directory is beside them."""
    monkeypatch.chdir(tmp_path)
    return make_source()


def test_rows_are_sorted_clipped_and_complete(source, capsys):
    assert convert(source) == 0
    table = ANNOTATIONS.read("out/a.parquet")
    rows = {row["image_id"]: row for row in table.to_pylist()}
    assert list(rows) == ["1", "10", "2"]  # as text
    assert rows["1"]["image"] == "images/one.png"
    assert (rows["1"]["width"], rows["1"]["height"]) == (40, 30)
    boxes = box_arrays(table["boxes"])
    assert boxes[0].tolist() == [[30, 20, 40, 30], [0, 0, 8, 8]]
    assert boxes[1].tolist() == [[1, 2, 4, 6]]
    assert boxes[2].shape == (0, 4)
    assert rows["1"]["labels"] == ["person", "person"]
    assert rows["1"]["ignore"] == [False, True]
    assert rows["1"]["visibility"] == [0.5, None]
    assert rejects() == []
    assert capsys.readouterr().out.splitlines() == [
        "rows in 7 = kept 6 + rejected 0 + other labels 1",
        "  images in 3 = kept 3 + rejected 0",
        "  boxes in 4 = kept 3 + rejected 0 + other labels 1",
    ]


def test_other_labels_can_be_asked_for_too(source):
    assert convert(source, "--labels", "person", "car") == 0
    table = ANNOTATIONS.read("out/a.parquet")
    assert table["labels"][0].as_py() == ["person", "car", "person"]


def test_what_lies_outside_the_image_is_rejected(source, capsys):
    source["annotations"] += [
        {"image_id": 1, "category_id": 1, "bbox": [40, 0, 5, 5]},
        {"image_id": 1, "category_id": 1, "bbox": [-9, -9, 9, 9]},
        {"image_id": 1, "category_id": 1, "bbox": [39.9999999, 0, 5, 5]},  # nothing left in float32
        {"image_id": 1, "category_id": 2, "bbox": [40, 0, 5, 5]},
    ]
    assert convert(source) == 0
    outside = "bbox lies outside its image"
    assert rejects() == [(f"annotations[{position}]", outside) for position in (4, 5, 6)]
    printed = capsys.readouterr().out.splitlines()
    assert printed[2] == "  boxes in 8 = kept 3 + rejected 3 + other labels 2"
    assert printed[3] == f"  rejected 3: {outside}"
    boxes = np.concatenate(box_arrays(ANNOTATIONS.read("out/a.parquet")["boxes"]))
    assert (boxes[:, 2:] > boxes[:, :2]).all()


def test_an_unusable_image_is_rejected_with_its_boxes(source, capsys):
    Path("images/one.png").unlink()
    Path("images/ten.png").write_bytes(b"broken")
    assert convert(source) == 0
    found = rejects()
    assert found[0][0] == "images[0]" and found[0][1].startswith("image file is broken: ")
    assert found[1:] == [
        ("images[2]", "image file is missing"),
        ("annotations[0]", "its image is rejected"),
        ("annotations[1]", "its image is rejected"),
        ("annotations[3]", "its image is rejected"),
    ]
    raws = [row["raw"] for row in REJECTS.read("out/r.parquet").to_pylist()]
    assert json.loads(raws[1]) == source["images"][2]
    assert json.loads(raws[3]) == source["annotations"][1]
    assert capsys.readouterr().out.startswith("rows in 7 = kept 1 + rejected 5 + other labels 1\n")


@pytest.mark.parametrize("size", [(30, 40), (40, None), (-40, 30), (40.5, 30), (True, 30)])
def test_a_declared_size_that_is_not_the_files_is_rejected(source, size):
    source["images"][1] |= {"width": size[0], "height": size[1]}
    assert convert(source) == 0
    reason = (
        f"declared size {size[0]} x {size[1]} is not the file's 40 x 30"
        " (declared_sizes: ignore trusts the files)"
    )
    assert rejects() == [("images[1]", reason)]


def test_the_file_can_be_trusted_where_the_declared_size_is_wrong(source):
    """Boxes are pixels of the file, clipped to it."""
    for image in source["images"]:
        image |= {"width": 20, "height": 10}
    source["annotations"][1]["bbox"] = [30, 1, 15, 4]
    assert convert(source, "--declared-sizes", "ignore", "--strict") == 0
    rows = ANNOTATIONS.read("out/a.parquet").to_pylist()
    assert [(row["width"], row["height"]) for row in rows] == [(40, 30)] * 3
    assert [row["boxes"] for row in rows if row["image_id"] == "10"] == [[[30, 1, 40, 5]]]


def test_without_files_a_table_of_sizes_takes_the_place_of_what_is_ignored(source):
    for image in source["images"]:
        image |= {"width": 20, "height": 10}
    Path("coco.json").write_text(json.dumps(source))
    Path("sizes.json").write_text(json.dumps({"1": [30, 40], "2": [30, 40]}))
    command = (
        "convert --format coco --annotations coco.json --sizes sizes.json --declared-sizes ignore"
        " --output out/a.parquet --rejects out/r.parquet"
    )
    assert main(shlex.split(command)) == 0
    rows = ANNOTATIONS.read("out/a.parquet").to_pylist()
    assert [(row["image_id"], row["width"], row["height"]) for row in rows] == [
        ("1", 40, 30),
        ("2", 40, 30),
    ]
    assert rejects()[0] == ("images[0]", "its size is not known: give --images or --sizes")


def test_counts_that_do_not_add_up_are_a_fault_of_the_program():
    with pytest.raises(AssertionError, match="do not add up"):
        Count(read=3, kept=1, rejected=1)


def test_an_unknown_label_is_named_with_the_known_ones(source, capsys):
    assert convert(source, "--labels", "persn") == 1
    assert "--labels: no category 'persn'; there are person, car" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sizes.json", '{"two": [1, 1], "2": [48, 64]}'),
        ("sizes.json", '{"2": {"width": 64, "height": 48}}'),
        ("sizes.csv", "image_id,width,height\n2,64,48\n"),
    ],
)
def test_sizes_that_nothing_else_tells_come_from_a_table(source, name, text):
    Path(name).write_text(text)
    Path("coco.json").write_text(json.dumps(source))
    command = f"convert --format coco --annotations coco.json --output a.parquet --sizes {name}"
    assert main(command.split()) == 0
    rows = ANNOTATIONS.read("a.parquet").to_pylist()
    assert [(row["width"], row["height"]) for row in rows] == [(40, 30), (40, 30), (64, 48)]


def test_the_files_own_size_wins_over_the_tables(source):
    Path("sizes.json").write_text('{"2": [48, 64]}')
    assert convert(source, "--sizes", "sizes.json") == 0
    rows = ANNOTATIONS.read("out/a.parquet").to_pylist()
    assert [(row["width"], row["height"]) for row in rows] == [(40, 30)] * 3


def test_an_image_of_unknown_size_is_rejected(source):
    source["images"][0] |= {"width": -40}
    Path("coco.json").write_text(json.dumps(source))
    command = "convert --format coco --annotations coco.json --output out/a --rejects out/r.parquet"
    assert main(command.split()) == 0
    assert rejects() == [
        ("images[0]", "its declared size is not two positive whole numbers"),
        ("images[1]", "its size is not known: give --images or --sizes"),
        ("annotations[1]", "its image is rejected"),
    ]


def test_ignore_labels_become_ignore_regions_of_the_first_label(source, capsys):
    assert convert(source, "--ignore-labels", "car", "--prompts", "out/p.parquet") == 0
    row = ANNOTATIONS.read("out/a.parquet").to_pylist()[0]
    assert row["labels"] == ["person"] * 3
    assert row["ignore"] == [False, True, True]
    assert capsys.readouterr().out.splitlines()[2] == "  boxes in 4 = kept 4 + rejected 0"
    assert len(PROMPTS.read("out/p.parquet")["ignore_boxes"][0].as_py()) == 2


def test_a_box_mostly_outside_is_rejected_where_asked(source):
    source["annotations"] = [
        {"image_id": 1, "category_id": 1, "bbox": [30, 0, 20, 10]},  # half inside
        {"image_id": 1, "category_id": 1, "bbox": [35, 0, 20, 10]},  # a quarter
        {"image_id": 1, "category_id": 1, "bbox": [35, 25, 10, 10]},  # half by half
    ]
    assert convert(source, "--min-inside", "0.5") == 0
    reason = "too little of bbox lies inside its image"
    assert rejects() == [("annotations[1]", reason), ("annotations[2]", reason)]
    assert convert(source, "--min-inside", "0.25") == 0
    assert rejects() == []


def test_small_boxes_are_ignored_where_asked(source):
    source["annotations"] = [
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 12]},
        {"image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 11.9]},
        {"image_id": 1, "category_id": 1, "bbox": [30, 0, 30, 5]},  # clipped to 10 x 5
    ]
    assert convert(source, "--min-size", "12") == 0
    assert ANNOTATIONS.read("out/a.parquet")["ignore"][0].as_py() == [False, True, True]


def test_half_a_character_is_written_as_its_escape(source):
    """JSON can name what UTF-8, and so Parquet, cannot."""
    source["images"][0]["file_name"] = "\ud800.png"
    source["annotations"][2] |= {"bbox": None, "note": "\udfff"}
    assert convert(source) == 0
    assert rejects()[0] == ("images[0]", "its id or file name is no valid text")
    raws = REJECTS.read("out/r.parquet")["raw"].to_pylist()
    assert '"\\ud800.png"' in raws[0] and '"\\udfff"' in raws[1]


def test_a_box_of_each_kind_is_asked_for_by_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    person = {"tag": "person", "fbox": [0, 0, 9, 9], "vbox": [1, 1, 8, 8], "hbox": [2, 2, 7, 7]}
    Path("a.odgt").write_text(json.dumps({"ID": "x", "gtboxes": [person]}))
    Path("sizes.json").write_text('{"x": [100, 200]}')
    for box, corner in (("full", 0), ("visible", 1), ("head", 2)):
        command = "convert --format crowdhuman --annotations a.odgt --sizes sizes.json --output a"
        assert main([*command.split(), "--box", box]) == 0
        row = ANNOTATIONS.read("a").to_pylist()[0]
        assert row["boxes"] == [[corner, corner, 9, 9]]
        assert (row["width"], row["height"]) == (200, 100)
