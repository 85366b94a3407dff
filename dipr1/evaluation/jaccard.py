"""CrowdHuman's Jaccard index (JI), by its official rules.

Source: Chu et al., "Detection in Crowded Scenes: One Proposal, Multiple Predictions"
(arXiv 2003.09163) and the evaluation code of its authors. The official code adds 1e-6 to each
denominator, which moves the index by less than that; an image without people or without detections
is allowed here, where it stops.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dipr1.evaluation.stacks import stack
from dipr1.matching import Stack, heaviest, largest_ioa, overlapping_pairs, parts

SCORE_THRESHOLDS = tuple(step / 10 for step in range(10))


@dataclass(frozen=True)
class JaccardCounts:
    """What is matched and what counts in each image, at each of the `SCORE_THRESHOLDS`.

    Attributes:
        pairs: (T, I) int, matched pairs.
        boxes: (T, I) int, detections that count: all but the unmatched ones in an ignore area.
        objects: (T, I) int, objects that count, likewise.
    """

    pairs: np.ndarray
    boxes: np.ndarray
    objects: np.ndarray


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
            (:func:`dipr1.evaluation.stacks.clip_to_image`).
        threshold: IoU that a pair, and share that an ignored box, must be strictly above.

    Returns:
        The mean over the images that have people or detections that count, at the score threshold
        where it is largest, in [0, 1]; NaN where no image has either at any threshold.

    >>> truth = np.array([[0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0]])
    >>> jaccard_index([np.array([[0.0, 0.0, 10.0, 9.0, 0.8]])], [truth], [np.empty((0, 4))])
    0.5
    """
    return jaccard_of(jaccard_counts(detections, ground_truth, ignore, sizes, threshold))


def jaccard_of(counts: JaccardCounts, weights: np.ndarray | None = None) -> float:
    """The Jaccard index of images whose boxes are matched already.

    Args:
        counts: of I images.
        weights: (I,) how often each image is there (a bootstrap resample); left out, once.

    Returns:
        As :func:`jaccard_index`.

    >>> one = JaccardCounts(np.array([[1, 0]]), np.array([[2, 1]]), np.array([[1, 0]]))
    >>> jaccard_of(one), jaccard_of(one, np.array([3, 1]))
    (0.25, 0.375)
    """
    ratios = jaccard_ratios(counts)
    copies = np.ones(len(ratios)) if weights is None else np.asarray(weights)
    return float(largest_mean(ratios, copies[None])[0])


def jaccard_ratios(counts: JaccardCounts) -> np.ndarray:
    """(I, T) the Jaccard index of each image at each score threshold; NaN where nothing counts."""
    union = (counts.boxes + counts.objects - counts.pairs).astype(np.float64)
    return np.divide(counts.pairs, union, out=np.full_like(union, np.nan), where=union > 0).T


def largest_mean(ratios: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The mean over images, at the score threshold where it is largest.

    Args:
        ratios: (I, T) of :func:`jaccard_ratios`.
        weights: (R, I) how often each resample has each image.

    Returns:
        (R,); NaN where no image has a ratio at any threshold.
    """
    defined = ~np.isnan(ratios)
    totals, num_images = weights @ np.nan_to_num(ratios), weights @ defined.astype(np.float64)
    means = np.divide(totals, num_images, out=np.full_like(totals, np.nan), where=num_images > 0)
    return np.fmax.reduce(means, axis=1)


def jaccard_counts(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
    sizes: np.ndarray | None = None,
    threshold: float = 0.5,
) -> JaccardCounts:
    """Match the detections above each score threshold, and count.

    Args:
        detections, ground_truth, ignore, sizes, threshold: as in :func:`jaccard_index`.
    """
    num_images = len(detections)
    scored, objects = stack(detections, sizes), stack(ground_truth, sizes)
    areas = stack(ignore, sizes)
    boxes_ignored = largest_ioa(scored, areas) > threshold
    objects_ignored = largest_ioa(objects, areas) > threshold
    counts = [
        (
            objects.take(object_matched).count(num_images),
            scored.take(kept & (box_matched | ~boxes_ignored)).count(num_images),
            objects.take(object_matched | ~objects_ignored).count(num_images),
        )
        for kept, box_matched, object_matched in _matched_above(scored, objects, threshold)
    ]
    return JaccardCounts(*(np.array(column) for column in zip(*counts, strict=True)))


def _matched_above(scored: Stack, objects: Stack, threshold: float):
    """Per score threshold: which detections are above it, and which boxes of either kind match.

    A part of the pairs is matched again only where a detection of it fell out.
    """
    rows, columns, ious = overlapping_pairs(scored, objects, threshold)
    above = (ious > threshold) & (scored.score[rows] > SCORE_THRESHOLDS[0])
    rows, columns, ious = rows[above], columns[above], ious[above]
    part = parts(rows, columns)
    box_matched, object_matched = np.zeros(len(scored), bool), np.zeros(len(objects), bool)
    num_before = np.zeros(len(rows), int)
    for score in SCORE_THRESHOLDS:
        kept = scored.score > score
        alive = kept[rows]
        num_alive = np.bincount(part, weights=alive, minlength=len(rows)).astype(int)
        changed = (num_alive != num_before)[part]
        num_before = num_alive
        box_matched[rows[changed]] = False
        object_matched[columns[changed]] = False
        pairs = np.flatnonzero(changed & alive)
        pairs = pairs[heaviest(rows[pairs], columns[pairs], ious[pairs])]
        box_matched[rows[pairs]] = True
        object_matched[columns[pairs]] = True
        yield kept, box_matched, object_matched
