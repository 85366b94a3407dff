"""Images with suspect labels, as tasks of tools in which people correct labels.

The tasks are sorted by their likeliest error. Each has the image's objects under their own labels,
those in doubt with what is held against them, and boxes that may be missing under a label that ends
in "?" (`dipr1.datasets.corrections.SUGGESTED`): whoever agrees gives them the label without it,
whoever does not leaves or deletes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.datasets.corrections import SUGGESTED
from dipr1.errors import UserError
from dipr1.exports.options import Exporting


@dataclass
class Shown:
    """A box in a task.

    Attributes:
        box: xyxy, image frame.
        label: of the tool.
        doubt: what is held against it; "" where nothing is.
        worth: how likely it is an error (`error_share`, or the score where that is not known).
        suggested: where the samples agree that a loose label belongs.
    """

    box: list[float]
    label: str
    doubt: str = ""
    worth: float = 0.0
    suggested: list[float] | None = None


@dataclass
class Task:
    """An image that is to be looked at."""

    image_id: str
    image: str
    width: int
    height: int
    boxes: list[Shown] = field(default_factory=list)


def tasks(source: str, options: Exporting) -> tuple[list[Task], list[str]]:
    """Tasks of the audit artifact's images, and the labels that the tool must know.

    Raises:
        UserError: the annotations are not given, or are others.
    """
    if options.annotations is None:
        raise UserError("--annotations: needed: the artifact whose labels were audited")
    rows = {row["image_id"]: row for row in ANNOTATIONS.read(options.annotations).to_pylist()}
    labels = sorted({label for row in rows.values() for label in row["labels"]} - {""})
    found: dict[str, Task] = {}
    for suspect in suspects(source):
        name = suspect["image_id"]
        if name not in rows:
            raise UserError(f"{options.annotations}: has no image {name!r}, which was audited")
        if name not in found:
            if len(found) == options.first:
                continue
            found[name] = task(rows[name], options)
        doubt(found[name], suspect, labels)
    return list(found.values()), [*labels, *(f"{label}{SUGGESTED}" for label in labels)]


def suspects(source: str) -> list[dict[str, Any]]:
    """The rows of an audit artifact that hold something against a label, the likeliest first."""
    rows = AUDIT.read(source).sort_by("rank").to_pylist()
    return [row for row in rows if row["kind"] != "uncertain"]


def task(row: dict[str, Any], options: Exporting) -> Task:
    """The task of an image, a row of annotations, before anything is held against it."""
    image = row["image"]
    if options.images is not None:
        image = os.path.relpath(image, options.images)
    objects = zip(row["boxes"], row["labels"], row["ignore"], strict=True)
    boxes = [Shown(box, label) for box, label, ignored in objects if not ignored]
    return Task(row["image_id"], image, row["width"], row["height"], boxes)


def doubt(task: Task, suspect: dict[str, Any], labels: list[str]) -> None:
    """Tell the task of a suspect, a row of :func:`suspects`."""
    known = suspect.get("error_share")
    worth = suspect["score"] if known is None else known
    words = suspect["kind"].replace("_", " ")
    if suspect["kind"] == "missing_label":
        said = suspect.get("suggested_label") or (labels[0] if labels else "object")
        label = f"{said}{SUGGESTED}"
        task.boxes.append(Shown(suspect["suggested_box"] or suspect["box"], label, words, worth))
        return
    if suspect["kind"] == "swapped_label":
        words += f", {suspect['suggested_label']} to the model"
    for shown in task.boxes:
        if np.allclose(shown.box, suspect["box"], atol=0.01):
            shown.doubt, shown.worth = words, worth
            if suspect["kind"] == "loose_label":
                shown.suggested = suspect["suggested_box"]


def doubts(found: list[Task]) -> Iterator[Shown]:
    """The boxes in doubt."""
    return (shown for task in found for shown in task.boxes if shown.doubt)
