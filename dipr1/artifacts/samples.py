"""Responses of a policy: those of `sample`, and of `predict` with one row per image."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOXES, STRINGS

SAMPLES = Artifact(
    "samples",
    pa.schema(
        {
            "image_id": pa.string(),
            "sample": pa.int32(),
            "text": pa.string(),
            "num_tokens": pa.int32(),
            "problems": STRINGS,
            "boxes": BOXES,  # image frame; null where the answer does not parse
            "look_boxes": BOXES,  # image frame; null where the look section does not parse
            # one per box: mean probability, and mean log-probability, of its numbers' tokens
            "confidence": pa.list_(pa.float32()),
            "log_likelihood": pa.list_(pa.float32()),
        }
    ),
    optional=pa.schema({"form": pa.string()}),  # `answer` where the boxes alone were asked for
)
