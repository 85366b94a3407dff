"""Every metric of one set of predictions."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact

METRICS = Artifact(
    "metrics",
    pa.schema(
        {
            "name": pa.string(),
            "value": pa.float64(),  # null where undefined
            "score": pa.string(),  # what ranked the boxes; null for metrics that do not rank
        }
    ),
)
