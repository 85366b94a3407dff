"""What is on each image: one row per image, sorted by image_id."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOXES, EXIF, STRINGS, ragged
from dipr1.boxes import ANY_LABEL

ANNOTATIONS = Artifact(
    "annotations",
    pa.schema(
        {
            "image_id": pa.string(),
            "image": pa.string(),
            "width": pa.int32(),
            "height": pa.int32(),
            "boxes": BOXES,  # image frame
            "labels": STRINGS,
            "ignore": pa.list_(pa.bool_()),
            "visibility": pa.list_(pa.float32()),  # null where unknown
        }
    ),
    optional=EXIF,
)


def objects_and_areas(
    annotations: pa.Table, labels: Sequence[str] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """(B,) which of the boxes of all images are objects to be found, and which are to be ignored.

    An object is known by its place among its image's objects: the `gt_index` of the variance
    artifact, and the order of `gt_boxes` in the prompts.

    Args:
        annotations: the annotations artifact.
        labels: what is asked for: other boxes are neither, but for areas of `ANY_LABEL`. All by
            default.

    >>> row = {"boxes": [[0, 0, 1, 1]] * 3, "ignore": [True, False, False], "labels": list("aab")}
    >>> [those.tolist() for those in objects_and_areas(pa.Table.from_pylist([row]), ["a"])]
    [[False, True, False], [True, False, False]]
    """
    ignored = ragged(annotations["ignore"])[0].astype(bool)
    asked = np.ones_like(ignored)
    if labels is not None:
        names = pc.list_flatten(annotations["labels"].combine_chunks())
        asked = pc.is_in(names, pa.array([*labels, ANY_LABEL], pa.string())).to_numpy(False)
    return asked & ~ignored, asked & ignored
