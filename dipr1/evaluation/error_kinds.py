"""What is wrong with false boxes, and why objects were missed.

A false box is of the first kind that it fits, after TIDE (Bolya et al., ECCV 2020), with overlaps
that an answer without ranks has:

- `classification`: IoU >= 0.5 with an object of another label;
- `duplicate`: IoU >= 0.5 with an object of its label, which another box has found;
- `localisation`: IoU >= 0.1 with an object of its label;
- `background`: none of these (TIDE's "both" is here: it needs two labels and a bad border).

A missed object is of the first kind that it fits; these are ours:

- `cut_off`: the answer breaks off, or cannot be read at all;
- `merged`: a box that holds several objects, and is the box of none, holds it;
- `repeated`: a duplicate of another object's box overlaps it by IoU >= 0.1;
- `misplaced`: another false box of its label does;
- `unseen`: none of these.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from dipr1.boxes import ioa, iou
from dipr1.evaluation.answers import Judged
from dipr1.rewards.faults import HELD_IOA, swallowing

FALSE = ("classification", "duplicate", "localisation", "background")
MISSED = ("cut_off", "merged", "repeated", "misplaced", "unseen")
NEAR_IOU, MATCH_IOU = 0.1, 0.5
BROKEN_OFF = {"answer_unclosed", "answer_missing"}


def false_kinds(
    boxes: np.ndarray,
    labels: Sequence[str | None],
    objects: np.ndarray,
    object_labels: Sequence[str],
) -> np.ndarray:
    """(N,) index in `FALSE` of what each box would be if it were false.

    Args:
        boxes: (N, 4) answered, any one frame.
        labels: N labels.
        objects: (M, 4) to be found, the same frame.
        object_labels: M labels.
    """
    overlaps = iou(boxes, objects)
    same = np.array(labels, object)[:, None] == np.array(object_labels, object)
    own = np.where(same, overlaps, 0.0).max(axis=1, initial=0.0)
    other = np.where(same, 0.0, overlaps).max(axis=1, initial=0.0)
    fits = [other >= MATCH_IOU, own >= MATCH_IOU, own >= NEAR_IOU]
    return np.select(fits, range(3), 3)


def missed_kinds(
    boxes: np.ndarray,
    labels: Sequence[str | None],
    objects: np.ndarray,
    object_labels: Sequence[str],
    judged: Judged,
    kinds: np.ndarray,
    *,
    cut_off: bool,
) -> np.ndarray:
    """(M,) index in `MISSED` of what each object would be if it was missed.

    Args:
        boxes, labels, objects, object_labels: as :func:`false_kinds` takes them.
        judged: of them, at IoU 0.5.
        kinds: (N,) what :func:`false_kinds` gives of them.
        cut_off: the answer breaks off, or cannot be read.
    """
    if cut_off:
        return np.zeros(len(objects), np.intp)
    held = ioa(objects, boxes[swallowing(boxes, objects)]) >= HELD_IOA
    same = np.array(labels, object)[:, None] == np.array(object_labels, object)
    near = (iou(boxes, objects) >= NEAR_IOU) & same & judged.false[:, None]
    again = near[kinds == FALSE.index("duplicate")]
    fits = [held.any(axis=1), again.any(axis=0), near.any(axis=0)]
    return np.select(fits, range(1, 4), 4)
