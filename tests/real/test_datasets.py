"""The readers on real annotation files."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.cli import main
from dipr1.datasets.formats import crowdhuman


@pytest.fixture(scope="module")
def coco128(shared_data: Path) -> Path:
    folder = shared_data / "coco128"
    if not folder.is_dir():
        pytest.skip("coco128 is not among the real data")
    return folder


def test_coco128_is_read_to_the_last_box(coco128, tmp_path, capsys):
    output = tmp_path / "a.parquet"
    files = ["--annotations", str(coco128 / "instances.json"), "--images", str(coco128 / "images")]
    outputs = ["--output", str(output), "--rejects", str(tmp_path / "r.parquet")]
    command = ["convert", "--format", "coco", *files, *outputs, "--labels", "person", "--json"]
    assert main([*command, "--strict"]) == 0
    counts = json.loads(capsys.readouterr().out)

    document = json.loads((coco128 / "instances.json").read_text())
    people = [a for a in document["annotations"] if a["category_id"] == 1]
    assert counts["images"]["kept"] == len(document["images"])
    assert counts["boxes"]["kept"] == len(people)
    assert counts["boxes"]["other_labels"] == len(document["annotations"]) - len(people)

    table = ANNOTATIONS.read(output)
    for row, boxes in zip(table.to_pylist(), box_arrays(table["boxes"]), strict=True):
        own = [a["bbox"] for a in people if str(a["image_id"]) == row["image_id"]]
        expected = np.array(own, np.float64).reshape(-1, 4)
        expected[:, 2:] += expected[:, :2]
        np.testing.assert_allclose(boxes, expected, atol=0.02)  # clipped by rounding at most
        with Image.open(row["image"]) as image:
            assert image.size == (row["width"], row["height"])


@pytest.fixture
def converted(shared_data: Path, tmp_path: Path, capsys):
    """Convert a file of the real data by hand; returns the printed counts and the rows."""

    def run(kind: str, annotations: str, *flags: str) -> tuple[dict, list[dict]]:
        path = shared_data / annotations
        if not path.exists():
            pytest.skip(f"{annotations} is not among the real data")
        output = tmp_path / "a.parquet"
        files = ["--annotations", str(path), "--output", str(output)]
        assert main(["convert", "--format", kind, *files, *flags, "--json"]) == 0
        counts = json.loads(capsys.readouterr().out)
        return counts, ANNOTATIONS.read(output).to_pylist()

    return run


MATLAB, OFFICIAL = "citypersons/anno_val.mat", "oracle/citypersons/gt.json"


def test_every_row_of_citypersons_is_kept(converted):
    counts, rows = converted("citypersons", MATLAB)
    assert counts["images"] == {"read": 500, "kept": 500, "rejected": 0, "other_labels": 0}
    assert counts["boxes"] == {"read": 5795, "kept": 5795, "rejected": 0, "other_labels": 0}
    labels = Counter(
        label
        for row in rows
        for label, ignore in zip(row["labels"], row["ignore"], strict=True)
        if not ignore
    )
    assert labels == {
        "pedestrian": 3157,
        "rider": 509,
        "sitting person": 185,
        "person (other)": 87,
    }
    assert sum(sum(row["ignore"]) for row in rows) == 1631 + 226


def test_both_layouts_of_citypersons_hold_the_same_boxes(converted):
    """The official evaluation's file was made from the other by its authors."""
    asked = ["--labels", "pedestrian", "--ignore-labels", "rider", "sitting person"]
    _, from_matlab = converted("citypersons", MATLAB, *asked, "person (other)")
    _, official = converted("citypersons", OFFICIAL)
    by_name = {row["image"]: row for row in official}
    for row in from_matlab:
        other = by_name[row["image"]]
        assert sorted(flagged(row)) == sorted(flagged(other))
        shares = dict(zip(map(tuple, other["boxes"]), other["visibility"], strict=True))
        for (box, ignored), share in zip(flagged(row), row["visibility"], strict=True):
            assert ignored or share == pytest.approx(shares[box], abs=0.01)


def flagged(row: dict) -> list[tuple[tuple[float, ...], bool]]:
    """The boxes of a row, each with whether it is ignored."""
    return list(zip(map(tuple, row["boxes"]), row["ignore"], strict=True))


def test_visible_boxes_of_citypersons_lose_the_row_that_has_none(converted):
    for layout in (MATLAB, OFFICIAL):
        counts, _ = converted("citypersons", layout, "--box", "visible")
        assert counts["boxes"]["kept"] == 5794
        assert counts["reasons"] == {"bbox has no area": 1}


def test_crowdhuman_with_a_table_of_sizes_in_the_wild(converted, shared_data):
    sizes = str(shared_data / "crowdhuman" / "id_hw_train.mmdet.json")
    counts, rows = converted(
        "crowdhuman", "crowdhuman/crowdhuman_real_5lines.odgt", "--sizes", sizes
    )
    assert counts["images"]["read"] == 5
    # The table has one of the five; a full body of 1748 needs 2048 to be the width.
    ((row),) = rows
    assert (row["image_id"], row["width"], row["height"]) == ("283554,35288000868e92d4", 2048, 1356)
    assert row["boxes"][0] == [1330, 317, 1748, 1356]
    assert row["ignore"] == [False] * 6 + [True]
    assert counts["reasons"]["its size is not known: give --images or --sizes"] == 4


@pytest.mark.parametrize("box", ["full", "visible", "head"])
@pytest.mark.parametrize("case", ["case1_tiny", "case2_real5", "case3_crowd120"])
def test_crowdhuman_boxes_are_those_of_the_lines(shared_data, case, box):
    path = shared_data / "oracle" / "crowdhuman" / case / "gt.odgt"
    if not path.exists():
        pytest.skip("the CrowdHuman oracles are not among the real data")
    reading = crowdhuman.read(str(path), box=box)
    assert not reading.rejected_images and not reading.rejected_boxes
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    key = {"full": "fbox", "visible": "vbox", "head": "hbox"}[box]
    expected = [entry[key] for line in lines for entry in line["gtboxes"]]
    found = reading.boxes().xyxy.copy()
    found[:, 2:] -= found[:, :2]
    np.testing.assert_array_equal(found, np.reshape(expected, (-1, 4)))
