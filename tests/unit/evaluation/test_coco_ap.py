"""COCO's metrics by hand-worked cases and against pycocotools."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest

from dipr1.metrics import (
    coco_metrics,
)
from tests.unit.evaluation.crowds import NO_DETECTION, NONE, PERSON, random_set, scored


def pycocotools_metrics(detections: list, ground_truth: list, ignore: list) -> list[float]:
    """AP, AP50, AP75 and AR of the reference implementation."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image_id, (found, people, areas) in enumerate(
        zip(detections, ground_truth, ignore, strict=True), start=1
    ):
        for crowd, boxes in ((0, people), (1, areas)):
            for x1, y1, x2, y2 in boxes:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": crowd,
                    }
                )
        for x1, y1, x2, y2, score in found:
            box = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image_id, "category_id": 1, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": image_id + 1} for image_id in range(len(detections))],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.params.maxDets = [1, 10, 1000]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, -1]
    recall = evaluator.eval["recall"][:, 0, 0, -1]
    return [precision.mean(), precision[0].mean(), precision[5].mean(), recall.mean()]


@pytest.mark.parametrize("seed", range(4))
def test_coco_equals_pycocotools(seed):
    boxes = random_set(seed)
    assert list(coco_metrics(*boxes).values()) == pytest.approx(
        pycocotools_metrics(*boxes), abs=1e-12
    )


def test_coco_counts_boxes_beyond_the_hundredth():
    people = np.array([[20.0 * k, 0, 20.0 * k + 10, 10] for k in range(150)])
    found = np.column_stack([people, np.linspace(1, 0.1, 150)])
    assert coco_metrics([found], [people], [NONE])["AR"] == 1.0
    assert coco_metrics([found], [people], [NONE])["AP"] == 1.0


def test_coco_without_detections_is_zero():
    assert set(coco_metrics([NO_DETECTION], [PERSON], [NONE]).values()) == {0.0}


@pytest.mark.parametrize("found", [NO_DETECTION, scored([0, 0, 5, 5, 0.5])])
def test_coco_with_nobody_to_find_is_undefined(found):
    assert all(math.isnan(value) for value in coco_metrics([found], [NONE], [NONE]).values())


def test_coco_counts_an_image_without_people_when_something_is_found_in_it():
    clean = coco_metrics([scored([0, 0, 10, 10, 0.5]), NO_DETECTION], [PERSON, NONE], [NONE, NONE])
    wrong = coco_metrics(
        [scored([0, 0, 10, 10, 0.5]), scored([0, 0, 9, 9, 0.9])], [PERSON, NONE], [NONE, NONE]
    )
    assert clean["AP"] == 1.0
    assert wrong["AP"] == pytest.approx(0.5)


def test_coco_ignore_area_swallows_every_detection_in_it():
    found = scored([50, 50, 60, 60, 0.9], [55, 55, 65, 65, 0.8], [0, 0, 10, 10, 0.5])
    area = np.array([[40.0, 40, 80, 80]])
    assert coco_metrics([found], [PERSON], [area])["AP"] == pytest.approx(1.0)
    assert coco_metrics([found], [PERSON], [NONE])["AP"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("wrong", [[5, 5, 5, 9], [9, 9, 1, 1], [math.nan] * 4, [0, 0, math.inf, 5]])
def test_coco_box_without_an_area_is_a_false_positive(wrong):
    found = scored([*wrong, 0.9], [0, 0, 10, 10, 0.5])
    assert coco_metrics([found], [PERSON], [NONE])["AP"] == pytest.approx(0.5)


def test_coco_box_without_an_area_lies_in_no_ignore_area():
    found = scored([5, 5, 5, 9, 0.9], [0, 0, 10, 10, 0.5])
    everything = np.array([[-100.0, -100, 100, 100]])
    assert coco_metrics([found], [PERSON], [everything])["AP"] == pytest.approx(0.5)
