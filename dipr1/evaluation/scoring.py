"""Scores for boxes that come without one.

Average precision ranks boxes by a score, and an MLLM prints none. What stands in for it moves AP,
so it has a name: every ranked metric says which one it was measured with, and metrics of different
scores are never compared. All scores lie in (0, 1]: the threshold 0 of the Jaccard index means all
boxes.

===========  ======================================================================================
constant     1 for every box: nothing is ranked; boxes count in the order of the images
order        1 / (place in the answer): the first box of every answer comes first
confidence   mean probability of the tokens of the box's four numbers (the default)
likelihood   their geometric mean: the exponential of the mean log-probability
consistency  share of other sampled responses that have the box, (m + 1/2) / (k + 1) for m of k
===========  ======================================================================================
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

import numpy as np
import pyarrow as pa

from dipr1.artifacts.aligning import by_image
from dipr1.artifacts.columns import box_arrays, ragged, split_rows
from dipr1.boxes import match
from dipr1.errors import UserError
from dipr1.evaluation.options import Score

SCORES = (*get_args(Score), "consistency")

# the column of the samples artifact that a score is read from
COLUMNS = {"confidence": "confidence", "likelihood": "log_likelihood"}


def columns_read(name: str) -> list[str]:
    """The columns of the predictions that an evaluation with this score reads."""
    columns = ["image_id", "text", "num_tokens", "boxes", "look_boxes", "form"]
    columns += ["labels", "num_crops"]
    return columns + [COLUMNS[name]] if name in COLUMNS else columns


def box_scores(
    name: str, predictions: pa.Table, samples: pa.Table | None = None
) -> list[np.ndarray]:
    """Score every box of every answer.

    Args:
        name: one of `SCORES`.
        predictions: rows of the samples artifact, one per image.
        samples: for `consistency`, rows of the samples artifact of the same policy and images.

    Returns:
        Per row (N,) float64 in (0, 1], one per box of the answer; none where it cannot be read.

    Raises:
        UserError: the column of the score does not have one value per box, or an image has no
            samples.

    >>> from dipr1.artifacts.columns import BOXES
    >>> rows = pa.table({"boxes": pa.array([[[0, 0, 2, 2], [5, 5, 6, 6]], None], BOXES)})
    >>> [scores.tolist() for scores in box_scores("order", rows)]
    [[1.0, 0.5], []]
    """
    answers = [np.empty((0, 4)) if b is None else b for b in box_arrays(predictions["boxes"])]
    if name == "constant":
        return [np.ones(len(boxes)) for boxes in answers]
    if name == "order":
        return [1.0 / np.arange(1, len(boxes) + 1) for boxes in answers]
    if name == "consistency":
        return _consistency(predictions, answers, samples)
    values, offsets = ragged(predictions[COLUMNS[name]])
    scores = split_rows(values.astype(np.float64), offsets)
    for row, (of_row, boxes) in enumerate(zip(scores, answers, strict=True)):
        if len(of_row) != len(boxes):
            raise UserError(
                f"predictions of image {predictions['image_id'][row].as_py()!r}: expected one"
                f" {COLUMNS[name]} per box but got {len(of_row)} for {len(boxes)} boxes;"
                " run `dipr1 predict` again"
            )
    return [np.exp(of_row) for of_row in scores] if name == "likelihood" else scores


def _consistency(
    predictions: pa.Table, answers: Sequence[np.ndarray], samples: pa.Table
) -> list[np.ndarray]:
    """Jeffreys-smoothed support, as the box-variance statistics have it (the method, section 4)."""
    rows, bounds = by_image(predictions, samples)
    sampled, num_samples = box_arrays(rows["boxes"]), np.diff(bounds)
    for row in np.flatnonzero(num_samples == 0)[:1].tolist():
        raise UserError(
            f"--consistency-samples: image {predictions['image_id'][row].as_py()!r} has no samples;"
            " give all shards of the same split"
        )
    return [
        (support(boxes, sampled[begin : begin + num]) + 0.5) / (num + 1)
        for boxes, begin, num in zip(answers, bounds, num_samples, strict=False)
    ]


def support(boxes: np.ndarray, samples: Sequence[np.ndarray | None]) -> np.ndarray:
    """In how many sampled responses each box is found.

    Args:
        boxes: (N, 4) xyxy, any one frame.
        samples: per response (M, 4), the same frame; None (it cannot be read) has no box. Within
            a response boxes are matched one to one (:func:`dipr1.boxes.match`, IoU >= 0.5), so a
            box that is answered twice is supported once.

    Returns:
        (N,) int64.

    >>> support(np.array([[0, 0, 4, 4], [0, 0, 4, 4]]), [np.array([[0, 0, 4, 3]]), None])
    array([1, 0])
    """
    supported = np.zeros(len(boxes), np.int64)
    for others in samples:
        if others is not None and len(others) and len(boxes):
            supported[match(boxes, others)[0]] += 1
    return supported
