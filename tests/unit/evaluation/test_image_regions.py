"""The regions of each image."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.variance import VARIANCE
from dipr1.evaluation.image_regions import ImageRegions
from tests.unit.experiment import annotation


def test_regions_that_lie_outside_the_image_are_not_to_be_looked_at():
    annotations = pa.Table.from_pylist([annotation(name, []) for name in "ab"], ANNOTATIONS.schema)
    boxes = {"b": [200.0, 0, 210, 10], "a": [180.0, 0, 210, 10], "other": [0.0, 0, 9, 9]}
    rows = [
        {
            "image_id": name,
            "region": 0,
            "kind": "phantom",
            "box": box,
            "hull": box,
            "uncertainty": 0.9,
        }
        for name, box in boxes.items()
    ]
    regions = ImageRegions.of(annotations, pa.Table.from_pylist(rows, VARIANCE.schema))
    assert regions.to_look_at.tolist() == [True, False]
    assert regions.boxes.tolist() == [boxes["a"], boxes["b"]]
    assert regions.bounds.tolist() == [0, 1, 2]
