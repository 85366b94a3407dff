"""CrowdHuman's average precision and log-average miss rate, by its official rules.

Source: Shao et al., "CrowdHuman: A Benchmark for Detecting Human in a Crowd" (arXiv 1805.00123) and
the evaluation code of its authors. It differs from COCO's in every step: the matching is greedy
with IoU strictly above the threshold, one ignore area may swallow any number of detections, and the
precision-recall curve is integrated as it is, without an envelope.

Here an image without people or without detections is allowed, where the official code stops.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipr1.evaluation.ranked import (
    DROPPED,
    FALSE,
    TRUE,
    Ranked,
    crowdhuman_ap,
    log_average_miss_rate_of,
    rank,
)
from dipr1.evaluation.stacks import by_score, stack
from dipr1.matching import by_preference, greedy, largest_ioa, overlapping_pairs


def average_precision(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
    sizes: np.ndarray | None = None,
    threshold: float = 0.5,
) -> float:
    """Average precision by CrowdHuman's rules: the trapezoids under the raw curve.

    Args:
        detections: per image (N, 5) xyxy and score.
        ground_truth: per image (M, 4) xyxy, the same frame.
        ignore: per image (K, 4) xyxy, areas where detections do not count.
        sizes: (images, 2) width and height, to which all boxes are clipped first, as the official
            code does (:func:`dipr1.evaluation.stacks.clip_to_image`); left out, boxes are taken as
            they are.
        threshold: a pair matches where its IoU is strictly above this.

    Returns:
        The area from the first detection's recall on (there is no segment from recall 0), in
        [0, 1]; 0 without detections, NaN where nothing is to be found.

    >>> truth = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> found = np.array([[0.0, 0.0, 10.0, 9.0, 0.8], [20.0, 0.0, 30.0, 9.0, 0.7]])
    >>> average_precision([found], [truth], [np.empty((0, 4))])
    0.5
    """
    return crowdhuman_ap(crowdhuman_ranked(detections, ground_truth, ignore, sizes, threshold))


def log_average_miss_rate(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
    sizes: np.ndarray | None = None,
    threshold: float = 0.5,
) -> float:
    """Log-average miss rate (MR^-2) by CrowdHuman's rules; lower is better.

    The miss rate at nine numbers of false positives per image (FPPI) from 0.01 to 1, averaged
    geometrically. Each is read at the first detection, in order of score, that reaches the FPPI, or
    at the last detection; the mean runs over all images, with people or without.

    Args:
        detections, ground_truth, ignore, sizes, threshold: as in :func:`average_precision`.

    Returns:
        The rate in [0, 1]: 1 without detections, 0 as soon as one of the nine rates is 0 (they are
        not clamped), NaN where nothing is to be found.

    >>> truth = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> log_average_miss_rate([np.array([[0.0, 0.0, 10.0, 9.0, 0.8]])], [truth], [truth[:0]])
    0.5
    """
    return log_average_miss_rate_of(
        crowdhuman_ranked(detections, ground_truth, ignore, sizes, threshold)
    )


def crowdhuman_ranked(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
    sizes: np.ndarray | None = None,
    threshold: float = 0.5,
) -> Ranked:
    """Match greedily within each image and rank the detections of all images.

    Of objects that overlap a detection equally, the first is taken. A detection that finds none is
    dropped where more than the share `threshold` of its area lies in one ignore area.

    Args:
        detections, ground_truth, ignore, sizes, threshold: as in :func:`average_precision`.

    Returns:
        Equal scores stand in the order of the images.
    """
    scored = by_score(stack(detections, sizes))
    objects, areas = stack(ground_truth, sizes), stack(ignore, sizes)
    rows, columns, ious = overlapping_pairs(scored, objects, threshold)
    above = ious > threshold
    rows, columns, _ = by_preference(rows[above], columns[above], ious[above], False)
    hits = greedy(rows, columns, len(scored), len(objects)) >= 0
    verdict = np.where(hits, TRUE, np.where(largest_ioa(scored, areas) > threshold, DROPPED, FALSE))
    return rank(scored.image, scored.score, verdict, objects.count(len(detections)))
