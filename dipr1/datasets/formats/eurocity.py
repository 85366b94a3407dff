"""EuroCity Persons: folder `labels/<split>` of cities with one JSON file per image.

The images are `{city}/{name}.png` below `img/<split>`. A file is a `frame` with `imagewidth`,
`imageheight` and `children`; a child has `identity`, `x0`, `y0`, `x1`, `y1` (continuous pixels),
`tags` and children of its own (a rider's are the vehicle and co-riders), which are read as well.
Tags `occluded>40` and `truncated>10` say that more than so many per cent are hidden; with the
larger of the two, visibility is at most 1 - 0.40, and that is what is stored; without such a tag it
is 1.

Ignored: groups, under the label of what they are groups of (`person-group-far-away` is an ignored
`pedestrian`, `rider+vehicle-group-far-away` an ignored `rider`, `bicycle-group` an ignored
`bicycle`), and pedestrians tagged `sitting-lying` or `behind-glass`, as the official evaluation
does. What is tagged `depiction` (people on posters) is neither a person nor ignored: it has the
label `depiction`.

Source: the EuroCity Persons benchmark, https://eurocity-dataset.tudelft.nl.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from dipr1.datasets.reading import (
    BadRecord,
    Reading,
    four_numbers,
    image_path,
    raw,
    read_json,
)
from dipr1.errors import UserError

LABELS = (
    "pedestrian",
    "rider",
    "bicycle",
    "buggy",
    "motorbike",
    "scooter",
    "tricycle",
    "wheelchair",
    "co-rider",
    "depiction",
)
_GROUPS = {"person-group-far-away": "pedestrian", "rider+vehicle-group-far-away": "rider"}
_GROUPS |= {f"{label}-group": label for label in LABELS[2:8]}
_IGNORED_TAGS = {"sitting-lying", "behind-glass"}
_HIDDEN = re.compile(r"(?:occluded|truncated)>(\d{1,2})")


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of JSON files (or one of them); images are `{city}/{name}.png` likewise.

    Args:
        annotations: `ECP/day/labels/val`, or a file.
        images: `ECP/day/img/val`, or the folder that holds the image.

    Raises:
        UserError: no such file, or no .json file in the folder; a single file that is not JSON.
    """
    reading = Reading(annotations, LABELS, box_record="object {number}", raws=_raws)
    for name, path in reading.files(".json"):
        try:
            document = read_json(path, "EuroCity Persons annotation file")
        except UserError as error:
            if path == annotations:
                raise
            reading.reject_image(f"{name}.json", "its file is not JSON", str(error))
        else:
            _read_frame(reading, name, document, image_path(images, f"{name}.png"))
    return reading


def _read_frame(reading: Reading, name: str, document: Any, image_file: str) -> None:
    record = f"{name}.json"
    if not isinstance(document, dict) or not isinstance(document.get("children"), list):
        reading.reject_image(record, "no frame with children", document)
        return
    size = document.get("imagewidth"), document.get("imageheight")
    image = reading.add_image(
        name,
        image_file,
        record=record,
        raw=raw({key: value for key, value in document.items() if key != "children"}),
        size=size,
    )
    for number, child in enumerate(_objects(document), start=1):
        try:
            box, label, ignored, visibility = _object(child)
        except BadRecord as fault:
            reading.reject_box(f"object {number}", str(fault), _alone(child))
        else:
            reading.add_box(
                image,
                box,
                label,
                number=number,
                ignore=ignored,
                visibility=visibility,
            )


def _objects(parent: dict[str, Any]) -> Iterator[Any]:
    """Every child, then its own children, in the order of the file."""
    waiting = list(reversed(parent["children"]))
    while waiting:
        child = waiting.pop()
        yield child
        below = child.get("children") if isinstance(child, dict) else None
        waiting.extend(reversed(below) if isinstance(below, list) else ())


def _object(child: Any) -> tuple[list[float], str, bool, float | None]:
    """Box, label, whether it is to be ignored, and visibility."""
    if not isinstance(child, dict):
        raise BadRecord("not an object")
    identity, tags = child.get("identity"), child.get("tags", [])
    if not isinstance(identity, str) or not identity:
        raise BadRecord("identity is missing or no text")
    if not isinstance(tags, list) or not all(isinstance(tag, str) for tag in tags):
        raise BadRecord("tags is no list of texts")
    reason = "x0, y0, x1, y1 are not four numbers"
    box = four_numbers([child.get(key) for key in ("x0", "y0", "x1", "y1")], reason)
    if "depiction" in tags:
        return box, "depiction", False, None
    if identity in _GROUPS:
        return box, _GROUPS[identity], True, None
    hidden = max((int(match[1]) for match in map(_HIDDEN.fullmatch, tags) if match), default=0)
    ignored = identity == "pedestrian" and not _IGNORED_TAGS.isdisjoint(tags)
    return box, identity, ignored, 1 - hidden / 100


def _alone(child: Any) -> Any:
    """An object without its own children, which are records of their own."""
    if not isinstance(child, dict):
        return child
    return {key: value for key, value in child.items() if key != "children"}


def _raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    objects = list(_objects(read_json(source, "EuroCity Persons annotation file")))
    return [raw(_alone(objects[number - 1])) for number in numbers]
