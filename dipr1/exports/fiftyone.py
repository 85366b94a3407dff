"""FiftyOne: a dataset with labels, answers and suspects, from annotations.

Open it with ``fo.Dataset.from_dir("FOLDER", dataset_type=fo.types.FiftyOneDataset)``. Its fields
are `ground_truth`, with ``--predictions`` `predictions`, and with ``--audit`` `suspects`, whose
`kind` and `worth` say what is held against a label and how likely it is an error (`worth` of the
sample: its highest). Areas that are ignored are in `ground_truth` with `iscrowd`, as
``evaluate_detections(..., method="coco", iscrowd="iscrowd")`` takes them.

To correct labels, change, add and delete boxes of `ground_truth`, or tag those that are none
`remove`; tag suspects under a label with "?" that are objects `add`, or give them the label without
it. What ``export("BACK", dataset_type=fo.types.FiftyOneDataset, export_media=False)`` writes then
comes back by ``dipr1 convert --corrections BACK``. With ``--images`` the paths are relative: load
it as ``fo.types.LegacyFiftyOneDataset`` with that folder as `rel_dir`.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.samples import SAMPLES
from dipr1.datasets.corrections import LABELLED, SUGGESTED, SUSPECTS
from dipr1.errors import UserError
from dipr1.exports.coco import known_labels
from dipr1.exports.coco_results import answered
from dipr1.exports.options import Exporting
from dipr1.exports.suspects import Shown, Task, doubt, doubts, suspects, task

READS = "annotations"
FOLDER = True


def write(source: str, output: Path, options: Exporting) -> str:
    """Fill the folder with `samples.json` and `metadata.json`.

    Raises:
        UserError: the labels are not known, answers or suspects are of other images, or an image
            has several answers.
    """
    rows = ANNOTATIONS.read(source).to_pylist()
    labels = options.labels or known_labels(source)
    if not labels:
        raise UserError("--labels: needed, since the annotations name none")
    images = {row["image_id"]: task(row, options) for row in rows}
    for suspect in suspects(options.audit) if options.audit else ():
        doubt(_known(images, suspect, options.audit), suspect, labels)
    answers: dict[str, dict[str, Any]] = {}
    for answer in SAMPLES.read(options.predictions).to_pylist() if options.predictions else ():
        name = _known(images, answer, options.predictions).image_id
        if name in answers:
            raise UserError(f"{options.predictions}: image {name!r} has several answers")
        answers[name] = answer
    samples = [
        _sample(row, images[row["image_id"]], answers.get(row["image_id"]), labels, options)
        for row in rows
    ]
    about = {"name": output.name, "media_type": "image", "info": {"classes": labels}}
    output.mkdir()
    for name, content in (("samples.json", {"samples": samples}), ("metadata.json", about)):
        text = json.dumps(content, ensure_ascii=False)
        (output / name).write_text(f"{text}\n", encoding="utf-8")
    in_doubt = sum(1 for _ in doubts([*images.values()]))
    return f"{len(rows)} images, {in_doubt} boxes in doubt"


def _known(images: dict[str, Task], row: dict[str, Any], path: str | None) -> Task:
    if row["image_id"] not in images:
        raise UserError(f"{path}: image {row['image_id']!r} is not among the annotations")
    return images[row["image_id"]]


def _sample(
    row: dict[str, Any],
    image: Task,
    answer: dict[str, Any] | None,
    labels: Sequence[str],
    options: Exporting,
) -> dict[str, Any]:
    fields = {LABELLED: [*_labelled(row, labels)]}
    if answer is not None:
        fields["predictions"] = [
            _detection(row, box, label, confidence=score)
            for box, label, score in answered(answer, labels)
        ]
    if options.audit:
        fields[SUSPECTS] = [_suspect(row, shown) for shown in doubts([image])]
    path = image.image if options.images else os.path.abspath(image.image)
    size = {"width": row["width"], "height": row["height"]}
    return {
        "filepath": path,
        "tags": [],
        "metadata": {"_cls": "ImageMetadata"} | size,
        "image_id": row["image_id"],
        "worth": max((shown.worth for shown in image.boxes), default=0.0),
        **{name: {"_cls": "Detections", "detections": found} for name, found in fields.items()},
    }


def _labelled(row: dict[str, Any], labels: Sequence[str]) -> Iterator[dict[str, Any]]:
    """The objects and, once for each label where they have none, the areas that are ignored."""
    columns = (row[name] for name in ("boxes", "labels", "ignore", "visibility"))
    for box, label, ignored, visible in zip(*columns, strict=True):
        known = {} if visible is None else {"visibility": visible}
        for name in labels if label == ANY_LABEL else [label]:
            yield _detection(row, box, name, iscrowd=int(ignored), **known)


def _suspect(row: dict[str, Any], shown: Shown) -> dict[str, Any]:
    """What is suggested, or the label in doubt where nothing is."""
    box, label = shown.box, shown.label
    if shown.suggested is not None:
        box, label = shown.suggested, f"{label}{SUGGESTED}"
    return _detection(row, box, label, kind=shown.doubt, worth=shown.worth)


def _detection(row: dict[str, Any], box: list[float], label: str, **more: Any) -> dict[str, Any]:
    x1, y1, x2, y2 = box
    width, height = row["width"], row["height"]
    shares = [x1 / width, y1 / height, (x2 - x1) / width, (y2 - y1) / height]
    return {"_cls": "Detection", "label": label, "tags": [], "bounding_box": shares} | more
