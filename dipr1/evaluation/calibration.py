"""Do the boxes' scores, and the base policy's uncertainty, say how often the answers err?

Of the boxes: how often is a box of a score right (IoU >= 0.5)? One that does not count, since it
lies in an ignore area, is left out. Of the regions: does u, measured on the base policy, tell where
this answer errs? A region of kind `object` errs where the object is missed, a `phantom` where a
false box overlaps it with IoU >= 0.5. u is no probability by construction, so its expected
calibration error says how far it is from one. An object that the base policy never found has a low
u and is an error, so the two kinds have an AUC each: among objects it may well be below 0.5.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, iou
from dipr1.evaluation.answers import Judged
from dipr1.evaluation.ranked import DROPPED, TRUE
from dipr1.evaluation.ranked_labels import RankedLabel

PHANTOM_IOU = 0.5


@dataclass(frozen=True)
class JudgedRegions:
    """The regions of a set of images, and which of them the answers err in.

    Attributes:
        uncertainty: (R,) u in [0, 1].
        erred: (R,) bool.
        is_object: (R,) bool: annotated; else a phantom.
    """

    uncertainty: np.ndarray
    erred: np.ndarray
    is_object: np.ndarray

    def auc(self, kind: np.ndarray | None = None) -> float:
        """See :func:`auc`, of all regions or of those that `kind` marks."""
        kept = slice(None) if kind is None else kind
        return auc(self.uncertainty[kept], self.erred[kept])

    def calibration_error(self) -> float:
        """See :attr:`Reliability.expected_error`."""
        return reliability(self.uncertainty, self.erred).expected_error


def regions_erred(
    region_boxes: ArrayLike,
    gt_index: np.ndarray,
    boxes: ArrayLike,
    judged: Judged,
) -> np.ndarray:
    """Which regions of the variance artifact the answer errs in.

    Args:
        region_boxes: (R, 4) `box` of the regions, image frame.
        gt_index: (R,) the object of a region, NaN for a phantom.
        boxes: (N, 4) of the answer, image frame.
        judged: which of them are right, at IoU 0.5; `found` is one per object.

    Returns:
        (R,) bool.

    >>> judged = Judged(np.array([False]), np.array([False]), np.array([False, True]))
    >>> regions = [[0, 0, 2, 2], [4, 4, 6, 6], [8, 8, 9, 9]]
    >>> regions_erred(regions, np.array([0, 1, np.nan]), [[8, 8, 9, 9]], judged)
    array([ True, False,  True])
    """
    false = as_boxes(boxes)[judged.false]
    erred = (iou(region_boxes, false) >= PHANTOM_IOU).any(axis=1)
    is_object = np.isfinite(gt_index)
    erred[is_object] = ~judged.found[gt_index[is_object].astype(np.int64)]
    return erred


@dataclass(frozen=True)
class Reliability:
    """How often something is so, of like values that should tell it.

    Attributes:
        edges: (B + 1,) of the bins of the values; each holds its lower edge, the last one both.
        counts: (B,) how many are in each.
        mean: (B,) of their values; NaN in an empty bin.
        rate: (B,) share of those of which it is so; NaN in an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    mean: np.ndarray
    rate: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean of |value - rate|, bin by bin; NaN without any."""
        if not self.counts.sum():
            return float("nan")
        gaps = np.abs(self.mean - self.rate)
        return float(np.nansum(gaps * self.counts) / self.counts.sum())


def reliability(values: np.ndarray, so: np.ndarray, num_bins: int = 10) -> Reliability:
    """Bin values and measure the share of those of which something is so in each bin.

    Args:
        values: (N,) in [0, 1]: of regions u, of boxes the score.
        so: (N,) bool: the answer errs there, the box is right.
        num_bins: bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599); of boxes,
    Küppers et al., "Multivariate Confidence Calibration for Object Detection" (arXiv 2004.13546).

    >>> bins = reliability(np.array([0.2, 0.4, 0.9]), np.array([False, True, True]), 2)
    >>> bins.counts.tolist(), bins.rate.tolist(), round(bins.expected_error, 3)
    ([2, 1], [0.5, 1.0], 0.167)
    """
    values = np.asarray(values, np.float64)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bin_of = np.clip(np.searchsorted(edges, values, side="right") - 1, 0, num_bins - 1)
    counts = np.bincount(bin_of, minlength=num_bins)
    divisor = np.where(counts, counts, np.nan)
    return Reliability(
        edges,
        counts,
        np.bincount(bin_of, weights=values, minlength=num_bins) / divisor,
        np.bincount(bin_of, weights=so, minlength=num_bins) / divisor,
    )


def of_scores(labels: Sequence[RankedLabel]) -> Reliability:
    """How often the boxes of like scores are right, of all labels together."""
    rankings = [label.coco[0] for label in labels]
    counted = [ranked.verdict != DROPPED for ranked in rankings]
    pairs = list(zip(rankings, counted, strict=True))
    return reliability(
        np.concatenate([ranked.score[kept] for ranked, kept in pairs] or [np.empty(0)]),
        np.concatenate([ranked.verdict[kept] == TRUE for ranked, kept in pairs] or [np.empty(0)]),
    )


def auc(uncertainty: np.ndarray, erred: np.ndarray) -> float:
    """Probability that a region with an error is more uncertain than one without; ties half.

    Args:
        uncertainty: (R,) u.
        erred: (R,) bool.

    Returns:
        In [0, 1], 0.5 where u says nothing; NaN where there is no error or nothing but errors.

    >>> auc(np.array([0.1, 0.5, 0.5, 0.9]), np.array([False, False, True, True]))
    0.875
    """
    erred = np.asarray(erred, bool)
    num_errors, num_right = int(erred.sum()), int((~erred).sum())
    if not num_errors or not num_right:
        return float("nan")
    _, level = np.unique(np.asarray(uncertainty), return_inverse=True)
    errors = np.bincount(level, weights=erred)
    right = np.bincount(level, weights=~erred)
    below = np.cumsum(right) - right
    return float((errors * (below + right / 2.0)).sum() / (num_errors * num_right))
