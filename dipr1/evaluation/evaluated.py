"""The images artifact as metrics read it, for images that can be drawn again.

`dipr1 evaluate` matches each image once and keeps what became of it. A metric is then a ratio of
two sums over images or read off one ranking of all boxes, and an image that is there twice is a
weight of 2: no resample needs a new matching.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import ragged
from dipr1.evaluation.calibration import JudgedRegions
from dipr1.evaluation.ranked_labels import RankedLabel, ranked_labels


@dataclass(frozen=True)
class FoundObjects:
    """The objects of all images, and which of them the answers found.

    Attributes:
        image: (M,) int, the image of each.
        height: (M,) as a share of the image's.
        visibility: (M,) the visible share; NaN where unknown.
        found: (M,) bool, at IoU 0.5.
        num_images: I.
    """

    image: np.ndarray
    height: np.ndarray
    visibility: np.ndarray
    found: np.ndarray
    num_images: int

    def counts(self, kept: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """(I,) objects found and objects in each image, of the (M,) that are kept."""
        found, there = (
            np.bincount(self.image[mask], minlength=self.num_images).astype(np.float64)
            for mask in (kept & self.found, kept)
        )
        return found, there


class Images:
    """The per-image figures of one set of predictions.

    Args:
        table: the images artifact, or those of its columns that are needed.
    """

    def __init__(self, table: pa.Table) -> None:
        self._table = table

    def __len__(self) -> int:
        return self._table.num_rows

    @cached_property
    def names(self) -> list[str]:
        """The images' ids."""
        return self._table["image_id"].to_pylist()

    @property
    def score(self) -> str | None:
        """How the boxes were scored; None without images."""
        return next(iter(self._table["score"].unique().to_pylist()), None)

    @property
    def has_variance(self) -> bool:
        """The base policy's uncertainty was given."""
        return self._table["region_erred"].null_count < len(self)

    def __getitem__(self, name: str) -> np.ndarray:
        """(I,) float64, a column of numbers: NaN where null, or where there is no such column."""
        if name not in self._table.column_names:
            return np.full(len(self), np.nan)
        return self._table[name].cast(pa.float64()).to_numpy()

    @cached_property
    def labels(self) -> list[RankedLabel]:
        """The scored boxes of each label that is asked for."""
        return ranked_labels(self._table)

    @cached_property
    def objects(self) -> FoundObjects:
        """The objects of all images."""
        names = ("height", "visibility", "found")
        columns = {name: ragged(self._table[f"object_{name}"]) for name in names}
        _, offsets = columns["height"]
        height, visibility, found = (column for column, _ in columns.values())
        image = np.repeat(np.arange(len(self)), np.diff(offsets))
        return FoundObjects(image, height, visibility, found.astype(bool), len(self))

    @cached_property
    def regions(self) -> JudgedRegions:
        """The regions of all images; none without the variance."""
        uncertainty, erred, is_object = (
            ragged(self._table[f"region_{name}"])[0]
            for name in ("uncertainty", "erred", "is_object")
        )
        # without any they are of no type
        return JudgedRegions(uncertainty, erred.astype(bool), is_object.astype(bool))
