"""The regions of the variance artifact, image after image, beside what was answered there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.variance import regions_by_image
from dipr1.boxes import area
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.calibration import regions_erred
from dipr1.rewards import LookingReward


@dataclass(frozen=True)
class ImageRegions:
    """The regions of a set of images.

    Attributes:
        bounds: (I + 1,) where the regions of each image begin and end.
        boxes: (R, 4) image frame.
        gt_index: (R,) float64, NaN for phantoms.
        uncertainty: (R,).
        to_look_at: (I,) bool, the image has a region that is to be looked at.
    """

    bounds: np.ndarray
    boxes: np.ndarray
    gt_index: np.ndarray
    uncertainty: np.ndarray
    to_look_at: np.ndarray

    @classmethod
    def of(cls, annotations: pa.Table, variance: pa.Table) -> ImageRegions:
        """The regions of the images of `annotations`, in its order."""
        by_image = regions_by_image(annotations, variance)
        regions, bounds = by_image.rows, by_image.bounds
        boxes, hulls = (
            pc.list_flatten(regions[name]).to_numpy().reshape(-1, 4).astype(np.float64)
            for name in ("box", "hull")
        )
        uncertainty = regions["uncertainty"].to_numpy()
        image = np.repeat(np.arange(annotations.num_rows), np.diff(bounds))
        width, height = (annotations[name].to_numpy()[image] for name in ("width", "height"))
        visible = area(np.minimum(np.maximum(hulls, 0.0), np.column_stack([width, height] * 2))) > 0
        wanted = visible & (uncertainty >= LookingReward().threshold)
        return cls(
            bounds,
            boxes,
            regions["gt_index"].to_numpy().astype(np.float64),
            uncertainty,
            np.bincount(image, weights=wanted, minlength=annotations.num_rows) > 0,
        )

    def figures(self, index: int, image: AnsweredImage) -> dict[str, Any]:
        """The columns of the images artifact that are about an image's regions."""
        part = slice(self.bounds[index], self.bounds[index + 1])
        gt_index = self.gt_index[part]
        erred = regions_erred(self.boxes[part], gt_index, image.boxes, image.judged[0])
        return {
            "region_uncertainty": self.uncertainty[part],
            "region_erred": erred,
            "region_is_object": np.isfinite(gt_index),
        } | ({} if self.to_look_at[index] else {"look_recall": None})
