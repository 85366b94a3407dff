"""The box-variance regions: one row per region, sorted by image_id and region."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOX

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
