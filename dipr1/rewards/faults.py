"""What goes wrong in answers, for the log: it changes no reward.

Of the faults that reinforcement mends in detection, copies and boxes that swallow several objects
come first: 15.3 % to 0.1 % and 20.5 % to 3.5 % on VisDrone (Rex-Omni, arXiv 2510.12798).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, ioa, iou

HELD_IOA = 0.8  # of its own area: an object lies in a box
OWN_IOU = 0.5  # from here on a box is an object's, whoever lies in it besides


def num_repeated(boxes: np.ndarray) -> int:
    """How many of the (N, 4) boxes repeat an earlier one.

    >>> num_repeated(np.zeros((3, 4)))
    2
    """
    return len(boxes) - len(set(map(tuple, boxes.tolist())))


def num_swallowing(boxes: np.ndarray, gt_boxes: ArrayLike) -> int:
    """How many of the (N, 4) boxes hold several objects and are the box of none.

    >>> num_swallowing(np.array([[0.0, 0.0, 9.0, 9.0]]), [[1, 1, 3, 8], [5, 1, 8, 8]])
    1
    """
    return int(swallowing(boxes, gt_boxes).sum())


def swallowing(boxes: np.ndarray, gt_boxes: ArrayLike) -> np.ndarray:
    """(N,) which of the (N, 4) boxes hold several of the (M, 4) objects and are the box of none."""
    objects, found = as_boxes(gt_boxes), np.zeros(len(boxes), bool)
    if len(objects) >= 2 and len(boxes):
        finite = np.isfinite(boxes).all(axis=1)
        several = (ioa(objects, boxes[finite]) >= HELD_IOA).sum(axis=0) >= 2
        found[finite] = several & (iou(boxes[finite], objects).max(axis=1) < OWN_IOU)
    return found
