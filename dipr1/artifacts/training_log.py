"""What the trainer logged, but for what differs between equal runs."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact

TRAINING_LOG = Artifact(
    "training_log",
    pa.schema({"step": pa.int32(), "name": pa.string(), "value": pa.float64()}),
)
