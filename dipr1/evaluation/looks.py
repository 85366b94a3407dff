"""Does looking help? Where the look regions lie against where the answer errs.

A response looks at the union L of its look boxes, clipped to the image. An error is a missed object
or a false box (IoU 0.5, as everywhere); it is *caught* by L where the centre of its visible part,
the box clipped to the image, lies in L. A found object counts where the object's centre lies, so
that each hit lies either inside or outside. What has no visible part lies nowhere: outside.

Chance: look boxes of the same sizes, each at a place that is uniform among those where it stays
inside the image, and together as large as L. Box k holds a given point with probability p_k, per
axis the length of its places that hold the point over the length of all its places. The point is
looked at with probability ``sum_k p_k * |L| / sum_k |box_k|`` (at most 1), whose mean over the
image is ``|L| / |image|``. Nothing is sampled, repeating a box changes nothing, and the preference
for the middle that every box inside an image has, as people have, is not taken for skill.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import area, as_boxes, clip, union_area
from dipr1.evaluation.answers import Judged


@dataclass(frozen=True)
class Looked:
    """What one response looked at.

    Attributes:
        share: area of L over that of the image.
        hits: found objects in L.
        false: false boxes in L.
        missed: missed objects in L.
        by_chance: expected number of errors in L if its boxes lay at random.
    """

    share: float
    hits: int
    false: int
    missed: int
    by_chance: float


def looked(
    look_boxes: ArrayLike,
    boxes: ArrayLike,
    objects: ArrayLike,
    judged: Judged,
    size: tuple[float, float],
) -> Looked:
    """Tell how much of what an answer got right and wrong lies where its response looked.

    Args:
        look_boxes: (K, 4) xyxy, image frame; none where the section cannot be read.
        boxes: (N, 4) of the answer, image frame.
        objects: (M, 4) to be found, image frame.
        judged: which of them are right, at IoU 0.5.
        size: width and height of the image.

    >>> judged = Judged(np.array([False]), np.array([False]), np.array([False]))
    >>> looked([[0, 0, 5, 10]], [[1, 1, 3, 3]], [[6, 6, 8, 8]], judged, (10, 10))
    Looked(share=0.5, hits=0, false=1, missed=0, by_chance=1.0)
    """
    looks = clip(look_boxes, *size)
    looks = looks[area(looks) > 0.0]
    if not len(looks):
        return Looked(0.0, 0, 0, 0, 0.0)
    union = union_area(looks)
    centres = visible_centres(objects, size)
    false = visible_centres(as_boxes(boxes)[judged.false], size)
    inside = _inside(centres, looks)
    errors = np.concatenate([false, centres[~judged.found]])
    return Looked(
        share=union / (size[0] * size[1]),
        hits=int((inside & judged.found).sum()),
        false=int(_inside(false, looks).sum()),
        missed=int((inside & ~judged.found).sum()),
        by_chance=float(chance(errors, looks, union, size).sum()),
    )


def visible_centres(boxes: ArrayLike, size: tuple[float, float]) -> np.ndarray:
    """(N, 2) centre of each box's part inside the image; NaN where there is none."""
    boxes = clip(boxes, *size)
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2.0
    return np.where((area(boxes) > 0.0)[:, None], centres, np.nan)


def _inside(points: np.ndarray, boxes: np.ndarray) -> np.ndarray:
    """(N,) bool: the point lies in one of the boxes, borders included; never where it is NaN."""
    points = points[:, None, :]
    return ((points >= boxes[:, :2]) & (points <= boxes[:, 2:])).all(axis=-1).any(axis=-1)


def chance(
    points: np.ndarray, boxes: np.ndarray, union: float, size: tuple[float, float]
) -> np.ndarray:
    """Probability that boxes of these sizes, anywhere inside the image, hold each point.

    Args:
        points: (N, 2) inside the image; NaN is nowhere.
        boxes: (K, 4) with an area, inside the image.
        union: area of the boxes' union, which they cover wherever they are.
        size: width and height of the image.

    Returns:
        (N,) in [0, 1].

    >>> chance(np.array([[1.0, 5.0], [5.0, 5.0]]), np.array([[0, 0, 4, 10]]), 40.0, (10, 10))
    array([0.16666667, 0.66666667])
    """
    sides = boxes[:, 2:] - boxes[:, :2]
    room = np.asarray(size, np.float64) - sides  # the first corner lies in [0, room]
    first = np.maximum(points[:, None, :] - sides, 0.0)
    last = np.minimum(points[:, None, :], room)
    free = room > 0.0
    held = np.where(free, np.maximum(last - first, 0.0) / np.where(free, room, 1.0), 1.0)
    caught = held.prod(axis=-1).sum(axis=-1) * (union / sides.prod(axis=1).sum())
    return np.where(np.isnan(points[:, 0]), 0.0, np.minimum(caught, 1.0))
