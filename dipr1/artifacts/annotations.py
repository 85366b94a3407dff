"""What is on each image: one row per image, sorted by image_id."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOXES, STRINGS

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
)
