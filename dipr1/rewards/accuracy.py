"""Weighted precision-recall accuracy reward: are the boxes of the answer right?

Published is a "weighted precision-recall" reward. The weights and how the two become one number
are not, so what is here is our definition (docs: the method, section 6): ground truth on which the
base policy's boxes vary weighs more in recall, and the default is F-beta, since a weighted mean
pays half for one sure box in any crowd.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, ioa, match_pairs, overlapping
from dipr1.responses import Answer, parse_response
from dipr1.rewards.completions import (
    column,
    completion_text,
    f_beta,
    log_means,
    required_column,
    uncertainties,
)

IGNORE_IOA = 0.5


class AccuracyReward:
    """Weighted precision and recall of the answer's boxes, in one number.

    Args:
        quality: what a matched pair is worth, "soft" its IoU, "hard" 1.
        aggregate: "fbeta", "mean" (``(1 - alpha) * precision + alpha * recall``), "precision" or
            "recall".
        beta: of F-beta.
        lam: a ground truth of uncertainty u weighs ``1 + lam * u`` in recall.
        alpha: weight of recall in "mean".
        match_iou: the smallest IoU of a matched pair.

    Raises:
        ValueError: `quality` or `aggregate` is none of the above.
    """

    __name__ = "accuracy_reward"

    def __init__(
        self,
        quality: Literal["soft", "hard"] = "soft",
        aggregate: Literal["fbeta", "mean", "precision", "recall"] = "fbeta",
        beta: float = 1.0,
        lam: float = 1.0,
        alpha: float = 0.5,
        match_iou: float = 0.5,
    ) -> None:
        if quality not in ("soft", "hard"):
            raise ValueError(f"quality: expected 'soft' or 'hard' but got {quality!r}")
        if aggregate not in ("fbeta", "mean", "precision", "recall"):
            raise ValueError(
                "aggregate: expected 'fbeta', 'mean', 'precision' or 'recall' "
                f"but got {aggregate!r}"
            )
        self.quality = quality
        self.aggregate = aggregate
        self.beta = beta
        self.lam = lam
        self.alpha = alpha
        self.match_iou = match_iou

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where its `gt_boxes` is None.

        Columns: gt_boxes (required), gt_labels, ignore_boxes, gt_uncertainty, labels.

        Raises:
            ValueError: there is no column `gt_boxes`.

        >>> AccuracyReward()(
        ...     ['<answer>[{"bbox_2d": [0, 0, 2, 2], "label": "person"}]</answer>'],
        ...     gt_boxes=[[[0, 0, 2, 2], [5, 5, 9, 9]]],
        ...     gt_labels=[["person", "person"]],
        ... )
        [0.6666666666666666]
        """
        log_metric = columns.get("log_metric")
        metrics: dict[str, list[float]] = {}
        rewards: list[float | None] = []
        for completion, boxes, *others in zip(
            completions,
            required_column(columns, "gt_boxes", self.__name__),
            column(columns, "gt_labels", len(completions)),
            column(columns, "ignore_boxes", len(completions)),
            column(columns, "gt_uncertainty", len(completions)),
            column(columns, "labels", len(completions)),
            strict=True,
        ):
            if boxes is None:
                rewards.append(None)
                continue
            answer = parse_response(completion_text(completion)).answer
            if answer is None:
                rewards.append(0.0)
                continue
            precision, recall = self.precision_recall(answer, boxes, *others)
            rewards.append(self._combine(precision, recall))
            if log_metric is not None:
                metrics.setdefault("answer/boxes", []).append(len(answer.boxes))
                metrics.setdefault("answer/duplicates", []).append(count_duplicates(answer))
                metrics.setdefault("answer/precision", []).append(precision)
                metrics.setdefault("answer/recall", []).append(recall)
        log_means(log_metric, metrics)
        return rewards

    def precision_recall(
        self,
        answer: Answer,
        gt_boxes: ArrayLike,
        gt_labels: Sequence[str] | None = None,
        ignore_boxes: ArrayLike | None = None,
        gt_uncertainty: Sequence[float | None] | None = None,
        labels: Sequence[str] | None = None,
    ) -> tuple[float, float]:
        """Precision and weighted recall of one answer.

        They are (1, 1) where nothing is there and nothing is found, and (0, 0) where only one of
        the two is so.

        Args:
            answer: N boxes, in the frame of `gt_boxes`.
            gt_boxes: (G, 4) ground truth.
            gt_labels: G labels; None leaves labels uncompared.
            ignore_boxes: (I, 4).
            gt_uncertainty: G values in [0, 1].
            labels: the labels asked for.
        """
        gt_boxes = as_boxes(gt_boxes)
        pairs = overlapping(answer.boxes, gt_boxes, self.match_iou)
        if gt_labels is not None:
            same = _same_label(pairs[0], pairs[1], answer.labels, gt_labels, labels)
            pairs = tuple(values[same] for values in pairs)
        matched, found, quality = match_pairs(*pairs)
        if self.quality == "hard":
            quality = np.ones(len(matched))
        num_predictions = len(answer.boxes) - _num_ignored(answer.boxes, matched, ignore_boxes)
        if num_predictions == 0 or len(gt_boxes) == 0:
            both_empty = float(num_predictions == len(gt_boxes))
            return both_empty, both_empty
        weights = 1.0 + self.lam * uncertainties(gt_uncertainty, len(gt_boxes))
        precision = math.fsum(quality) / num_predictions
        # Rounded once, so that the order of the answer's boxes cannot change the reward.
        recall = math.fsum(weights[found] * quality) / math.fsum(weights)
        return precision, recall

    def _combine(self, precision: float, recall: float) -> float:
        if self.aggregate == "fbeta":
            return f_beta(precision, recall, self.beta)
        if self.aggregate == "mean":
            return (1.0 - self.alpha) * precision + self.alpha * recall
        return precision if self.aggregate == "precision" else recall


