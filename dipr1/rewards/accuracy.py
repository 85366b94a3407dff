"""Weighted precision-recall accuracy reward: are the boxes of the answer right?

The paper's abstract names a "weighted precision-recall" reward. We have read the abstract only, so
the weights and how the two become one number are ours (docs: the method, section 6): ground truth
on which the base policy's boxes vary weighs more in recall, and the default is F-beta, since a
weighted mean pays half for one sure box in any crowd.
"""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from dipr1.boxes import IGNORE_IOA, in_unit_square, ioa, overlapping_of_images, stacked
from dipr1.matching import inside_pairs, match_pairs, match_pairs_of_images
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
        metrics: dict[str, list[float]] = defaultdict(list)
        match_iou = self._match_iou(columns.get("trainer_state"))
        if self.match_ious:
            metrics["answer/match_iou"].append(match_iou)
        given = rows(
            completions,
            columns,
            self.__name__,
            required=self.needs,
            optional=("gt_labels", "ignore_boxes", "ignore_labels", "gt_uncertainty", "labels"),
        )
        rewards: list[float | None] = [None] * len(completions)
        cases: dict[int, _Case] = {}
        for place, (text, boxes, *others) in enumerate(given):
            if boxes is None:
                continue
            answer = parse_response(text).answer
            metrics["answer/unreadable"].append(answer is None)
            rewards[place] = 0.0
            if answer is not None:
                cases[place] = _Case(answer, boxes, *others)
        compared = self._compare(match_iou, list(cases.values()))
        for place, (precision, recall, _) in zip(cases, compared, strict=True):
            rewards[place] = self._combine(precision, recall)
        if columns.get("log_metric") is not None:
            for case, values in zip(cases.values(), compared, strict=True):
                _measure(metrics, case, *values)
        log_means(columns.get("log_metric"), metrics)
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

    def _compare(self, match_iou: float, cases: Sequence[_Case]) -> list[tuple[float, float, int]]:
        """Precision, weighted recall, and how many boxes left the count in ignore regions.

        Both are 1 where neither the answer nor the ground truth has a box, and 0 where only one of
        them has. All answers are compared at once: of few boxes it is the calls that cost.
        """
        if not cases:
            return []
        answered = _together([case.answer.boxes for case in cases])
        people = _together([_boxes(case.gt_boxes) for case in cases])
        predicted, true, quality = _matched(match_iou, cases, answered, people)
        num_ignored = _num_ignored(cases, answered, predicted).tolist()
        if self.quality == "hard":
            quality = np.ones(len(predicted))
        weights = 1.0 + self.lam * _uncertainty(cases)
        # Sums are rounded once, so that the order of the answer's boxes cannot change the reward.
        pairs = _by_case(answered.case[predicted], len(cases), quality, weights[true] * quality)
        of_people = _by_case(people.case, len(cases), weights)
        compared = []
        for case, (qualities, gained), (weights_of,), ignored in zip(
            cases, pairs, of_people, num_ignored, strict=True
        ):
            num_predictions = len(case.answer.boxes) - ignored
            if num_predictions == 0 or not weights_of:
                precision = recall = float(num_predictions == len(weights_of))
            else:
                precision = math.fsum(qualities) / num_predictions
                recall = math.fsum(gained) / math.fsum(weights_of)
            compared.append((precision, recall, ignored))
        return compared

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


class _Case(NamedTuple):
    """An answer, and what it is judged by."""

    answer: Answer
    gt_boxes: list
    gt_labels: Sequence[str] | None
    ignore_boxes: list | None
    ignore_labels: Sequence[str | None] | None
    gt_uncertainty: Sequence[float | None] | None
    labels: Sequence[str] | None

    @property
    def asked(self) -> Sequence[str]:
        """The labels that the prompt asks for."""
        return (self.gt_labels if self.labels is None else self.labels) or ()


def _boxes(boxes: list) -> np.ndarray:
    """(N, 4) float64 of boxes of four numbers each; flat, which is read in half the time."""
    return np.array(_joined(boxes), np.float64).reshape(-1, 4)


class _Boxes(NamedTuple):
    """(N, 4) boxes of all cases, one after the other, and (N,) the case of each."""

    boxes: np.ndarray
    case: np.ndarray


def _together(boxes: Sequence[np.ndarray]) -> _Boxes:
    case = np.repeat(np.arange(len(boxes)), list(map(len, boxes)))
    return _Boxes(np.concatenate(boxes), case)


def _by_case(case: np.ndarray, num_cases: int, *columns: np.ndarray) -> Iterator[tuple[list, ...]]:
    """The values of each case, whose numbers do not decrease."""
    bounds = np.searchsorted(case, np.arange(num_cases + 1)).tolist()
    lists = [column.tolist() for column in columns]
    return (
        tuple(values[begin:end] for values in lists) for begin, end in itertools.pairwise(bounds)
    )


def _uncertainty(cases: Sequence[_Case]) -> np.ndarray:
    """The uncertainty of the people of all cases."""
    return uncertainties(
        _joined(case.gt_uncertainty or [None] * len(case.gt_boxes) for case in cases), 0
    )


def _matched(match_iou: float, cases: Sequence[_Case], answered: _Boxes, people: _Boxes) -> Pairs:
    """The pairs of a prediction and a ground truth that are matched, case after case."""
    pairs = overlapping_of_images(*answered, *people, match_iou)
    with_copies = _images_with_copies(pairs, answered.case)
    if _have_several_labels(cases):
        pairs = _of_same_label(pairs, [_names_to_compare(case) for case in cases])
    if with_copies:
        pairs = _without_neighbours(pairs, answered, with_copies)
    if len(cases) == 1:
        return match_pairs(*pairs)
    chosen = match_pairs_of_images(*pairs, answered.case[pairs[0]])
    return tuple(values[chosen] for values in pairs)


