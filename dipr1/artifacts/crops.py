"""Crops: further prompts, each about a window of an image that is uncertain there.

It can be read as a prompts artifact: sampled, predicted and trained on.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.columns import BOX, EXIF
from dipr1.artifacts.prompts import PROMPTS, frame_of

CROPS = Artifact(
    "crops",
    pa.schema(
        [
            *PROMPTS.schema,  # image_id: the whole image's, `#` and the crop's place among its own
            pa.field("window", BOX),  # whole pixels of the image
            pa.field("crop_of", pa.string()),  # image_id of the whole image
            pa.field("gt_index", pa.list_(pa.int32())),  # of each gt_boxes, in the whole image's
        ]
    ),
    optional=pa.schema([field for field in PROMPTS.optional if field.name != "window"]),
)


def crop_annotations(crops: pa.Table) -> pa.Table:
    """The annotations artifact of crops, each as an image of its own, for `variance`.

    Boxes count from the window's corner. Where the prompts do not tell the labels of ignore areas,
    they are ignored whatever is asked for.
    """
    names = [
        name for name in ANNOTATIONS.schema_with(EXIF.names).names if name in crops.column_names
    ]
    rows = []
    for row in crops.to_pylist():
        boxes = np.reshape(row["gt_boxes"] + row["ignore_boxes"], (-1, 4))
        areas = row.get("ignore_labels") or [ANY_LABEL] * len(row["ignore_boxes"])
        rows.append(
            {name: row[name] for name in names}
            | {
                "boxes": frame_of(row).to_image(boxes).tolist(),
                "labels": row["gt_labels"] + areas,
                "ignore": [False] * len(row["gt_labels"]) + [True] * len(areas),
                "visibility": [None] * len(boxes),
            }
        )
    return pa.Table.from_pylist(rows, ANNOTATIONS.schema_with(names))
