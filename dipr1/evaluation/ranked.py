"""Ranked detections with their verdicts, the common form of every metric that sorts by score.

A protocol decides once which detections are true, false or do not count; the figures are then read
off the ranking. Images are kept apart, so that a bootstrap resample of the images needs no new
matching: it is a number of copies per image.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

TRUE, FALSE, DROPPED = 1, 0, -1
FPPI_REFERENCES = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)
RECALL_THRESHOLDS = np.linspace(0.0, 1.0, 101)


@dataclass(frozen=True)
class Ranked:
    """All detections of a set of images, the highest score first, and what became of them.

    Attributes:
        image: (D,) index of the image of each detection, in 0 ... I - 1.
        score: (D,) float64, not increasing.
        verdict: (D,) int8: `TRUE` (1), `FALSE` (0), or `DROPPED` (-1), which counts for nothing.
        objects: (I,) number of objects to find in each image.
    """

    image: np.ndarray
    score: np.ndarray
    verdict: np.ndarray
    objects: np.ndarray

    @cached_property
    def _kept(self) -> tuple[np.ndarray, np.ndarray]:
        """The counted detections, and which of them are true."""
        kept = np.flatnonzero(self.verdict != DROPPED)
        return kept, self.verdict[kept] == TRUE

    @cached_property
    def _mixed(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of the counted detections: image; and which of them are mixed, in what block.

        Mixed are true and false ones of one image with one score: where such a block repeats, its
        order matters.
        """
        kept, hit = self._kept
        image, score = self.image[kept], self.score[kept]
        block = np.zeros(len(image), np.int64)
        block[1:] = np.cumsum((image[1:] != image[:-1]) | (score[1:] != score[:-1]))
        true = np.bincount(block, weights=hit)[block]
        mixed = np.flatnonzero((true > 0) & (true < np.bincount(block)[block]))
        return image, mixed, block[mixed]

    def hits(self, weights: np.ndarray | None = None) -> np.ndarray:
        """One bool per counted detection, in order: it is true.

        Args:
            weights: (I,) int, how often each image is there; left out, once.

        >>> two = Ranked(np.array([0, 1]), np.array([0.9, 0.8]), np.array([1, 0]), np.array([1, 1]))
        >>> two.hits(np.array([1, 2]))
        array([ True, False, False])
        """
        hit = self._kept[1]
        if weights is None:
            return hit
        image, mixed, block = self._mixed
        copies = np.asarray(weights)[image]
        hits = np.repeat(hit, copies)
        if len(mixed):
            # a b a b, not a a b b
            start, num = (np.cumsum(copies) - copies)[mixed], copies[mixed]
            which = np.repeat(np.arange(len(mixed)), num)
            copy = np.arange(len(which)) - np.repeat(np.cumsum(num) - num, num)
            order = np.lexsort((which, copy, block[which]))
            hits[start[which] + copy] = hit[mixed[which[order]]]
        return hits

    def num_objects(self, weights: np.ndarray | None = None) -> int:
        """Objects to find, in all images together."""
        return int(self.objects.sum() if weights is None else self.objects @ np.asarray(weights))

    def num_images(self, weights: np.ndarray | None = None) -> int:
        """Images, with objects or without."""
        return len(self.objects) if weights is None else int(np.sum(weights))


def rank(image: np.ndarray, score: np.ndarray, verdict: np.ndarray, objects: np.ndarray) -> Ranked:
    """Rank detections; equal scores stay in the order in which they are given.

    Args:
        image: (D,) int, index of the image.
        score: (D,) float.
        verdict: (D,) int.
        objects: (I,) int.
    """
    order = np.argsort(-score, kind="stable")
    return Ranked(image[order], score[order], verdict[order].astype(np.int8), objects)


