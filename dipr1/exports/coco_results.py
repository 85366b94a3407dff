"""COCO detection results, from predictions.

A list of `image_id`, `category_id`, `bbox` (x, y, width, height in pixels of the image) and
`score`, as pycocotools, faster-coco-eval and hotcoco load it beside the annotations that ``--format
coco`` wrote with the same ``--labels`` and ``--number-ids``. The score is the box's confidence. A
box whose label is not asked for is left out, as the evaluation does not count it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dipr1.artifacts.samples import SAMPLES
from dipr1.datasets.exporting import image_ids
from dipr1.errors import UserError
from dipr1.exports.options import Exporting
from dipr1.responses import box_labels, parse_response

READS = "predictions"


def write(source: str, output: Path, options: Exporting) -> str:
    """Write the file.

    Raises:
        UserError: the labels are not said.
    """
    if not options.labels:
        raise UserError("--labels: needed: the labels in the order of the annotations' categories")
    predictions = SAMPLES.read(source).sort_by("image_id")
    names = predictions["image_id"].to_pylist()
    ids = list(range(1, len(names) + 1)) if options.number_ids else image_ids(names)
    rows = zip(ids, predictions.to_pylist(), strict=True)
    results = [one for key, row in rows for one in _of_image(key, row, options.labels)]
    with output.open("w", encoding="utf-8") as file:
        json.dump(results, file)
        file.write("\n")
    return f"{len(results)} boxes of {len(names)} images"


def _of_image(
    key: int | str, row: dict[str, Any], labels: Sequence[str]
) -> Iterator[dict[str, Any]]:
    for (x1, y1, x2, y2), name, score in answered(row, labels):
        number = labels.index(name) + 1
        bbox = [x1, y1, x2 - x1, y2 - y1]
        yield {"image_id": key, "category_id": number, "bbox": bbox, "score": score}


def answered(
    row: dict[str, Any], labels: Sequence[str]
) -> Iterator[tuple[list[float], str, float]]:
    """Box (xyxy, image frame), label and confidence of an answer's boxes under one of `labels`.

    None where the answer, a row of predictions, cannot be read.
    """
    boxes = row["boxes"] or []
    names = row.get("labels") or box_labels(parse_response(row["text"]), len(boxes), labels)
    for box, name, score in zip(boxes, names, row["confidence"] or [], strict=True):
        if name in labels:
            yield box, name, score
