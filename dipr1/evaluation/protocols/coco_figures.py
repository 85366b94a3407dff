"""The twelve figures of COCO's summary from files in its own form."""

from __future__ import annotations

import math

from dipr1.datasets.reading import collector_off
from dipr1.evaluation.coco_ap import Objects, coco_summary
from dipr1.evaluation.protocols.coco_files import CocoResults, CocoTruth
from dipr1.evaluation.protocols.records import stacked


def coco(ground_truth: str, detections: str) -> dict[str, float]:
    """The twelve figures of COCO's summary; -1 where nothing of that size is to be found."""
    with collector_off():
        truth = CocoTruth(ground_truth)
        results = CocoResults(detections, truth, truth.categories)
    numbers = truth.columns({"bbox": 4})
    own_area = numbers["bbox"][:, 2] * numbers["bbox"][:, 3]
    size = truth.columns({"area": 1}, own_area)["area"][:, 0]
    crowd = truth.flags("iscrowd")
    categories = []
    for name in truth.categories:
        rows = truth.rows_of(name)
        boxes = stacked(numbers["bbox"][rows], truth.image[rows])
        objects = Objects(boxes, crowd[rows], size[rows], truth.num_images)
        categories.append((results.of(name)[0], objects))
    values = coco_summary(categories)
    return {name: -1.0 if math.isnan(value) else value for name, value in values.items()}
