"""Does u, measured on the base policy, tell where this answer errs?

Calibration: does u, measured on the base policy, tell where this answer errs? A region of kind
`object` errs where the object is missed, a `phantom` where a false box overlaps it with IoU >= 0.5.
u is no probability by construction, so its expected calibration error says how far it is from one.
An object that the base policy never found has a low u and is an error, so the two kinds have an AUC
each: among objects it may well be below 0.5.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, iou
from dipr1.evaluation.answers import Judged

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
    """How often the answer errs in regions of like uncertainty.

    Attributes:
        edges: (B + 1,) of the bins of u; each holds its lower edge, the last one both.
        counts: (B,) regions.
        mean_uncertainty: (B,); NaN in an empty bin.
        error_rate: (B,) share of the regions in which the answer errs; NaN in an empty bin.
    """

    edges: np.ndarray
    counts: np.ndarray
    mean_uncertainty: np.ndarray
    error_rate: np.ndarray

    @property
    def expected_error(self) -> float:
        """Expected calibration error: mean over regions of |u - error rate|, bin by bin."""
        if not self.counts.sum():
            return float("nan")
        gaps = np.abs(self.mean_uncertainty - self.error_rate)
        return float(np.nansum(gaps * self.counts) / self.counts.sum())


def reliability(uncertainty: np.ndarray, erred: np.ndarray, num_bins: int = 10) -> Reliability:
    """Bin regions by u and measure the share of errors in each bin.

    Args:
        uncertainty: (R,) u in [0, 1].
        erred: (R,) bool.
        num_bins: bins of equal width.

    Source: Guo et al., "On Calibration of Modern Neural Networks" (arXiv 1706.04599).

    >>> bins = reliability(np.array([0.2, 0.4, 0.9]), np.array([False, True, True]), 2)
    >>> bins.counts.tolist(), bins.error_rate.tolist(), round(bins.expected_error, 3)
    ([2, 1], [0.5, 1.0], 0.167)
    """
    uncertainty = np.asarray(uncertainty, np.float64)
    edges = np.linspace(0.0, 1.0, num_bins + 1)
    bin_of = np.clip(np.searchsorted(edges, uncertainty, side="right") - 1, 0, num_bins - 1)
    counts = np.bincount(bin_of, minlength=num_bins)
    divisor = np.where(counts, counts, np.nan)
    return Reliability(
        edges,
        counts,
        np.bincount(bin_of, weights=uncertainty, minlength=num_bins) / divisor,
        np.bincount(bin_of, weights=erred, minlength=num_bins) / divisor,
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
