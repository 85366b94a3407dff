"""The artifacts of two images of 200 x 100, in a model frame of 100 x 100; the second is empty."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.variance import VARIANCE


def prompts() -> pa.Table:
    """Two images of 200 x 100 in a frame of 100 x 100; the second is empty."""
    shared = {
        "width": 200,
        "height": 100,
        "frame": "absolute",
        "frame_width": 100.0,
        "frame_height": 100.0,
        "labels": ["person"],
        "prompt": [{"role": "user", "content": "Find every person."}],
    }
    rows = [
        {
            "image_id": "a",
            "image": "a.jpg",
            "gt_boxes": [[10, 10, 30, 60], [50, 10, 70, 60]],
            "gt_labels": ["person", "person"],
            "ignore_boxes": [[80, 0, 100, 20]],
        },
        {"image_id": "b", "image": "b.jpg", "gt_boxes": [], "gt_labels": [], "ignore_boxes": []},
    ]
    return pa.Table.from_pylist([shared | row for row in rows], PROMPTS.schema)


def region(image_id, index, kind, gt_index, hull, uncertainty) -> dict:
    return {
        "image_id": image_id,
        "region": index,
        "kind": kind,
        "gt_index": gt_index,
        "box": hull,
        "hull": hull,
        "support": 0.5,
        "num_samples": 8,
        "existence_variance": 1.0,
        "box_variance": None,
        "uncertainty": uncertainty,
    }


def variance() -> pa.Table:
    rows = [
        region("a", 0, "object", 0, [20, 10, 60, 60], 0.1),
        region("a", 1, "object", 1, [100, 10, 140, 60], 0.9),
        region("a", 2, "phantom", None, [0, 50, 20, 100], 0.6),
        region("other", 0, "object", 0, [0, 0, 1, 1], 0.5),
    ]
    return pa.Table.from_pylist(rows, VARIANCE.schema)
