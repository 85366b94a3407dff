"""Training sets of other trainers, and the answers and labels that other programs read."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from dipr1 import exports
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import Made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.cli import main
from dipr1.responses import parse_response
from dipr1.rewards import accuracy_reward, looking_reward
from dipr1.rewards.adapters import for_easyr1, for_verl
from tests.unit.two_images import prompts, variance


@pytest.fixture
def folder(tmp_path) -> Path:
    """Prompts about two images that exist, and their statistics."""
    rows = [
        row | {"image": str(tmp_path / f"{row['image_id']}.png")} for row in prompts().to_pylist()
    ]
    for row in rows:
        Image.new("RGB", (row["width"], row["height"]), "grey").save(row["image"])
    PROMPTS.write(pa.Table.from_pylist(rows, PROMPTS.schema), tmp_path / "prompts.parquet", Made())
    VARIANCE.write(variance(), tmp_path / "variance.parquet", Made())
    return tmp_path


def exported(folder: Path, name: str, *flags: str) -> Path:
    """What `dipr1 export` writes of the prompts."""
    output = folder / f"out.{name}"
    source = ["export", str(folder / "prompts.parquet"), "--format", name]
    assert main([*source, "--output", str(output), *flags]) == 0
    return output


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def statistics(folder: Path) -> list[str]:
    return ["--variance", str(folder / "variance.parquet")]


def truth(row: dict) -> str:
    """A response with every object, that looks at nothing."""
    answer = json.dumps([{"bbox_2d": box, "label": "person"} for box in row["gt_boxes"]])
    return f"<think>all</think><look>[]</look><answer>{answer}</answer>"


def test_the_page_has_every_format(root):
    page = (root / "docs/exports.md").read_text(encoding="utf-8")
    assert sorted(re.findall(r"^\| `([a-z0-9-]+)` \|", page, re.M)) == exports.NAMES


def test_swift_has_the_columns_of_the_rewards(folder):
    rows = lines(exported(folder, "swift", *statistics(folder)))
    assert [row["image_id"] for row in rows] == prompts()["image_id"].to_pylist()
    for row, image_id in zip(rows, "ab", strict=True):
        assert row["images"] == [str(folder / f"{image_id}.png")]
        assert row["messages"][0]["role"] == "user"
        assert row["messages"][0]["content"].startswith("<image>")
        columns = {
            name: [value] for name, value in row.items() if name not in ("messages", "images")
        }
        assert accuracy_reward([truth(row)], **columns) == [1.0]
        assert looking_reward([truth(row)], **columns) == [0.0 if image_id == "a" else 1.0]


@pytest.mark.parametrize("measured", [True, False])
def test_verl_is_told_the_truth(folder, measured):
    table = pq.read_table(exported(folder, "verl", *(statistics(folder) if measured else [])))
    for row, prompt in zip(table.to_pylist(), prompts().to_pylist(), strict=True):
        assert [one["content"].count("<image>") for one in row["prompt"]] == [1]
        ground_truth = row["reward_model"]["ground_truth"]
        score = for_verl.compute_score("dipr1", truth(prompt), ground_truth)
        assert score["accuracy"] == score["reasoning"] == 1.0
        assert np.isnan(score["looking"]) == (not measured)
        assert row["data_source"] == ("dipr1" if measured else "dipr1_without_looks")


def test_easyr1_is_told_the_truth(folder):
    rows = lines(exported(folder, "easyr1", *statistics(folder)))
    for row, prompt in zip(rows, prompts().to_pylist(), strict=True):
        assert row["problem"].count("<image>") == 1
        given = {"response": truth(prompt), "response_length": 9, "ground_truth": row["answer"]}
        assert for_easyr1.compute_score([given])[0]["accuracy"] == 1.0


def test_llamafactory_is_taught_what_sft_is(folder):
    output = exported(folder, "llamafactory", *statistics(folder), "--think", "{count} here.")
    about = json.loads((output / "dataset_info.json").read_text())["dipr1"]
    rows = json.loads((output / about["file_name"]).read_text())
    for row, prompt in zip(rows, prompts().to_pylist(), strict=True):
        *asked, answer = row[about["columns"]["messages"]]
        assert [one["role"] for one in asked] == ["user"]
        response = parse_response(answer["content"], ["person"])
        assert response.well_formed
        assert response.think.strip() == f"{len(prompt['gt_boxes'])} here."
        assert len(response.answer.boxes) == len(prompt["gt_boxes"])


def test_pictures_are_written_as_the_policy_sees_them(folder, capsys):
    shown = folder / "shown"
    flags = ["--shown", str(shown), "--images", str(folder)]
    sizes = [row["frame_width"] * row["frame_height"] for row in prompts().to_pylist()]
    capsys.readouterr()
    exported(folder, "easyr1", *flags)  # for another framework, the same pictures
    bounds = f"data.min_pixels={min(sizes):.0f} data.max_pixels={max(sizes):.0f}"
    assert f"2 questions; set {bounds}\n" in capsys.readouterr().out
    rows = lines(exported(folder, "swift", *flags))
    assert [row["images"] for row in rows] == [["shown/0000000.png"], ["shown/0000001.png"]]
    for row, prompt in zip(rows, prompts().to_pylist(), strict=True):
        with Image.open(folder / row["images"][0]) as picture:
            size = picture.size
        absolute = prompt["frame"] == "absolute"
        frame = round(prompt["frame_width"]), round(prompt["frame_height"])
        assert size == (frame if absolute else (prompt["width"], prompt["height"]))


def annotated(folder: Path) -> Path:
    """Two images: a person, half outside, and one who is ignored; and nobody."""
    shared = {"width": 100, "height": 50}
    rows = [
        {
            "image_id": "7",
            "image": "images/7.jpg",
            "boxes": [[10, 10, 30, 50], [-10, 0, 10, 20], [50, 10, 60, 20]],
            "labels": ["person", "rider", "person"],
            "ignore": [False, False, True],
            "visibility": [None] * 3,
        },
        {
            "image_id": "8",
            "image": "images/8.jpg",
            "boxes": [],
            "labels": [],
            "ignore": [],
            "visibility": [],
        },
    ]
    path = folder / "annotations.parquet"
    table = pa.Table.from_pylist([row | shared for row in rows], ANNOTATIONS.schema)
    ANNOTATIONS.write(table, path, Made(options={"labels": ["rider", "person"]}))
    return path


def test_yolo_has_centres_and_shares(tmp_path):
    output = tmp_path / "yolo"
    source = str(annotated(tmp_path))
    assert main(["export", source, "--format", "yolo", "--output", str(output)]) == 0
    assert (output / "labels" / "7.txt").read_text().splitlines() == [
        "0 0.200000 0.600000 0.200000 0.800000",
        "1 0.050000 0.200000 0.100000 0.400000",
    ]
    assert (output / "labels" / "8.txt").read_text() == ""
    assert (output / "images.txt").read_text() == "./images/7.jpg\n./images/8.jpg\n"
    assert (output / "images/7.jpg").readlink() == Path("images/7.jpg").absolute()
    assert '  0: "person"\n  1: "rider"\n' in (output / "data.yaml").read_text()


def predicted(folder: Path) -> Path:
    """A rider and a dog in one of the images; no answer about the other."""
    answer = '<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "rider"}, {"bbox_2d": [1, 2, 9, 9], \
"label": "dog"}]</answer>'
    row = {"sample": 0, "num_tokens": 9, "problems": [], "look_boxes": None}
    rows = [
        row
        | {
            "image_id": "7",
            "text": answer,
            "boxes": [[10, 20, 30, 50], [1, 2, 3, 4]],
            "confidence": [0.75, 0.5],
        },
        row | {"image_id": "8", "text": "no", "boxes": None, "confidence": None},
    ]
    path = folder / "predictions.parquet"
    SAMPLES.write(pa.Table.from_pylist(rows, SAMPLES.schema), path, Made())
    return path


@pytest.mark.parametrize("number_ids", [True, False])
def test_coco_results_go_with_the_annotations(tmp_path, number_ids):
    from pycocotools.coco import COCO

    flags = ["--number-ids"] if number_ids else []
    truth_file, results = tmp_path / "truth.json", tmp_path / "results.json"
    assert main(["export", str(annotated(tmp_path)), "--output", str(truth_file), *flags]) == 0
    predictions = predicted(tmp_path)
    command = ["export", str(predictions), "--format", "coco-results"]
    assert main([*command, "--output", str(results), *flags]) == 1  # which labels?
    command += ["--labels", "person", "rider"]
    assert main([*command, "--output", str(results), *flags]) == 0
    found = COCO(truth_file).loadRes(str(results)).dataset["annotations"]
    shown = [(one["image_id"], one["category_id"], one["bbox"], one["score"]) for one in found]
    assert shown == [(1 if number_ids else 7, 2, [10, 20, 20, 30], 0.75)]


def test_fiftyone_has_labels_and_answers(tmp_path, capsys):
    source, output = annotated(tmp_path), tmp_path / "fiftyone"
    command = ["export", str(source), "--format", "fiftyone", "--output", str(output)]
    assert main([*command, "--predictions", str(predicted(tmp_path))]) == 0
    first, second = json.loads((output / "samples.json").read_text())["samples"]
    shown = [
        (one["label"], one["bounding_box"], one["iscrowd"])
        for one in first["ground_truth"]["detections"]
    ]
    assert shown == [
        ("person", [0.1, 0.2, 0.2, 0.8], 0),
        ("rider", [-0.1, 0.0, 0.2, 0.4], 0),
        ("person", [0.5, 0.2, 0.1, 0.2], 1),
    ]
    [answer] = first["predictions"]["detections"]
    assert (answer["label"], answer["confidence"]) == ("rider", 0.75)
    assert answer["bounding_box"] == [0.1, 0.4, 0.2, 0.6]
    assert second["predictions"]["detections"] == [] and "suspects" not in second
    assert second["filepath"] == str(Path("images/8.jpg").absolute())
    assert json.loads((output / "metadata.json").read_text())["info"]["classes"] == [
        "person",
        "rider",
    ]
    rows = SAMPLES.read(tmp_path / "predictions.parquet")
    SAMPLES.write(pa.concat_tables([rows, rows]), tmp_path / "predictions.parquet", Made())
    command[-1] = str(tmp_path / "other")
    assert main([*command, "--predictions", str(tmp_path / "predictions.parquet")]) == 1
    assert "image '7' has several answers" in capsys.readouterr().err
