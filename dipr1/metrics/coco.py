"""COCO's average precision and recall, computed by faster-coco-eval.

Departures from COCO's defaults, both so that crowds are measured whole: ``maxDets`` is the largest
number of detections of any image instead of 100, and ignore boxes are ``iscrowd`` areas, which
swallow any number of detections (by intersection over the detection's area).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from dipr1.boxes import area

CATEGORY = 1


def coco_metrics(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
) -> dict[str, float]:
    """AP, AP50, AP75 and AR of one category.

    Args:
        detections: per image (N, 5) xyxy and score. A box without an area (degenerate, inverted or
            not finite) stays as a false positive.
        ground_truth: per image (M, 4) xyxy, the same frame.
        ignore: per image (K, 4) xyxy, areas where detections do not count.

    Returns:
        ``AP`` (mean over IoU 0.50, 0.55 ... 0.95), ``AP50``, ``AP75``, and ``AR`` (recall with all
        detections, mean over the same IoUs), each in [0, 1]; NaN where nothing is to be found.

    Source: Lin et al., "Microsoft COCO: Common Objects in Context", and its evaluation code.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> scored = np.array([[0.0, 0.0, 10.0, 9.0, 0.8]])
    >>> coco_metrics([scored], [boxes], [np.empty((0, 4))])["AP50"]
    1.0
    """
    if not any(len(boxes) for boxes in ground_truth):
        return dict.fromkeys(("AP", "AP50", "AP75", "AR"), math.nan)
    if not any(len(boxes) for boxes in detections):
        return dict.fromkeys(("AP", "AP50", "AP75", "AR"), 0.0)
    evaluation = _evaluate(
        _as_truth(ground_truth, ignore), _as_results(detections, [*ground_truth, *ignore])
    )
    # precision: (IoU, recall, category, area range, maxDets); recall: the same without the second
    precision = np.asarray(evaluation["precision"])[:, :, 0, 0, -1]
    recall = np.asarray(evaluation["recall"])[:, 0, 0, -1]
    return {
        "AP": float(precision.mean()),
        "AP50": float(precision[0].mean()),
        "AP75": float(precision[5].mean()),
        "AR": float(recall.mean()),
    }


def _evaluate(truth: dict, results: list[dict]) -> dict:
    # a tenth of a second to import
    from faster_coco_eval import COCO, COCOeval_faster

    targets = COCO(truth)
    evaluator = COCOeval_faster(targets, targets.loadRes(results), "bbox")
    per_image = np.bincount([result["image_id"] for result in results])
    evaluator.params.maxDets = [1, 10, max(100, int(per_image.max()))]
    evaluator.params.areaRng = [[0, 1e10]]
    evaluator.params.areaRngLbl = ["all"]
    evaluator.evaluate()
    evaluator.accumulate()
    return evaluator.eval


def _as_truth(ground_truth: Sequence[np.ndarray], ignore: Sequence[np.ndarray]) -> dict:
    annotations = []
    for image_id, (objects, areas) in enumerate(zip(ground_truth, ignore, strict=True), start=1):
        for crowd, boxes in ((0, objects), (1, areas)):
            for x1, y1, x2, y2 in np.asarray(boxes, np.float64).reshape(-1, 4).tolist():
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": CATEGORY,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": crowd,
                    }
                )
    return {
        "info": {},
        "licenses": [],
        "images": [{"id": image_id} for image_id in range(1, len(ground_truth) + 1)],
        "annotations": annotations,
        "categories": [{"id": CATEGORY, "name": "object"}],
    }


def _as_results(detections: Sequence[np.ndarray], others: Sequence[np.ndarray]) -> list[dict]:
    # where nothing is: beyond the least coordinate of people and ignore areas
    corner = min(boxes[:, :2].min() for boxes in others if len(boxes))
    nowhere = [corner - 3.0, corner - 3.0, corner - 2.0, corner - 2.0]
    results = []
    for image_id, rows in enumerate(detections, start=1):
        rows = np.asarray(rows, np.float64).reshape(-1, 5)
        # COCO's overlap of a box without an area is 0 / 0 or negative; one that lies where nothing
        # is overlaps nothing
        boxes = np.where((area(rows[:, :4]) > 0)[:, None], rows[:, :4], nowhere)
        sides = boxes[:, 2:] - boxes[:, :2]
        for box, score in zip(
            np.hstack([boxes[:, :2], sides]).tolist(), rows[:, 4].tolist(), strict=True
        ):
            results.append(
                {"image_id": image_id, "category_id": CATEGORY, "bbox": box, "score": score}
            )
    return results
