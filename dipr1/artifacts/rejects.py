"""What `convert` could not use, and why."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact

REJECTS = Artifact(
    "rejects",
    pa.schema(
        {"source": pa.string(), "record": pa.string(), "reason": pa.string(), "raw": pa.string()}
    ),
)
