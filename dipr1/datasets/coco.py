"""COCO detection JSON: `images`, `annotations` with `bbox` [x, y, width, height], `categories`.

Read as found in the wild: ids may be numbers or strings, 0 included; `area` is not needed;
`iscrowd` may be missing or a bool, and `ignore` counts as it does; `visibility` (0..1) is an extra
key of this project. Images without annotations are images without objects and are kept.
"""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any

from dipr1.datasets.reading import BoxRecord, ImageRecord, Reading, Reject
from dipr1.errors import UserError

_NUMBERS = {int, float}
# Beyond 2^24 float32 no longer holds every integer, and no image is that wide.
_LARGEST_COORDINATE = 2**24


def read(annotations: str, images: str) -> Reading:
    """Read a COCO file.

    Args:
        annotations: path of the JSON file.
        images: folder that the `file_name`s are relative to.

    Raises:
        UserError: the file as a whole is not a COCO detection file.
    """
    document = _load(annotations)
    categories = _categories(document["categories"], annotations)
    reading = Reading(labels=list(dict.fromkeys(categories.values())))
    image_index = _read_images(document["images"], annotations, images, reading)
    for position, annotation in enumerate(document["annotations"]):
        record = f"annotations[{position}]"
        try:
            box = _box_record(annotation, image_index, categories, annotations, record)
        except _BadRecord as fault:
            reading.rejected_boxes.append(Reject(annotations, record, str(fault), raw(annotation)))
        else:
            reading.boxes.append(box)
            reading.raw_boxes.append(annotation)
    return reading


def raw(record: object) -> str:
    """A record as it was in the file."""
    return json.dumps(record, ensure_ascii=False)


class _BadRecord(ValueError):
    """The record's fault, in the same words for the same fault: rejects are counted by them."""


def _load(path: str) -> dict[str, Any]:
    try:
        with open(path, encoding="utf-8-sig") as file:
            document = json.load(file)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the COCO annotation file") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); is it complete?") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: expected a COCO object with images, annotations and categories"
            f" but got {type(document).__name__}"
        )
    for key in ("images", "annotations", "categories"):
        if not isinstance(document.get(key), list):
            found = type(document[key]).__name__ if key in document else "nothing"
            raise UserError(f"{path}: expected a list under {key!r} but got {found}")
    return document


def _categories(entries: list[Any], path: str) -> dict[str, str]:
    """Category id -> name. Without them no label is certain, so a fault here stops the reading."""
    names: dict[str, str] = {}
    for position, entry in enumerate(entries):
        name = entry.get("name") if isinstance(entry, dict) else None
        key = _identifier(entry.get("id")) if isinstance(entry, dict) else None
        if key is None or not isinstance(name, str) or not name:
            raise UserError(
                f"{path}: categories[{position}]: expected an id and a name but got {raw(entry)}"
            )
        if names.setdefault(key, name) != name:
            raise UserError(
                f"{path}: categories[{position}]: id {key} means both {names[key]!r} and {name!r}"
            )
    if not names:
        raise UserError(f"{path}: categories is empty; without it the boxes have no labels")
    return names


def _identifier(value: object) -> str | None:
    """An id as text, so that 1, 1.0 and "1" are the same; None where it is no id.

    >>> [_identifier(value) for value in (0, "a,b", 2.0, True, None, float("nan"))]
    ['0', 'a,b', '2', None, None, None]
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return str(int(value)) if isinstance(value, int) or value.is_integer() else None


def _read_images(
    entries: list[Any], path: str, folder: str, reading: Reading
) -> dict[str, int | None]:
    """Fill in `reading.images`; returns id -> index there, None where the image was rejected."""
    ambiguous = _ambiguous_ids(entries)
    index: dict[str, int | None] = {}
    for position, entry in enumerate(entries):
        record = f"images[{position}]"
        key = _identifier(entry.get("id")) if isinstance(entry, dict) else None
        try:
            image = _image_record(entry, path, folder, record)
            if key in ambiguous:
                raise _BadRecord("its id is given to different images")
            if key in index:
                raise _BadRecord("its id is listed twice")
        except _BadRecord as fault:
            reading.rejected_images.append(Reject(path, record, str(fault), raw(entry)))
            if key is not None:
                index.setdefault(key, None)
        else:
            index[image.image_id] = len(reading.images)
            reading.images.append(image)
    return index


def _ambiguous_ids(entries: list[Any]) -> set[str]:
    """Ids shared by images that differ: nobody can tell whose the annotations are."""
    keyed = [
        (_identifier(entry.get("id")), str(entry.get("file_name")))
        for entry in entries
        if isinstance(entry, dict)
    ]
    names_per_id = Counter(key for key, _ in set(keyed) if key is not None)
    return {key for key, count in names_per_id.items() if count > 1}


def _image_record(entry: Any, path: str, folder: str, record: str) -> ImageRecord:
    if not isinstance(entry, dict):
        raise _BadRecord("not an object")
    key, name = _identifier(entry.get("id")), entry.get("file_name")
    if key is None:
        raise _BadRecord("id is missing or neither a whole number nor a text")
    if not isinstance(name, str) or not name:
        raise _BadRecord("file_name is missing or no text")
    size = entry.get("width"), entry.get("height")
    declared = None if size == (None, None) else size
    return ImageRecord(key, os.path.join(folder, name), declared, path, record, raw(entry))


def _box_record(
    annotation: Any,
    image_index: dict[str, int | None],
    categories: dict[str, str],
    path: str,
    record: str,
) -> BoxRecord:
    if not isinstance(annotation, dict):
        raise _BadRecord("not an object")
    image = _identifier(annotation.get("image_id"))
    if image is None or image not in image_index:
        raise _BadRecord("unknown image_id")
    if image_index[image] is None:
        raise _BadRecord("its image is rejected")
    category = _identifier(annotation.get("category_id"))
    if category is None or category not in categories:
        raise _BadRecord("unknown category_id")
    return BoxRecord(
        image=image_index[image],
        box=_xyxy(annotation.get("bbox")),
        label=categories[category],
        ignore=_flag(annotation, "iscrowd") or _flag(annotation, "ignore"),
        visibility=_visibility(annotation.get("visibility")),
        source=path,
        record=record,
    )


def _xyxy(bbox: Any) -> tuple[float, float, float, float]:
    """[x, y, width, height] -> (x1, y1, x2, y2)."""
    # By exact type: a bool is no coordinate.
    if not isinstance(bbox, list) or len(bbox) != 4 or not _NUMBERS.issuperset(map(type, bbox)):
        raise _BadRecord("bbox is not four numbers [x, y, width, height]")
    x, y, width, height = bbox
    if not all(abs(value) < _LARGEST_COORDINATE for value in bbox):  # false for NaN
        raise _BadRecord("bbox is not finite or absurdly large")
    if not (width > 0 and height > 0):
        raise _BadRecord("bbox has no area")
    return float(x), float(y), float(x + width), float(y + height)


def _flag(annotation: dict[str, Any], key: str) -> bool:
    value = annotation.get(key)
    if value is None:
        return False
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise _BadRecord(f"{key} is neither 0 nor 1")
    return bool(value)


def _visibility(value: Any) -> float | None:
    if value is None:
        return None
    if type(value) not in _NUMBERS or not 0 <= value <= 1:
        raise _BadRecord("visibility is not a number in 0..1")
    return float(value)
