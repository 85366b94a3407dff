"""Small files of the kinds that users reported: what becomes of each now."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import PROMPTS
from dipr1.cli import main
from dipr1.evaluation.protocols import official_figures
from dipr1.policies.load import load_image


@pytest.fixture
def converted(shared_data: Path, tmp_path: Path, monkeypatch, capsys) -> Callable:
    """`dipr1 convert` on one of the folders: its rows and what it printed; None where it stops."""
    output = str(tmp_path / "a.parquet")

    def run(name: str, flags: str) -> tuple[list[dict] | None, dict, str]:
        if not (shared_data / "reports" / name).is_dir():
            pytest.skip(f"reports/{name} is not among the real data")
        monkeypatch.chdir(shared_data / "reports" / name)
        code = main(["convert", *shlex.split(flags), "--output", output, "--json"])
        printed = capsys.readouterr()
        rows = None if code else ANNOTATIONS.read(output).to_pylist()
        return rows, json.loads(printed.out or "{}"), printed.err

    return run


def test_a_class_of_two_words_in_kitti(converted):
    rows, _, _ = converted("kitti_two_word_class", "--format kitti --annotations l --images i")
    assert (rows[0]["labels"], rows[0]["boxes"]) == (["Person sitting"], [[20, 30, 40, 70]])


def test_wider_of_2019_has_four_numbers_a_box(converted, shared_data):
    flags = "--format wider --annotations val_bbox.txt --sizes sizes.json"
    rows, counts, _ = converted("wider_2019", flags)
    listed = (shared_data / "reports/wider_2019/val_bbox.txt").read_text().splitlines()
    people = sum(len(line.split()) // 4 for line in listed)
    assert counts["rows"]["rejected"] == 0
    assert len(rows) == len(listed) == 200
    assert sum(not ignored for row in rows for ignored in row["ignore"]) == people == 781


def test_hidden_files_are_not_annotations_and_capitals_do_not_matter(converted):
    rows, counts, _ = converted(
        "voc_hidden_and_uppercase", "--format voc --annotations A --images i"
    )
    assert [row["image_id"] for row in rows] == ["a", "b", "c"]
    assert counts["rows"] == {"read": 6, "kept": 6, "rejected": 0, "other_labels": 0}


def test_labels_of_cvat_beside_the_lines_of_mot(converted):
    rows, _, _ = converted("mot_labels_txt", "--format mot --annotations . --images .")
    assert [label for row in rows for label in row["labels"]] == ["person", "car"]


def test_sizes_in_the_ground_truth_of_crowdhuman(converted, shared_data, capsys):
    rows, _, _ = converted(
        "crowdhuman_sizes_in_ground_truth", "--format crowdhuman --annotations gt.odgt"
    )
    assert (rows[0]["width"], rows[0]["height"]) == (100, 80)
    # of three persons that are found, the official curve leaves out the first third
    figures = official_figures("crowdhuman", "gt.odgt", "dt.odgt")
    assert figures["AP"] == pytest.approx(2 / 3, abs=1e-12)


def test_backslashes_in_file_names(converted):
    rows, _, _ = converted("coco_backslashes", "--format coco --annotations a.json --images i")
    assert rows[0]["image"] == "i/images/a.jpg"


@pytest.mark.parametrize(
    ("name", "flags", "example"),
    [
        (
            "coco_wrong_prefix",
            "--format coco --annotations r.json --images train",
            "for example train/train/a.jpg; there is train/a.jpg",
        ),
        (
            "voc_other_suffix",
            "--format voc --annotations A --images i",
            "for example i/a.jpg; there is i/a.png",
        ),
    ],
)
def test_a_missing_image_is_named_beside_what_is_there(converted, name, flags, example):
    rows, _, error = converted(name, flags)
    assert rows is None
    assert error.endswith(f"image file is missing, {example}\n")


def test_a_file_without_one_readable_line_stops_the_conversion(converted):
    rows, counts, error = converted("mot_seven_columns", "--format mot --annotations . --images .")
    assert rows is None
    assert counts["boxes"] == {"read": 2, "kept": 0, "rejected": 2, "other_labels": 0}
    assert "line 1: not nine or ten numbers: '2,-1,10,27,17,29,0.9'" in error


@pytest.mark.parametrize(
    ("flags", "numbers"),
    [
        ("", {"cyclist": 1, "pedestrian": 2}),
        ("--labels pedestrian cyclist", {"pedestrian": 1, "cyclist": 2}),
    ],
)
@pytest.mark.parametrize("split", ["train", "val", "empty"])
def test_categories_have_the_same_numbers_in_every_split(
    converted, tmp_path, split, flags, numbers
):
    converted("coco_categories_by_split", f"--format coco --annotations {split}.json")
    exported = tmp_path / "e.json"
    command = f"export {tmp_path}/a.parquet --output {exported} {flags}"
    assert main(shlex.split(command)) == 0
    categories = json.loads(exported.read_text())["categories"]
    assert {category["name"]: category["id"] for category in categories} == numbers
    again = ["convert", "--format", "coco", "--annotations", str(exported)]
    assert main([*again, "--output", str(tmp_path / "b.parquet")]) == 0


def test_sizes_and_boxes_of_an_image_that_exif_turns(converted):
    rows, _, _ = converted("exif_size_declared", "--format coco --annotations a.json --images i")
    assert (rows[0]["width"], rows[0]["height"]) == (80, 100)
    rows, _, _ = converted("exif_kitti", "--format kitti --annotations l --images i")
    assert (rows[0]["width"], rows[0]["height"]) == (80, 100)
    assert rows[0]["boxes"] == [[10, 60, 30, 95]]


def test_the_policy_sees_an_image_that_exif_turns_as_its_annotator_did(converted, tmp_path):
    flags = "--format coco --annotations a.json --images i"
    rows, _, _ = converted("exif_upside_down", flags)
    seen = np.asarray(load_image(rows[0]["image"], "thousandths", 1000.0, 1000.0))
    stored = np.asarray(Image.open(rows[0]["image"]))
    assert (seen == stored[::-1, ::-1]).all()
    rows, _, _ = converted("exif_upside_down", f"{flags} --exif ignore --prompts {tmp_path}/p")
    row = PROMPTS.read(tmp_path / "p").to_pylist()[0]
    assert (rows[0]["exif"], row["exif"]) == ("ignore", "ignore")
    seen = np.asarray(load_image(row["image"], "thousandths", 1000.0, 1000.0, row["exif"]))
    assert (seen == stored).all()


def test_sixteen_bits_are_scaled_to_eight(shared_data):
    path = str(shared_data / "reports/png_16_bit/u16.png")
    levels = np.asarray(Image.open(path)) / 257
    seen = np.asarray(load_image(path, "thousandths", 1000.0, 1000.0))[..., 0]
    assert levels.min() < 250
    assert np.abs(seen - levels).max() <= 0.5


def test_an_image_that_is_broken_inside_is_rejected(converted):
    rows, counts, _ = converted(
        "png_broken_inside", "--format coco --annotations a.json --images i"
    )
    assert [row["image"] for row in rows] == ["i/a.png"]
    assert [reason.partition(": ")[0] for reason in counts["reasons"]] == ["image file is broken"]
