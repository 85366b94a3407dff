"""COCO detection JSON, from annotations: ``dipr1 convert`` reads it back bit for bit."""

from __future__ import annotations

import json
from pathlib import Path

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.datasets.exporting import coco_document
from dipr1.errors import UserError
from dipr1.exports.options import Exporting
from dipr1.progress import say

READS = "annotations"


def write(source: str, output: Path, options: Exporting) -> str:
    """Write the file.

    Raises:
        UserError: an image does not lie in the folder of images, a label is not among those that
            are numbered, or there is none.
    """
    annotations = ANNOTATIONS.read(source)
    labels = options.labels or known_labels(source)
    document = coco_document(
        annotations, options.images, number_ids=options.number_ids, labels=labels
    )
    if not document["categories"]:
        raise UserError("--labels: needed, since the annotations name none")
    if labels is None:
        say(f"{source}: does not say its labels: numbering those that occur (--labels)")
    with output.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
        file.write("\n")
    return f"{len(document['images'])} images, {len(document['annotations'])} annotations"


def known_labels(path: str) -> list[str] | None:
    """The labels of the data set, by name, as the artifact says them."""
    labels = (read_made(path).options or {}).get("labels")
    return sorted(labels) if labels else None
