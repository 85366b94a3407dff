"""Responses that a policy gave in its training, all those of some updates, and what they earned."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.columns import BOX, BOXES, EXIF, STRINGS

COMPLETIONS = Artifact(
    "completions",
    pa.schema(
        {
            "step": pa.int32(),  # the first update that learned from it
            "image_id": pa.string(),  # with `?` and a number where a question is varied
            "sample": pa.int32(),  # of the responses to one prompt
            "text": pa.string(),
            "num_tokens": pa.int32(),
            "reward": pa.float64(),  # the weighted sum; null where nothing could be judged
            "advantage": pa.float64(),
            "rewards": pa.list_(pa.struct({"name": pa.string(), "value": pa.float64()})),
            "image": pa.string(),
            "width": pa.int32(),  # of what was shown, as all boxes: the image or its window
            "height": pa.int32(),
            "labels": STRINGS,
            "boxes": BOXES,  # null where the answer does not parse
            "look_boxes": BOXES,  # null where the look section does not parse
            "gt_boxes": BOXES,
            "ignore_boxes": BOXES,
        }
    ),
    optional=pa.schema([*EXIF, pa.field("window", BOX)]),
)
