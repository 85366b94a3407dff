"""Precision, recall and F1 of the boxes as they are: of whole images, or of where was looked.

Each is a ratio of two sums over images, given as what is summed above and below the line.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dipr1.evaluation.evaluated import Images

Sums = tuple[np.ndarray, np.ndarray]
ROUNDING = 1e-6  # visibility is written as float32: 0.9 is a little less


class Tally(NamedTuple):
    """What was counted in each of I images.

    Attributes:
        hits: (I,) matched pairs of a box and an object.
        boxes: (I,) boxes that count.
        objects: (I,) objects to find.
    """

    hits: np.ndarray
    boxes: np.ndarray
    objects: np.ndarray


def at_50(images: Images) -> Tally:
    """A box is right if it overlaps an object by IoU 0.5."""
    return Tally(images["hits50"], images["num_counted"], images["num_objects"])


def at_75(images: Images) -> Tally:
    """A box is right if it overlaps an object by IoU 0.75."""
    return Tally(images["hits75"], images["num_counted75"], images["num_objects"])


def looked_at(images: Images) -> Tally:
    """At IoU 0.5, what lies in the look regions (:mod:`dipr1.evaluation.looks`)."""
    hits, false, missed = (images[f"look_{name}"] for name in ("hits", "false", "missed"))
    return Tally(hits, hits + false, hits + missed)


def elsewhere(images: Images) -> Tally:
    """At IoU 0.5, what lies outside the look regions."""
    return Tally(*np.subtract(at_50(images), looked_at(images)))


def precision_sums(tally: Callable[[Images], Tally]) -> Callable[[Images], Sums]:
    """The share of the boxes that are right."""
    return lambda images: (tally(images).hits, tally(images).boxes)


def recall_sums(tally: Callable[[Images], Tally]) -> Callable[[Images], Sums]:
    """The share of the objects that were found."""
    return lambda images: (tally(images).hits, tally(images).objects)


def recall_between(quantity: str, low: float, high: float) -> Callable[[Images], Sums]:
    """The share found of the objects whose `quantity` is at least `low` and below `high`.

    Args:
        quantity: `height` or `visibility`; an object where it is not known is left out.
        low, high: shares.
    """

    def sums(images: Images) -> Sums:
        values = getattr(images.objects, quantity)
        return images.objects.counts((values >= low - ROUNDING) & (values < high - ROUNDING))

    return sums


def f1_sums(tally: Callable[[Images], Tally]) -> Callable[[Images], Sums]:
    """The harmonic mean of precision and recall."""
    return lambda images: (2.0 * tally(images).hits, tally(images).boxes + tally(images).objects)