def _num_ignored(cases: Sequence[_Case], answered: _Boxes, predicted: np.ndarray) -> np.ndarray:
    """(cases,) how many unmatched predictions leave the count, since they lie in an ignore region.

    Without labels every region is for all; with them only one whose label is empty is.
    """
    regions = [case.ignore_boxes or [] for case in cases]
    if not any(regions):
        return np.zeros(len(cases), int)
    unmatched = np.ones(len(answered.case), bool)
    unmatched[predicted] = False
    others = unmatched.nonzero()[0]
    if len(cases) == 1:
        shares = ioa(answered.boxes[others], _boxes(regions[0]))
        inside, holding = (shares >= IGNORE_IOA).nonzero()
    else:
        held = stacked(*_together([_boxes(boxes) for boxes in regions]))
        unmatched = stacked(answered.boxes[others], answered.case[others])
        inside, holding, _ = inside_pairs(unmatched, held, IGNORE_IOA)
    inside = others[inside]
    if any(case.ignore_labels for case in cases):
        labels = _joined(_default_labels(case.answer.labels, case.asked) for case in cases)
        names = _joined(
            case.ignore_labels or [None] * len(boxes)
            for case, boxes in zip(cases, regions, strict=True)
        )
        for_it = [
            not names[region] or names[region] == labels[box]
            for box, region in zip(inside.tolist(), holding.tolist(), strict=True)
        ]
        inside = inside[np.array(for_it, bool)]
    leaves = np.zeros(len(answered.case), bool)
    leaves[inside] = True
    return np.bincount(answered.case[leaves], minlength=len(cases))


def _joined(lists: Iterable[Sequence]) -> list:
    return list(itertools.chain.from_iterable(lists))


def _default_labels(labels: Sequence[str | None], possible: Sequence[str]) -> Sequence[str | None]:
    """The labels, where none is written the possible one, if there is only one."""
    if None not in labels or len(set(possible)) != 1:
        return labels
    return [possible[0] if label is None else label for label in labels]


def _have_several_labels(cases: Sequence[_Case]) -> bool:
    """Whether there is anything to compare: most sets have one label, and every box has it."""
    compared = [case for case in cases if case.gt_labels is not None]
    labels = set().union(*[case.answer.labels for case in compared])
    return len(labels.union(*[case.gt_labels for case in compared])) > 1


def _names_to_compare(case: _Case) -> tuple[Sequence[str | None], Sequence[str]]:
    """The labels of the predictions and of the ground truth; where all are equal, of neither."""
    if case.gt_labels is not None:
        labels = _default_labels(case.answer.labels, case.asked)
        if len({*labels, *case.gt_labels}) != 1:
            return labels, case.gt_labels
    return [""] * len(case.answer.boxes), [""] * len(case.gt_boxes)


def _of_same_label(
    pairs: Pairs, names: Sequence[tuple[Sequence[str | None], Sequence[str]]]
) -> Pairs:
    """The pairs of a prediction and a ground truth that have the same label."""
    labels, gt_labels = map(_joined, zip(*names, strict=True))
    if not any(labels) and not any(gt_labels):
        return pairs
    same = [
        labels[row] is not None and labels[row] == gt_labels[column]
        for row, column in zip(pairs[0].tolist(), pairs[1].tolist(), strict=True)
    ]
    return tuple(values[np.array(same, dtype=bool)] for values in pairs)


def _images_with_copies(pairs: Pairs, image: np.ndarray) -> set[int]:
    """The images where two boxes overlap a ground truth alike, as copies of a box do."""
    rows, columns, ious = pairs
    if np.bincount(columns).max(initial=0) < 2:
        return set()
    order = np.lexsort((ious, columns))
    column, iou = columns[order], ious[order]
    alike = (column[1:] == column[:-1]) & (iou[1:] == iou[:-1])
    return set(image[rows[order[1:][alike]]].tolist())


def _without_neighbours(pairs: Pairs, answered: _Boxes, images: Iterable[int]) -> Pairs:
    """The pairs without those of a box that is given several times and its lesser overlaps.

    Else the first copy would be matched to the person that it shows, the second one to a neighbour
    who overlaps it as well and has no box, and in a crowd it would pay to repeat every box.
    """
    rows, columns, ious = pairs
    kept = np.ones(len(rows), bool)
    for image in images:
        boxes = np.flatnonzero(answered.case == image)
        part = np.flatnonzero(answered.case[rows] == image)
        if len(set(columns[part].tolist())) == len(part):
            continue
        _, same, count = np.unique(
            answered.boxes[boxes], axis=0, return_inverse=True, return_counts=True
        )
        row = rows[part] - boxes[0]
        best = np.zeros(len(boxes))
        np.maximum.at(best, row, ious[part])
        kept[part] = (count[same.ravel()][row] == 1) | (ious[part] == best[row])
    return tuple(values[kept] for values in pairs)


def _measure(
    metrics: dict[str, list[float]], case: _Case, precision: float, recall: float, num_ignored: int
) -> None:
    """What is logged of an answer."""
    boxes = case.answer.boxes
    metrics["answer/boxes"].append(len(boxes))
    metrics["answer/duplicates"].append(num_repeated(boxes))
    metrics["answer/swallowing"].append(num_swallowing(boxes, case.gt_boxes))
    metrics["answer/ignored"].append(num_ignored)
    metrics["answer/unit_square"].append(in_unit_square(boxes))
    metrics["answer/precision"].append(precision)
    metrics["answer/recall"].append(recall)


_DEFAULT = AccuracyReward()


def accuracy_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`AccuracyReward` with its defaults."""
    return _DEFAULT(completions, **columns)
