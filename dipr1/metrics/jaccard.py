"""CrowdHuman's Jaccard index (JI), by its official rules.

Source: Chu et al., "Detection in Crowded Scenes: One Proposal, Multiple Predictions"
(arXiv 2003.09163) and the evaluation code of its authors. The official code adds 1e-6 to each
denominator, which moves the index by less than that; an image without people or without detections
is allowed here, where it stops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipr1.boxes import ioa, iou
from dipr1.metrics.miss_rate import clip_to_image

SCORE_THRESHOLDS = tuple(step / 10 for step in range(10))


def jaccard_index(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
    sizes: np.ndarray | None = None,
    threshold: float = 0.5,
) -> float:
    """Share of detections and people that are matched pairs, at the best score threshold.

    At each score threshold 0, 0.1 ... 0.9 the detections strictly above it are matched one to one
    with the ground truth (largest total IoU, pairs with IoU strictly above `threshold`); unmatched
    boxes of either kind that lie in one ignore area (share of their own area strictly above
    `threshold`) leave. An image's index is matched / (detections + people - matched).

    Args:
        detections: per image (N, 5) xyxy and score.
        ground_truth: per image (M, 4) xyxy, the same frame.
        ignore: per image (K, 4) xyxy.
        sizes: (images, 2) width and height, to which all boxes are clipped first
            (:func:`dipr1.metrics.miss_rate.clip_to_image`).
        threshold: IoU that a pair, and share that an ignored box, must be strictly above.

    Returns:
        The mean over the images that have people or detections, at the score threshold where it is
        largest, in [0, 1]; NaN where no image has either.

    >>> truth = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> jaccard_index([np.array([[0.0, 0.0, 10.0, 9.0, 0.8]])], [truth], [np.empty((0, 4))])
    0.5
    """
    totals = np.zeros(len(SCORE_THRESHOLDS))
    num_images = np.zeros(len(SCORE_THRESHOLDS), int)
    for index, rows in enumerate(detections):
        rows = np.asarray(rows, np.float64).reshape(-1, 5)
        boxes, objects, areas = rows[:, :4], ground_truth[index], ignore[index]
        if sizes is not None:
            boxes, objects, areas = (
                clip_to_image(b, *sizes[index]) for b in (boxes, objects, areas)
            )
        ratios = _ratios(
            rows[:, 4],
            iou(boxes, objects),
            (ioa(boxes, areas) > threshold).any(axis=1),
            (ioa(objects, areas) > threshold).any(axis=1),
            threshold,
        )
        counts = ~np.isnan(ratios)
        totals[counts] += ratios[counts]
        num_images += counts
    if not num_images.any():
        return float("nan")
    return float((totals / np.maximum(num_images, 1)).max())


def _ratios(
    scores: np.ndarray,
    overlaps: np.ndarray,
    boxes_ignored: np.ndarray,
    objects_ignored: np.ndarray,
    threshold: float,
) -> np.ndarray:
    """One image's index at each score threshold; NaN where it has neither boxes nor objects."""
    ratios = np.full(len(SCORE_THRESHOLDS), np.nan)
    num_before = -1
    for step, score in enumerate(SCORE_THRESHOLDS):
        kept = scores > score
        if kept.sum() == num_before:  # the same boxes as at the threshold before
            ratios[step] = ratios[step - 1]
            continue
        num_before = kept.sum()
        rows, columns = _best_pairs(overlaps[kept], threshold)
        boxes_counted, objects_counted = ~boxes_ignored[kept], ~objects_ignored
        boxes_counted[rows] = True
        objects_counted[columns] = True
        union = boxes_counted.sum() + objects_counted.sum() - len(rows)
        if len(overlaps[kept]) + len(objects_ignored):
            ratios[step] = len(rows) / union if union else 0.0
    return ratios


def _best_pairs(overlaps: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """The one-to-one pairs above `threshold` with the largest total overlap."""
    # half a second to import
    from scipy.optimize import linear_sum_assignment

    gain = np.where(overlaps > threshold, overlaps, 0.0)
    rows, columns = linear_sum_assignment(gain, maximize=True)
    real = gain[rows, columns] > 0.0
    return rows[real], columns[real]
