"""The metrics against the figures that the official evaluators printed."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from dipr1.evaluation.jaccard import JaccardCounts, jaccard_counts, jaccard_of
from dipr1.metrics import (
    average_precision,
    coco_metrics,
    jaccard_index,
    log_average_miss_rate,
    official_figures,
)

ORACLE = Path(__file__).parents[3] / "shared" / "data" / "oracle"
pytestmark = pytest.mark.skipif(
    not ORACLE.is_dir(), reason="../shared/data/oracle is absent: no official figures to compare to"
)


def xyxy(boxes: list) -> np.ndarray:
    rows = np.array(boxes, float).reshape(-1, 4)
    return np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]])


def is_ignored(record: dict) -> bool:
    return record["tag"] != "person" or record.get("extra", {}).get("ignore", 0) == 1


def crowdhuman_case(folder: Path) -> tuple[list, list, list, np.ndarray]:
    answers = [json.loads(line) for line in (folder / "dt.odgt").read_text().splitlines()]
    records = {
        record["ID"]: record["gtboxes"]
        for record in map(json.loads, (folder / "gt.odgt").read_text().splitlines())
    }
    detections, ground_truth, ignore = [], [], []
    for answer in answers:
        found, people = answer["dtboxes"], records[answer["ID"]]
        scores = np.array([row["score"] for row in found], float)
        detections.append(np.column_stack([xyxy([row["box"] for row in found]), scores]))
        ground_truth.append(xyxy([row["fbox"] for row in people if not is_ignored(row)]))
        ignore.append(xyxy([row["fbox"] for row in people if is_ignored(row)]))
    sizes = np.array([(answer["width"], answer["height"]) for answer in answers], float)
    return detections, ground_truth, ignore, sizes


@pytest.mark.parametrize("case", ["case1_tiny", "case2_real5", "case3_crowd120"])
def test_crowdhuman_metrics_equal_the_official_ones(case):
    folder = ORACLE / "crowdhuman" / case
    expected = json.loads((folder / "expected_crowddet.json").read_text())
    boxes = crowdhuman_case(folder)
    assert average_precision(*boxes) == pytest.approx(expected["AP"], abs=1e-6)
    assert log_average_miss_rate(*boxes) == pytest.approx(expected["MR"], abs=1e-6)
    assert jaccard_index(*boxes) == pytest.approx(expected["JI"], abs=1e-6)


@pytest.mark.parametrize("case", ["case1_tiny", "case2_real5", "case3_crowd120"])
def test_crowdhuman_protocol_equals_the_official_program(case):
    folder = ORACLE / "crowdhuman" / case
    expected = json.loads((folder / "expected_crowddet.json").read_text())
    values = official_figures("crowdhuman", str(folder / "gt.odgt"), str(folder / "dt.odgt"))
    assert values == {name: pytest.approx(expected[name], abs=1e-6) for name in ("AP", "MR", "JI")}


@pytest.mark.parametrize("case", ["case1_tiny", "case2_real5", "case3_crowd120"])
def test_jaccard_counts_equal_the_official_ones_at_each_score(case):
    """The official lines are `score_thr:0.0, mean_ratio:0.5198, valids:1303, total:2008, gtn:..`"""
    folder = ORACLE / "crowdhuman" / case
    expected = json.loads((folder / "expected_crowddet.json").read_text())["JI_lines"]
    counts = jaccard_counts(*crowdhuman_case(folder))
    for step, line in enumerate(expected):
        _, ratio, pairs, boxes, objects = map(float, re.findall(r":([0-9.]+)", line))
        got = [part[step].sum() for part in (counts.pairs, counts.boxes, counts.objects)]
        assert got == [pairs, boxes, objects]
        one = JaccardCounts(*(part[[step]] for part in vars(counts).values()))
        assert jaccard_of(one) == pytest.approx(ratio, abs=5.1e-5)


def test_citypersons_protocol_prints_what_the_official_program_prints():
    folder = ORACLE / "citypersons"
    expected = json.loads((folder / "expected_citypersons.json").read_text())
    values = official_figures("citypersons", str(folder / "gt.json"), str(folder / "dt.json"))
    assert len(values) == 4
    assert {name: f"{value:.2f}%" for name, value in values.items()} == {
        name: expected[name] for name in values
    }


def test_coco_protocol_equals_the_official_program():
    folder = ORACLE / "coco"
    line = (folder / "expected_coco.txt").read_text().splitlines()[0]
    expected = [float(number) for number in re.search(r"\[(.*)\]", line)[1].split(",")]
    values = official_figures("coco", str(folder / "gt_coco.json"), str(folder / "dt_coco.json"))
    assert list(values.values()) == pytest.approx(expected, abs=1e-6)


def test_uavdt_protocol_on_real_sequences(tmp_path):
    """The ground truth as its own detections: all found, and none is lost to ignored regions."""
    folder = ORACLE.parent / "uavdt"
    for name in ("M0207", "M0208"):
        lines = (folder / f"{name}_gt_whole.txt").read_text().splitlines()
        # a wrong box of the highest score, strictly inside a region that M0208 ignores in frame 1
        inside = ["1,-1,545,55,20,20,1"] if name == "M0208" else []
        found = [",".join([*line.split(",")[:6], "0.5"]) for line in lines]
        (tmp_path / f"{name}.txt").write_text("\n".join([*inside, *found]))
    values = official_figures("uavdt", str(folder), str(tmp_path))
    assert values["AP_overall"] == pytest.approx(100.0)


def test_coco_metrics_equal_the_official_ones():
    folder = ORACLE / "coco"
    truth = json.loads((folder / "gt_coco.json").read_text())
    results = json.loads((folder / "dt_coco.json").read_text())
    line = (folder / "expected_coco.txt").read_text().splitlines()[0]
    expected = [float(number) for number in re.search(r"\[(.*)\]", line)[1].split(",")]
    ids = [image["id"] for image in truth["images"]]
    detections = [
        np.array(
            [row["bbox"] + [row["score"]] for row in results if row["image_id"] == image_id], float
        ).reshape(-1, 5)
        for image_id in ids
    ]
    for rows in detections:
        rows[:, 2:4] += rows[:, :2]

    def boxes(crowd: int) -> list:
        return [
            xyxy(
                [
                    row["bbox"]
                    for row in truth["annotations"]
                    if row["image_id"] == image_id and row.get("iscrowd", 0) == crowd
                ]
            )
            for image_id in ids
        ]

    found = coco_metrics(detections, boxes(0), boxes(1))
    # the official AR (index 8) is at maxDets 100, which hides no box of this set
    assert max(map(len, detections)) <= 100
    names = ["AP", "AP50", "AP75", "AR"]
    assert [found[name] for name in names] == pytest.approx(
        [expected[index] for index in (0, 1, 2, 8)], abs=1e-6
    )
