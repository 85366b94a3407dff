"""How good answers are taken as they are: every box counts, no score ranks them.

The same rules as the accuracy reward (docs: the method, section 6): one-to-one matching at
IoU >= 0.5 (or 0.75) within a label, and unmatched boxes that lie in an ignore area of their label,
or of no label, leave the count: the reward, which is not told the areas' labels, takes any.
What guards the reward against gaming is left out of the measure: a copy of a box may match any
object that it overlaps, as in the official evaluators.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.boxes import IGNORE_IOA, ioa, iou, match


@dataclass(frozen=True)
class Judged:
    """Which boxes of one answer are right.

    Attributes:
        matched: (N,) bool, the box found an object.
        ignored: (N,) bool, the box found none but lies in an ignore area: it does not count.
        found: (M,) bool, the object was found.
    """

    matched: np.ndarray
    ignored: np.ndarray
    found: np.ndarray

    @property
    def num_counted(self) -> int:
        """Boxes that count: all but the ignored ones."""
        return len(self.matched) - int(self.ignored.sum())

    @property
    def hits(self) -> int:
        """Boxes that found an object, and objects that were found."""
        return int(self.matched.sum())

    @property
    def false(self) -> np.ndarray:
        """(N,) bool, the box counts and found no object."""
        return ~self.matched & ~self.ignored


def judge(
    boxes: ArrayLike,
    objects: ArrayLike,
    ignore: ArrayLike,
    labels: Sequence[str | None] | None = None,
    object_labels: Sequence[str] | None = None,
    ignore_labels: Sequence[str] | None = None,
    thresholds: Sequence[float] = (0.5,),
) -> list[Judged]:
    """Tell which boxes of an answer are right, which do not count and which objects were found.

    Args:
        boxes: (N, 4) xyxy, any one frame; degenerate or not finite ones match nothing.
        objects: (M, 4) xyxy, the same frame.
        ignore: (K, 4) xyxy, the same frame.
        labels: N labels; left out, labels are not compared.
        object_labels: M labels.
        ignore_labels: K labels; `ANY_LABEL` where a box of any label is ignored, as all are where
            they are left out.
        thresholds: the least IoU of a box and the object that it finds.

    Returns:
        What is so at each of the thresholds.

    >>> [judged] = judge([[0, 0, 2, 2], [8, 8, 9, 9]], [[0, 0, 2, 2]], [[7, 7, 9, 9]])
    >>> judged.matched.tolist(), judged.ignored.tolist(), judged.num_counted
    ([True, False], [False, True], 1)
    """
    overlaps, inside = iou(boxes, objects), ioa(boxes, ignore)
    if labels is not None and object_labels is not None:
        overlaps *= _equal(labels, object_labels)
    if labels is not None and ignore_labels is not None:
        inside *= _equal(labels, ignore_labels) | _equal([ANY_LABEL], ignore_labels)
    in_ignored = (inside >= IGNORE_IOA).any(axis=1)
    judged = []
    for threshold in thresholds:
        rows, columns, _ = match(boxes, objects, threshold, iou_matrix=overlaps)
        matched = np.zeros(overlaps.shape[0], bool)
        found = np.zeros(overlaps.shape[1], bool)
        matched[rows] = True
        found[columns] = True
        judged.append(Judged(matched, in_ignored & ~matched, found))
    return judged


def _equal(labels: Sequence[str | None], others: Sequence[str]) -> np.ndarray:
    """(N, M) which are the same."""
    # as objects, of which None is equal to no text
    return np.array(labels, object)[:, None] == np.array(others, object)