def _same_label(
    rows: np.ndarray,
    columns: np.ndarray,
    labels: Sequence[str | None],
    gt_labels: Sequence[str],
    asked: Sequence[str] | None,
) -> np.ndarray:
    """(P,) bool: whether prediction `rows[p]` has the label of ground truth `columns[p]`.

    A prediction without a label has the one that is asked for where that is only one, else none.
    """
    possible = set(gt_labels if asked is None else asked)
    only = next(iter(possible)) if len(possible) == 1 else None
    predicted = [only if label is None else label for label in labels]
    return np.array(
        [
            predicted[row] is not None and predicted[row] == gt_labels[column]
            for row, column in zip(rows.tolist(), columns.tolist(), strict=True)
        ],
        dtype=bool,
    )


def _num_ignored(boxes: np.ndarray, matched: np.ndarray, ignore_boxes: ArrayLike | None) -> int:
    """How many unmatched boxes lie in one of the ignore regions."""
    if ignore_boxes is None or len(matched) == len(boxes):
        return 0
    ignore_boxes = as_boxes(ignore_boxes)
    if len(ignore_boxes) == 0:
        return 0
    ignored = (ioa(boxes, ignore_boxes) >= IGNORE_IOA).any(axis=1)
    ignored[matched] = False
    return int(ignored.sum())


def count_duplicates(answer: Answer) -> int:
    """How many items of the answer repeat an earlier one, box and label.

    >>> count_duplicates(Answer(np.zeros((3, 4)), ("person", "person", "car")))
    1
    """
    items = set(zip(map(tuple, answer.boxes.tolist()), answer.labels, strict=True))
    return len(answer.boxes) - len(items)


_DEFAULT = AccuracyReward()


def accuracy_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`AccuracyReward` with its defaults."""
    return _DEFAULT(completions, **columns)
