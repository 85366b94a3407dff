"""The metrics of a set of predictions, or of resamples of its images.

The metrics artifact has one row per metric, in the order of
:data:`dipr1.evaluation.catalogue.METRICS`; a value is null where it is undefined (recall where
there is nobody to find). Each ranked metric says what the boxes were ranked by.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dipr1.evaluation.catalogue import METRICS, Ranking, Ratio, Whole
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.ranked import RECALL_THRESHOLDS, precision_at_recalls
from dipr1.evaluation.ranked_labels import ResampledLabel, divide

# Weights are summed in blocks: as float64 all of them take four times their memory.
BLOCK = 64


def metrics_of(images: Images) -> dict[str, float]:
    """All metrics of one set of predictions.

    Returns:
        Value by name in the order of `METRICS`; NaN where undefined. Those that need the variance
        are left out where it was not given.
    """
    wanted = [
        name for name, metric in METRICS.items() if images.has_variance or not metric.needs_variance
    ]
    whole = [name for name in wanted if isinstance(METRICS[name], Whole)]
    others = [name for name in wanted if name not in whole]
    values = dict(zip(others, values_of(images, others)[:, 0].tolist(), strict=True))
    values |= {name: float(METRICS[name].of(images)) for name in whole}
    return {name: values[name] for name in wanted}


def values_of(
    images: Images, names: Sequence[str], weights: np.ndarray | None = None
) -> np.ndarray:
    """Metrics of resamples of the images.

    Args:
        images: I of them.
        names: of metrics that can be resampled: rankings and ratios.
        weights: (R, I) int, how often each resample has each image; left out, one resample that
            has each image once.

    Returns:
        (len(names), R) float64; NaN where a metric is undefined. With several labels, the ranked
        metrics are means over the labels that occur.
    """
    if weights is None:
        weights = np.ones((1, len(images)), np.int64)
    values = np.full((len(names), len(weights)), np.nan)
    for kind, compute in ((Ratio, _ratios), (Ranking, _rankings)):
        rows = [row for row, name in enumerate(names) if isinstance(METRICS[name], kind)]
        if rows:
            values[rows] = compute(images, [METRICS[names[row]] for row in rows], weights)
    return values


def _ratios(images: Images, metrics: Sequence[Ratio], weights: np.ndarray) -> np.ndarray:
    sums = np.array([part for metric in metrics for part in metric.of(images)])
    values = np.empty((len(metrics), len(weights)))
    for start in range(0, len(weights), BLOCK):
        block = slice(start, start + BLOCK)
        totals = sums @ weights[block].T.astype(np.float64)
        values[:, block] = divide(totals[::2], totals[1::2])
    return values


def _rankings(images: Images, metrics: Sequence[Ranking], weights: np.ndarray) -> np.ndarray:
    labels = [ResampledLabel(label, weights) for label in images.labels]
    if not labels:
        return np.full((len(metrics), len(weights)), np.nan)
    return _over_labels([[metric.of(label) for metric in metrics] for label in labels])


def _over_labels(values: Sequence) -> np.ndarray:
    """Mean over the labels, those where a value is undefined left out."""
    return divide(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0).astype(np.float64))


def precision_curve(images: Images) -> np.ndarray:
    """COCO's precision at 101 recalls and IoU 0.50, mean over the labels; its mean is AP50.

    Returns:
        (101,); NaN where nothing is to be found.
    """
    curves = [precision_at_recalls(label.coco[0]) for label in images.labels]
    return _over_labels(curves or [np.full(len(RECALL_THRESHOLDS), np.nan)])


def metrics_table(values: dict[str, float], score: str) -> pa.Table:
    """The metrics artifact; `score` is what ranked the boxes."""
    return pa.table(
        {
            "name": list(values),
            "value": [none_if_nan(value) for value in values.values()],
            "score": [score if isinstance(METRICS[name], Ranking) else None for name in values],
        }
    )


def none_if_nan(value: float) -> float | None:
    """What an undefined figure is in files."""
    return None if math.isnan(value) else float(value)
