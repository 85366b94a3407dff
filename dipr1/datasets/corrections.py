"""Labels that people corrected, from the tools they did it with.

Three kinds of files are known by what is in them: the JSON that Label Studio exports (a list of
tasks with `annotations`), the XML of CVAT ("CVAT for images") and FiftyOne's `samples.json`. What
`dipr1 export` wrote for one of them comes back corrected by ``dipr1 convert --corrections``.

An image that is in the file is corrected: its objects are those of the file, its ignore areas stay
as they were. A task of Label Studio that nobody submitted, or that was cancelled, is not: its image
stays as it was. Boxes under `SUGGESTED` labels are suggestions that nobody took, and are left out.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import replaced
from dipr1.datasets.reading import BadRecord, read_json
from dipr1.datasets.xml_files import parse_xml
from dipr1.errors import UserError

SUGGESTED = "?"
"""How the label of a suggested box ends: nobody has said that it is one."""
LABELLED, SUSPECTS = "ground_truth", "suspects"
"""FiftyOne: the fields of the labels, and of what may be wrong with them."""
ADD, REMOVE = "add", "remove"
"""FiftyOne: tags of a suggested box that is one, and of a label that is none."""


@dataclass
class Corrected:
    """The objects of one image, as a person left them.

    Attributes:
        image_id: of the annotations; None where the tool does not keep it.
        image: path or file name.
        boxes: xyxy, image frame.
        labels: of each.
        left_out: suggestions that nobody took.
    """

    image_id: str | None
    image: str
    boxes: list[list[float]] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    left_out: int = 0

    def add(self, box: list[float], label: str) -> None:
        """Add a box, or count it where it is a suggestion."""
        if label.endswith(SUGGESTED):
            self.left_out += 1
        else:
            self.boxes.append(box)
            self.labels.append(label)


def read_corrections(path: str) -> list[Corrected]:
    """The corrected images of a file.

    Raises:
        UserError: it is of none of the tools, or a box in it cannot be read.
    """
    path = os.path.join(path, "samples.json") if os.path.isdir(path) else path
    if path.lower().endswith(".xml"):
        return list(_of_cvat(path))
    document = read_json(path, "corrections")
    if isinstance(document, dict) and isinstance(document.get("samples"), list):
        return list(_of_fiftyone(path, document["samples"]))
    if not isinstance(document, list):
        raise UserError(
            f"{path}: expected a list of tasks, as Label Studio exports JSON, or FiftyOne's samples"
        )
    return list(_of_label_studio(path, document))


def _of_cvat(path: str) -> Iterator[Corrected]:
    try:
        root = parse_xml(path, "annotations")
    except BadRecord as fault:
        raise UserError(f"{path}: {fault}; export it from CVAT as `CVAT for images`") from None
    for number, image in enumerate(root.findall("image"), 1):
        one = Corrected(None, image.get("name", ""))
        for box in image.findall("box"):
            sides = [box.get(side) for side in ("xtl", "ytl", "xbr", "ybr")]
            one.add(_numbers(sides, f"{path}: image {number}"), box.get("label", ""))
        yield one


def _of_label_studio(path: str, tasks: list[Any]) -> Iterator[Corrected]:
    for number, task in enumerate(tasks, 1):
        where = f"{path}: task {number}"
        try:
            data = task["data"]
            done = [one for one in task["annotations"] if not one.get("was_cancelled")]
            if not done:
                continue
            one = Corrected(data.get("image_id"), str(data["image"]))
            for result in done[-1]["result"]:
                if result.get("type") == "rectanglelabels":
                    one.add(_shares(result, where), result["value"]["rectanglelabels"][0])
        except (KeyError, TypeError, IndexError, AttributeError) as error:
            raise UserError(f"{where}: is none of Label Studio ({error!r})") from None
        yield one


def _of_fiftyone(path: str, samples: list[Any]) -> Iterator[Corrected]:
    for number, sample in enumerate(samples, 1):
        where = f"{path}: sample {number}"
        try:
            one = Corrected(sample.get("image_id"), str(sample["filepath"]))
            size = sample["metadata"]["width"], sample["metadata"]["height"]
            for found in _left(sample):
                tagged = ADD in found.get("tags", ())
                label = found["label"].removesuffix(SUGGESTED) if tagged else found["label"]
                one.add(_corners(_numbers(found["bounding_box"], where), *size), label)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise UserError(f"{where}: is none of FiftyOne with metadata ({error!r})") from None
        yield one


def _left(sample: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """The labels that a person left, and the boxes that were suggested."""
    for name in (LABELLED, SUSPECTS):
        for found in (sample.get(name) or {}).get("detections", ()):
            # an ignore area stays as it was, and an unsupported label is among the labels already
            known = found.get("iscrowd") or found.get("kind") == "unsupported label"
            if not known and REMOVE not in found.get("tags", ()):
                yield found


def _corners(shares: list[float], width: float, height: float) -> list[float]:
    x, y, across, down = shares
    return [x * width, y * height, (x + across) * width, (y + down) * height]


def _shares(result: Mapping[str, Any], where: str) -> list[float]:
    """A box from hundredths of its image."""
    value = result["value"]
    if value.get("rotation"):
        raise UserError(f"{where}: a box is turned; draw it upright")
    x, y, width, height = _numbers([value[name] for name in ("x", "y", "width", "height")], where)
    sides = result["original_width"], result["original_height"]
    corners = np.array([x, y, x + width, y + height]) / 100 * np.tile(sides, 2)
    return corners.tolist()


def _numbers(texts: list[Any], where: str) -> list[float]:
    try:
        return [float(text) for text in texts]
    except (TypeError, ValueError):
        raise UserError(f"{where}: expected four numbers of a box, got {texts}") from None


def corrected(annotations: pa.Table, corrections: list[Corrected], path: str) -> pa.Table:
    """The annotations artifact with the objects of the corrected images replaced.

    Args:
        annotations: before.
        corrections: of :func:`read_corrections`.
        path: of their file, for messages.

    Raises:
        UserError: an image or a label is not among the annotations', or a box has no area inside
            its image.
    """
    rows = annotations.to_pylist()
    places = _places(rows)
    known = {label for row in rows for label in row["labels"]}
    for one in corrections:
        place = places.get(one.image_id, places.get(os.path.basename(one.image)))
        if place is None:
            raise UserError(f"{path}: {one.image}: is not among the annotations")
        if unknown := set(one.labels) - known:
            raise UserError(
                f"{path}: {one.image}: label {min(unknown)!r} is not among the annotations', which"
                f" are {', '.join(sorted(known))}"
            )
        rows[place] |= _replaced(rows[place], one, path)
    changed = ("boxes", "labels", "ignore", "visibility")
    columns = {
        name: pa.array([row[name] for row in rows], ANNOTATIONS.schema.field(name).type)
        for name in changed
    }
    return replaced(annotations, columns)


def _places(rows: list[dict[str, Any]]) -> dict[str | None, int]:
    """The row of each image, by its id and by its file's name, where only one has it."""
    names = [os.path.basename(row["image"]) for row in rows]
    count = Counter(names)
    by_name = {name: place for place, name in enumerate(names) if count[name] == 1}
    return by_name | {row["image_id"]: place for place, row in enumerate(rows)}


