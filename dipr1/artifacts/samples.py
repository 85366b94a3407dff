"""Responses of a policy: of `sample`, of `predict` with one row per image, and of `inspect`."""

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
    optional=pa.schema(
        {
            "form": pa.string(),  # `answer` where the boxes alone were asked for
            # where it was looked again (`inspect`): `boxes` are then those of all views merged
            "labels": STRINGS,  # of each box; null where none is written
            "view": pa.list_(pa.int32()),  # of each box: 0 the first view, k the k-th window
            "windows": BOXES,  # what was looked at again, image frame, whole pixels
            "num_crops": pa.int32(),
            "crop_texts": STRINGS,  # the response to each window
            "first_boxes": BOXES,  # image frame; the first view's alone, null as `boxes`
            "first_confidence": pa.list_(pa.float32()),
        }
    ),
)

SHARD = "shard"  # the option of an artifact that is part K of N: [K, N]
