"""The box-variance regions: one row per region, sorted by image_id and region."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOX
from dipr1.errors import UserError

VARIANCE = Artifact(
    "variance",
    pa.schema(
        {
            "image_id": pa.string(),
            "region": pa.int32(),
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
)


def places_of_objects(
    images: pa.Table, regions: pa.Table, bounds: np.ndarray, offsets: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Which regions are annotated objects, and the place of each among the objects of all images.

    Args:
        images: one row per image.
        regions, bounds: the variance artifact as :func:`dipr1.artifacts.aligning.by_image` has it.
        offsets: (I + 1,) where each image's objects begin and end, in the annotations' order.

    Returns:
        (N,) rows of `regions` and (N,) places in 0 .. N - 1.

    Raises:
        UserError: the regions are of other objects.
    """
    gt_index = regions["gt_index"].fill_null(-1).to_numpy()
    rows = np.flatnonzero(gt_index >= 0)
    image = np.repeat(np.arange(images.num_rows), np.diff(bounds))[rows]
    annotated, measured = np.diff(offsets), np.bincount(image, minlength=images.num_rows)
    beyond = image[gt_index[rows] >= annotated[image]]
    for row in (*np.flatnonzero(annotated != measured)[:1], *beyond[:1]):
        raise UserError(
            f"image {images['image_id'][int(row)].as_py()!r}: {annotated[row]} objects are"
            f" annotated but the variance has {measured[row]}, or others; run `dipr1 variance` on"
            " it again"
        )
    return rows, offsets[image] + gt_index[rows]