def crowdhuman_ap(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Average precision by CrowdHuman's rule: the trapezoids under the raw curve.

    Args:
        ranked: at one IoU threshold.
        weights: (I,) int, how often each image is there (a bootstrap resample). The value is the
            one of the images repeated so many times, each beside its copies.

    Returns:
        The area from the first detection's recall on (there is no segment from recall 0), in
        [0, 1]; 0 without detections, NaN where nothing is to be found.
    """
    hits, num_objects = ranked.hits(weights), ranked.num_objects(weights)
    if num_objects == 0:
        return float("nan")
    num_true = np.cumsum(hits)
    # a trapezoid has a width only where an object is found
    at = np.flatnonzero(hits)
    at = at[at > 0]
    precision = num_true[at] / (at + 1) + num_true[at - 1] / at
    return float(precision.sum() / (2 * num_objects))


def log_average_miss_rate_of(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Log-average miss rate (MR^-2) by CrowdHuman's rule; lower is better.

    Args:
        ranked: at one IoU threshold.
        weights: as in :func:`crowdhuman_ap`.

    Returns:
        The geometric mean of the miss rates, each read at the first detection that reaches one of
        the nine `FPPI_REFERENCES` (false positives per image), or at the last detection; 1 without
        detections, 0 as soon as one of the rates is 0, NaN where nothing is to be found.
    """
    if ranked.num_objects(weights) == 0:
        return float("nan")
    false_per_image, recall = fppi_and_recall(ranked, weights)
    if len(recall) == 0:
        return 1.0
    read_at = np.searchsorted(false_per_image, FPPI_REFERENCES, side="left")
    return log_average(1.0 - recall[np.minimum(read_at, len(recall) - 1)])


def fppi_and_recall(
    ranked: Ranked, weights: np.ndarray | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """False positives per image, and the share of the objects found, after each detection."""
    hits = ranked.hits(weights)
    num_true = np.cumsum(hits)
    num_false = np.arange(1, len(hits) + 1) - num_true
    return num_false / ranked.num_images(weights), num_true / ranked.num_objects(weights)


def log_average(rates: np.ndarray) -> float:
    """Geometric mean; 0 if one of the rates is 0.

    >>> log_average(np.array([0.25, 1.0]))
    0.5
    """
    return 0.0 if rates.min() <= 0.0 else float(np.exp(np.log(rates).mean()))


def coco_ap(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Average precision by COCO's rule: the mean of the interpolated precision at 101 recalls.

    Args:
        ranked: at one IoU threshold.
        weights: as in :func:`crowdhuman_ap`.

    Returns:
        The value in [0, 1]; 0 without detections, NaN where nothing is to be found.
    """
    return float(precision_at_recalls(ranked, weights).mean())


def precision_at_recalls(ranked: Ranked, weights: np.ndarray | None = None) -> np.ndarray:
    """The highest precision at each of COCO's recalls 0, 0.01 ... 1 or beyond.

    Args:
        ranked: at one IoU threshold.
        weights: as in :func:`crowdhuman_ap`.

    Returns:
        (101,), 0 beyond the last object found; all NaN where nothing is to be found.

    >>> two = Ranked(np.array([0, 0]), np.array([0.9, 0.8]), np.array([1, 1]), np.array([4]))
    >>> precision_at_recalls(two)[[0, 50, 51]]
    array([1., 1., 0.])
    """
    num_objects = ranked.num_objects(weights)
    if num_objects == 0:
        return np.full(len(RECALL_THRESHOLDS), np.nan)
    precision = interpolated_precision(ranked.hits(weights))
    recall = np.arange(1, len(precision) + 1) / num_objects
    return np.append(precision, 0.0)[np.searchsorted(recall, RECALL_THRESHOLDS, side="left")]


def voc_ap(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Average precision by PASCAL VOC's rule since 2010: the area under the interpolated curve.

    Args:
        ranked: at one IoU threshold.
        weights: as in :func:`crowdhuman_ap`.

    Returns:
        The value in [0, 1]; 0 without detections, NaN where nothing is to be found.
    """
    num_objects = ranked.num_objects(weights)
    if num_objects == 0:
        return float("nan")
    return float(interpolated_precision(ranked.hits(weights)).sum() / num_objects)


def recall_of(ranked: Ranked, weights: np.ndarray | None = None) -> float:
    """Share of the objects that is found by all detections together; NaN without objects."""
    num_objects = ranked.num_objects(weights)
    if num_objects == 0:
        return float("nan")
    return float(ranked.hits(weights).sum() / num_objects)


def interpolated_precision(hits: np.ndarray) -> np.ndarray:
    """At each true detection, the highest precision there or further down the ranking.

    >>> interpolated_precision(np.array([False, True, True]))
    array([0.66666667, 0.66666667])
    """
    at = np.flatnonzero(hits)
    precision = np.arange(1, len(at) + 1) / (at + 1)
    return np.maximum.accumulate(precision[::-1])[::-1]
