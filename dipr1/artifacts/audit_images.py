"""Images by how much of their labels is in doubt."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact

AUDIT_IMAGES = Artifact(
    "audit_images",
    pa.schema(
        {
            "rank": pa.int32(),  # 0 first
            "image_id": pa.string(),
            "image": pa.string(),
            "num_objects": pa.int32(),
            "num_phantoms": pa.int32(),
            "num_suspects": pa.int32(),
            "mean_uncertainty": pa.float64(),  # null where the image has no region
            "max_uncertainty": pa.float64(),  # null where the image has no region
            "score": pa.float64(),  # in [0, 1], the highest first
        }
    ),
)
