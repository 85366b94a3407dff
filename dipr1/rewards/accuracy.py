"""Weighted precision-recall accuracy reward: are the boxes of the answer right?

The paper's abstract names a "weighted precision-recall" reward. We have read the abstract only, so
the weights and how the two become one number are ours (docs: the method, section 6): ground truth
on which the base policy's boxes vary weighs more in recall, and the default is F-beta, since a
weighted mean pays half for one sure box in any crowd.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, in_unit_square, lies_in, overlapping
from dipr1.matching import match_pairs
from dipr1.responses import Answer, parse_response
from dipr1.rewards.completions import f_beta, log_means, rows, uncertainties
from dipr1.rewards.faults import num_repeated, num_swallowing

Pairs = tuple[np.ndarray, ...]
"""Rows of predictions, columns of ground truth, and their IoUs, pair by pair."""


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
        match_ious: in its place one after another over a training, whose updates are shared equally
            among them. How far a training is, its `trainer_state` tells (TRL hands it over).

    Raises:
        ValueError: `quality` or `aggregate` is none of the above, or `match_ious` do not rise.
    """

    __name__ = "accuracy_reward"
    needs = ("gt_boxes",)

    def __init__(
        self,
        quality: Literal["soft", "hard"] = "soft",
        aggregate: Literal["fbeta", "mean", "precision", "recall"] = "fbeta",
        beta: float = 1.0,
        lam: float = 1.0,
        alpha: float = 0.5,
        match_iou: float = 0.5,
        match_ious: list[float] | None = None,
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
        self.match_ious = _rising(match_ious or [])

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where its `gt_boxes` is None.

        Columns: gt_boxes (required), gt_labels, ignore_boxes, ignore_labels, gt_uncertainty,
        labels. A box that lies in an ignore region of its label, or of none, leaves the count.

        Raises:
            ValueError: there is no column `gt_boxes`, or nothing tells which of `match_ious` it is.

        >>> AccuracyReward()(
        ...     ['<answer>[{"bbox_2d": [0, 0, 2, 2], "label": "person"}]</answer>'],
        ...     gt_boxes=[[[0, 0, 2, 2], [5, 5, 9, 9]]],
        ...     gt_labels=[["person", "person"]],
        ... )
        [0.6666666666666666]
        """
        log_metric = columns.get("log_metric")
        metrics: dict[str, list[float]] = defaultdict(list)
        rewards: list[float | None] = []
        match_iou = self._match_iou(columns.get("trainer_state"))
        if self.match_ious:
            metrics["answer/match_iou"].append(match_iou)
        for text, boxes, *others in rows(
            completions,
            columns,
            self.__name__,
            required=self.needs,
            optional=("gt_labels", "ignore_boxes", "ignore_labels", "gt_uncertainty", "labels"),
        ):
            answer = parse_response(text).answer
            if boxes is not None:
                metrics["answer/unreadable"].append(answer is None)
            if boxes is None or answer is None:
                rewards.append(None if boxes is None else 0.0)
                continue
            precision, recall, num_ignored = self._compare(match_iou, answer, boxes, *others)
            rewards.append(self._combine(precision, recall))
            if log_metric is not None:
                metrics["answer/boxes"].append(len(answer.boxes))
                metrics["answer/duplicates"].append(num_repeated(answer.boxes))
                metrics["answer/swallowing"].append(num_swallowing(answer.boxes, boxes))
                metrics["answer/ignored"].append(num_ignored)
                metrics["answer/unit_square"].append(in_unit_square(answer.boxes))
                metrics["answer/precision"].append(precision)
                metrics["answer/recall"].append(recall)
        log_means(log_metric, metrics)
        return rewards

    def _match_iou(self, trainer_state: Any) -> float:
        """The smallest IoU of a matched pair at this point of a training.

        By the trainer's own count of updates, which a run that goes on has from its checkpoint.
        """
        if not self.match_ious:
            return self.match_iou
        if trainer_state is None:
            raise ValueError(
                f"{self.__name__}: match_ious rise over a training, but no trainer_state tells how"
                " far it is; take match_iou"
            )
        stage = trainer_state.global_step * len(self.match_ious) // trainer_state.max_steps
        return self.match_ious[min(stage, len(self.match_ious) - 1)]

    def _compare(
        self,
        match_iou: float,
        answer: Answer,
        gt_boxes: ArrayLike,
        gt_labels: Sequence[str] | None,
        ignore_boxes: ArrayLike | None,
        ignore_labels: Sequence[str] | None,
        gt_uncertainty: Sequence[float | None] | None,
        labels: Sequence[str] | None,
    ) -> tuple[float, float, int]:
        """Precision, weighted recall, and how many boxes left the count in ignore regions.

        Both are 1 where neither the answer nor the ground truth has a box, and 0 where only one of
        them has.
        """
        gt_boxes = as_boxes(gt_boxes)
        asked = gt_labels if labels is None else labels
        predicted, true, quality = match_pairs(
            *_candidates(match_iou, answer, gt_boxes, gt_labels, asked)
        )
        if self.quality == "hard":
            quality = np.ones(len(predicted))
        others = np.delete(np.arange(len(answer.boxes)), predicted)
        num_ignored = 0
        if ignore_boxes is not None and len(ignore_boxes) and len(others):
            labels_given = _default_labels(answer.labels, asked or ())
            named = None if ignore_labels is None else [labels_given[k] for k in others.tolist()]
            num_ignored = _num_ignored(answer.boxes[others], named, ignore_boxes, ignore_labels)
        num_predictions = len(answer.boxes) - num_ignored
        if num_predictions == 0 or len(gt_boxes) == 0:
            both_empty = float(num_predictions == len(gt_boxes))
            return both_empty, both_empty, num_ignored
        weights = 1.0 + self.lam * uncertainties(gt_uncertainty, len(gt_boxes))
        # Sums are rounded once, so that the order of the answer's boxes cannot change the reward.
        precision = math.fsum(quality.tolist()) / num_predictions
        gained = math.fsum((weights[true] * quality).tolist())
        return precision, gained / math.fsum(weights.tolist()), num_ignored

    def _combine(self, precision: float, recall: float) -> float:
        if self.aggregate == "fbeta":
            return f_beta(precision, recall, self.beta)
        if self.aggregate == "mean":
            return (1.0 - self.alpha) * precision + self.alpha * recall
        return precision if self.aggregate == "precision" else recall


def _rising(ious: Sequence[float]) -> tuple[float, ...]:
    """The thresholds of a training, if they are such."""
    if not all(0.0 < iou <= 1.0 for iou in ious) or list(ious) != sorted(ious):
        raise ValueError(f"match_ious: expected IoUs in (0, 1] that rise but got {list(ious)}")
    return tuple(ious)


def _candidates(
    match_iou: float,
    answer: Answer,
    gt_boxes: np.ndarray,
    gt_labels: Sequence[str] | None,
    asked: Sequence[str] | None,
) -> Pairs:
    """The pairs of a prediction and a ground truth that may be matched."""
    pairs = overlapping(answer.boxes, gt_boxes, match_iou)
    if gt_labels is not None:
        pairs = _of_same_label(pairs, _default_labels(answer.labels, asked), gt_labels)
    # Copies of a box overlap the same ground truth: where none is shared there are no copies.
    if len(set(pairs[1].tolist())) < len(pairs[1]) and num_repeated(answer.boxes):
        pairs = _without_neighbours(pairs, answer.boxes)
    return pairs


def _num_ignored(
    unmatched: np.ndarray,
    labels: Sequence[str | None] | None,
    ignore_boxes: ArrayLike,
    ignore_labels: Sequence[str | None] | None,
) -> int:
    """How many unmatched predictions leave the count, since they lie in an ignore region.

    Without labels every region is for all; with them only one whose label is empty is.
    """
    if labels is None or ignore_labels is None:
        return int(lies_in(unmatched, ignore_boxes).sum())
    regions, given = as_boxes(ignore_boxes), np.array(labels, object)
    leaves = np.zeros(len(unmatched), bool)
    for name in set(ignore_labels):
        those = [k for k, label in enumerate(ignore_labels) if label == name]
        of_label = given == name if name else np.ones(len(given), bool)
        leaves[of_label] |= lies_in(unmatched[of_label], regions[those])
    return int(leaves.sum())


def _default_labels(labels: Sequence[str | None], possible: Sequence[str]) -> Sequence[str | None]:
    """The labels, where none is written the possible one, if there is only one."""
    if None not in labels or len(set(possible)) != 1:
        return labels
    return [possible[0] if label is None else label for label in labels]


def _of_same_label(pairs: Pairs, labels: Sequence[str | None], gt_labels: Sequence[str]) -> Pairs:
    """The pairs of a prediction and a ground truth that have the same label."""
    if len({*labels, *gt_labels}) == 1:
        return pairs
    same = [
        labels[row] is not None and labels[row] == gt_labels[column]
        for row, column in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)
    ]
    return tuple(values[np.array(same, dtype=bool)] for values in pairs)


def _without_neighbours(pairs: Pairs, boxes: np.ndarray) -> Pairs:
    """The pairs without those of a box that is given several times and its lesser overlaps.

    Else the first copy would be matched to the person that it shows, the second one to a neighbour
    who overlaps it as well and has no box, and in a crowd it would pay to repeat every box.
    """
    rows, _, ious = pairs
    _, same, count = np.unique(boxes, axis=0, return_inverse=True, return_counts=True)
    best = np.zeros(len(boxes))
    np.maximum.at(best, rows, ious)
    kept = (count[same.ravel()][rows] == 1) | (ious == best[rows])
    return tuple(values[kept] for values in pairs)


_DEFAULT = AccuracyReward()


def accuracy_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`AccuracyReward` with its defaults."""
    return _DEFAULT(completions, **columns)
