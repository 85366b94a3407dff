"""The images artifact as metrics read it, for images that can be drawn again.

`dipr1 evaluate` matches each image once and keeps what became of it. A metric is then a ratio of
two sums over images or read off one ranking of all boxes, and an image that is there twice is a
weight of 2: no resample needs a new matching.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import ragged
from dipr1.evaluation.calibration import JudgedRegions
from dipr1.evaluation.ranked_labels import RankedLabel, ranked_labels


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
    def regions(self) -> JudgedRegions:
        """The regions of all images; none without the variance."""
        uncertainty, erred, is_object = (
            ragged(self._table[f"region_{name}"])[0]
            for name in ("uncertainty", "erred", "is_object")
        )
        # without any they are of no type
        return JudgedRegions(uncertainty, erred.astype(bool), is_object.astype(bool))
