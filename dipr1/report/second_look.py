"""What is shown of an answer that looked again: which view each box is of, and who was found.

The predictions artifact keeps the merged boxes with their views, the windows and the first view's
boxes (the method, section 9); what became of a first-view box is told from these. All boxes are in
the image frame.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import box_arrays
from dipr1.boxes import iou, match
from dipr1.evaluation.answered import AnsweredImage
from dipr1.policies.looking_again import lies_inside
from dipr1.responses import box_labels

KEPT, DENIED, CONFIRMED, NEW = 0, 1, 2, 3
"""What a box of the answer is: as the first view had it, with a part of its score since no window
confirmed it, of a window that confirms one of the first view, or found by a window alone."""

MATCH_IOU = 0.5  # of a box with one of another view, and with the object that it finds


@dataclass(frozen=True)
class SecondLook:
    """One image's answer, looked at again.

    Attributes:
        first: the image with the first view's answer alone.
        windows: (W, 4) what was looked at again, whole pixels.
        texts: W responses, one to each window.
        view: (N,) int, of each box of the answer: 0 the first view, k the k-th window.
        state: (N,) int, `KEPT`, `DENIED`, `CONFIRMED` or `NEW`.
        found: (F,) int, the objects that the second look found: the answer has a box of a window
            for them and the first view has none, at IoU >= 0.5.
    """

    first: AnsweredImage
    windows: np.ndarray
    texts: list[str]
    view: np.ndarray
    state: np.ndarray
    found: np.ndarray


def second_looks(images: Sequence[AnsweredImage], answers: pa.Table) -> list[SecondLook | None]:
    """The second look at each image; None where no window was looked at.

    Args:
        images: with the merged answers.
        answers: rows of the samples artifact, one per image, in their order.
    """
    if not {"view", "windows", "first_boxes"} <= {*answers.column_names}:
        return [None] * len(images)
    columns = (
        *(box_arrays(answers[name]) for name in ("windows", "first_boxes")),
        *(answers[name].to_pylist() for name in ("first_confidence", "view", "crop_texts")),
    )
    return [
        None if windows is None or not len(windows) else _second_look(image, windows, *rest)
        for image, windows, *rest in zip(images, *columns, strict=True)
    ]


def _second_look(
    image: AnsweredImage,
    windows: np.ndarray,
    boxes: np.ndarray | None,
    scores: list[float] | None,
    view: list[int] | None,
    texts: list[str] | None,
) -> SecondLook:
    boxes = np.empty((0, 4)) if boxes is None else boxes
    given = np.full(len(boxes), np.nan) if not scores else np.array(scores, np.float64)
    first = replace(
        image,
        detections=np.column_stack([boxes, given]),
        labels=box_labels(image.response, len(boxes), image.asked),
        num_crops=None,
    )
    # an answer that could not be read has no boxes, and none that has a view
    of_view = np.array((view or [])[: len(image.boxes)], np.intp)
    return SecondLook(
        first=first,
        windows=windows,
        texts=texts or [],
        view=of_view,
        state=states(first, image, of_view, windows),
        found=found(first, image, of_view),
    )


def states(
    first: AnsweredImage, image: AnsweredImage, view: np.ndarray, windows: np.ndarray
) -> np.ndarray:
    """(N,) what each box of the answer is; see :class:`SecondLook`."""
    state = np.where(view > 0, NEW, KEPT)
    same = (image.boxes[:, None] == first.boxes).all(axis=2) & (view == 0)[:, None]
    before = np.where(same, first.detections[:, 4], -np.inf).max(axis=1, initial=-np.inf)
    state[(view == 0) & (image.detections[:, 4] < before)] = DENIED
    for number, window in enumerate(windows, 1):
        rows = np.flatnonzero(view == number)
        labels = [image.labels[row] for row in rows]
        # a first-view box that was confirmed gave way: it is not in the answer any more
        gone = lies_inside(first.boxes, window, image.size) & ~same.any(axis=0)
        overlaps = iou(image.boxes[rows], first.boxes) * _same(labels, first.labels) * gone
        confirming, _, _ = match(image.boxes[rows], first.boxes, MATCH_IOU, iou_matrix=overlaps)
        state[rows[confirming]] = CONFIRMED
    return state


def found(first: AnsweredImage, image: AnsweredImage, view: np.ndarray) -> np.ndarray:
    """(F,) the objects that a box of a window finds and no box of the first view."""
    rows = np.flatnonzero(view > 0)
    labels = [image.labels[row] for row in rows]
    again = _finds(image.boxes[rows], labels, image)
    before = _finds(first.boxes, first.labels, image)
    return np.flatnonzero(image.judged[0].found & again & ~before)


def _finds(boxes: np.ndarray, labels: Sequence, image: AnsweredImage) -> np.ndarray:
    """(M,) bool, some box of the object's label overlaps it by at least half."""
    overlaps = iou(boxes, image.objects) * _same(labels, image.object_labels)
    return (overlaps >= MATCH_IOU).any(axis=0)


def _same(labels: Sequence, others: Sequence) -> np.ndarray:
    """(N, M) bool, the labels are the same."""
    return np.array(labels, object)[:, None] == np.array(others, object)
