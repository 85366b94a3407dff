"""The box-variance regions: one row per region, sorted by image_id and region.

An image without statistics, since fewer than two responses to it can be read, has one row that
says nothing but `num_samples`: how many can be. An image without a row has no region: nobody is
there, and no response says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.aligning import by_image, image_rows
from dipr1.artifacts.columns import BOX
from dipr1.errors import UserError

VARIANCE = Artifact(
    "variance",
    pa.schema(
        {
            "image_id": pa.string(),
            "region": pa.int32(),  # null, as all that follows, in the row of no statistics
            "kind": pa.string(),  # object | phantom
            "gt_index": pa.int32(),  # among the image's not ignored boxes; null for phantoms
            "box": BOX,  # image frame
            "hull": BOX,  # image frame
            "support": pa.float64(),
            "num_samples": pa.int32(),
            "existence_variance": pa.float64(),
            "box_variance": pa.float64(),  # null where fewer than two members
            "uncertainty": pa.float64(),
        }
    ),
    # how much oftener an object is found on crops than in the whole view; 0 for phantoms
    optional=pa.schema({"gain": pa.float64()}),
)


@dataclass(frozen=True)
class RegionsByImage:
    """The regions of I images.

    Attributes:
        rows: of the artifact, those of one image after another.
        bounds: (I + 1,) where those of each image begin and end.
        measured: (I,) bool, the image has statistics.
    """

    rows: pa.Table
    bounds: np.ndarray
    measured: np.ndarray


def regions_by_image(images: pa.Table, variance: pa.Table) -> RegionsByImage:
    """The regions of the images, in the order of `images`, which has one row for each."""
    unmeasured = variance.filter(variance["region"].is_null())["image_id"]
    rows, bounds = by_image(images, regions_only(variance))
    known = image_rows(images["image_id"], unmeasured) < 0
    return RegionsByImage(rows, bounds, known)


def regions_only(variance: pa.Table) -> pa.Table:
    """The artifact without its rows of images that have no statistics."""
    return variance.filter(variance["region"].is_valid())


def places_of_objects(
    images: pa.Table, regions: RegionsByImage, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which regions are annotated objects, and the place of each among the objects of all images.

    Args:
        images: one row per image.
        regions: those of these images.
        offsets: (I + 1,) where each image's objects begin and end, in the annotations' order.

    Returns:
        (N,) rows of `regions` and (N,) places. Objects of images without statistics have none.

    Raises:
        UserError: the regions are of other objects.
    """
    gt_index = regions.rows["gt_index"].fill_null(-1).to_numpy()
    rows = np.flatnonzero(gt_index >= 0)
    image = np.repeat(np.arange(images.num_rows), np.diff(regions.bounds))[rows]
    annotated = np.where(regions.measured, np.diff(offsets), 0)
    measured = np.bincount(image, minlength=images.num_rows)
    beyond = image[gt_index[rows] >= annotated[image]]
    for row in (*np.flatnonzero(annotated != measured)[:1], *beyond[:1]):
        raise UserError(
            f"image {images['image_id'][int(row)].as_py()!r}: {annotated[row]} objects are"
            f" annotated but the variance has {measured[row]}, or others; run `dipr1 variance` on"
            " it again"
        )
    return rows, offsets[image] + gt_index[rows]