def _replaced(row: dict[str, Any], one: Corrected, path: str) -> dict[str, Any]:
    """The columns of an image: its ignore areas, then the corrected objects.

    An object that is as it was keeps the share of it that is visible.
    """
    boxes = np.reshape(np.array(one.boxes, np.float64), (-1, 4))
    inside = np.clip(boxes, 0, np.tile([row["width"], row["height"]], 2)).astype(np.float32)
    if not (inside[:, 2:] > inside[:, :2]).all():
        raise UserError(f"{path}: {one.image}: a box has no area inside its image")
    before = np.reshape(np.array(row["boxes"], np.float32), (-1, 4))
    areas = [place for place, ignored in enumerate(row["ignore"]) if ignored]
    visible = [_visibility(row["visibility"], before, box) for box in inside]
    return {
        "boxes": [row["boxes"][k] for k in areas] + inside.tolist(),
        "labels": [row["labels"][k] for k in areas] + one.labels,
        "ignore": [True] * len(areas) + [False] * len(inside),
        "visibility": [row["visibility"][k] for k in areas] + visible,
    }


def _visibility(shares: list[float | None], before: np.ndarray, box: np.ndarray) -> float | None:
    """The visible share of the object that a box is still the box of."""
    same = np.flatnonzero(np.isclose(before, box, atol=0.01).all(axis=1))
    return shares[same[0]] if len(same) else None
