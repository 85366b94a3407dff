"""COCO: detection JSON with `images`, `annotations` and `categories`.

An annotation's `bbox` is [x, y, width, height]. Files are read as they occur: ids may be numbers or
texts, 0 included; `area` is not needed; `iscrowd` may be missing or a bool, and `ignore` counts as
it does. Two extra keys are this project's: `visibility` (0..1; `vis_ratio` of others), and
`all_labels`, a number that the copies, one per category, of an area share that is ignored whatever
is asked for: one of them is read. Images without annotations are images without objects and are
kept. Different images of one id are all rejected, for nobody can tell whose the annotations are.
The folder of images is the one that `file_name` is relative to.

Source: https://cocodataset.org/#format-data.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any, NamedTuple

from dipr1.datasets.reading import (
    ANY_LABEL,
    BadRecord,
    Reading,
    four_numbers,
    image_path,
    raw,
    read_json,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

ALL_LABELS = "all_labels"
LISTS = ("images", "annotations", "categories")
_VISIBILITY = ("visibility", "vis_ratio")


def stated_visibility(annotation: dict[str, Any]) -> float | None:
    """The visible share under `visibility` or `vis_ratio`; None where nothing stands there."""
    key = next((key for key in _VISIBILITY if annotation.get(key) is not None), None)
    if key is None:
        return None
    value = annotation[key]
    if type(value) not in (int, float) or not 0 <= value <= 1:
        raise BadRecord(f"{key} is not a number in 0..1")
    return float(value)


class Layout(NamedTuple):
    """Where a file of COCO's kind keeps what; some data sets have words of their own.

    Attributes:
        file_names: keys of an image's file name; the first that is there counts.
        bbox: key of the box. An ignored box is the one under `bbox` all the same: a region has no
            visible part of its own.
        visibility: an annotation's visible share.
        label: of every box; None where the categories tell it.
    """

    file_names: Sequence[str] = ("file_name",)
    bbox: str = "bbox"
    visibility: Callable[[dict[str, Any]], float | None] = stated_visibility
    label: str | None = None


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a COCO file.

    Args:
        annotations: path of the JSON file.
        images: folder that the `file_name`s are relative to.

    Raises:
        UserError: the file as a whole is not a COCO detection file.
    """
    return read_document(load(annotations), annotations, partial(image_path, images), Layout())


def read_document(
    document: dict[str, Any], source: str, path_of: Callable[[str], str], layout: Layout
) -> Reading:
    """Read the document of the file `source`.

    Args:
        document: from :func:`load`.
        source: path of the file.
        path_of: an image file's path, from its name in the document.
        layout: where the document keeps what.
    """
    labels = {} if layout.label else _categories(document["categories"], source)
    known = [layout.label] if layout.label else labels.values()
    reading = Reading(source, known, box_record="annotations[{number}]", raws=_raws)
    image_index = _read_images(document["images"], path_of, layout, reading)
    areas: set[object] = set()
    for position, annotation in enumerate(document["annotations"]):
        if _is_copy(annotation, areas):
            continue
        try:
            _read_box(annotation, position, image_index, labels, layout, reading)
        except BadRecord as fault:
            reading.reject_box(f"annotations[{position}]", str(fault), annotation)
    return reading


def _raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    entries = read_json(source, "COCO annotation file")["annotations"]
    return (raw(entries[number]) for number in numbers)


def load(path: str, lists: Sequence[str] = LISTS) -> dict[str, Any]:
    """The document of a COCO file: an object with these lists.

    Raises:
        UserError: it is missing, is not JSON or something else.
    """
    document = read_json(path, "COCO annotation file")
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: expected a COCO object with {', '.join(lists)}"
            f" but got {type(document).__name__}"
        )
    for key in lists:
        if not isinstance(document.get(key), list):
            kind = type(document[key]).__name__ if key in document else "nothing"
            raise UserError(f"{path}: expected a list under {key!r} but got {kind}")
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
    """An id as text, so that 1, 1.0 and "1" are the same; None where it is not an id.

    >>> [_identifier(value) for value in (0, "a,b", 2.0, True, None, float("nan"))]
    ['0', 'a,b', '2', None, None, None]
    """
    if isinstance(value, str) and value:
        return value
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return None
    return str(int(value)) if isinstance(value, int) or value.is_integer() else None


def _read_images(
    entries: list[Any], path_of: Callable[[str], str], layout: Layout, reading: Reading
) -> dict[str, int | None]:
    """Add the images; returns id -> index in the reading, None where the image has no index."""
    ambiguous = _ambiguous_ids(entries, layout)
    index: dict[str, int | None] = {}
    for position, entry in enumerate(entries):
        record = f"images[{position}]"
        key = _identifier(entry.get("id")) if isinstance(entry, dict) else None
        try:
            name, size = _image_name(key, entry, layout), (entry.get("width"), entry.get("height"))
        except BadRecord as fault:
            reading.reject_image(record, str(fault), entry)
            if key is not None:
                index.setdefault(key, None)
            continue
        added = reading.add_image(
            key,
            path_of(name),
            record=record,
            raw=raw(entry),
            size=size,
            fault="its id is given to different images" if key in ambiguous else None,
        )
        index.setdefault(key, added)
    return index


def _ambiguous_ids(entries: list[Any], layout: Layout) -> set[str]:
    """Ids shared by images that differ: nobody can tell whose the annotations are."""
    keyed = [
        (_identifier(entry.get("id")), str(_file_name(entry, layout)))
        for entry in entries
        if isinstance(entry, dict)
    ]
    names_per_id = Counter(key for key, _ in set(keyed) if key is not None)
    return {key for key, count in names_per_id.items() if count > 1}


def _file_name(entry: dict[str, Any], layout: Layout) -> Any:
    return next((entry[key] for key in layout.file_names if key in entry), None)


def _image_name(key: str | None, entry: Any, layout: Layout) -> str:
    if not isinstance(entry, dict):
        raise BadRecord("not an object")
    if key is None:
        raise BadRecord("id is missing or neither a whole number nor a text")
    name = _file_name(entry, layout)
    if not isinstance(name, str) or not name:
        raise BadRecord(f"{' or '.join(layout.file_names)} is missing or no text")
    return name


def _is_copy(annotation: Any, areas: set[object]) -> bool:
    """Whether it is of an area that is among `areas`; another that is for all labels joins them."""
    number = annotation.get(ALL_LABELS) if isinstance(annotation, dict) else None
    if type(number) is not int:
        return False
    area = number, _identifier(annotation.get("image_id"))
    is_copy = area in areas
    areas.add(area)
    return is_copy


def _read_box(
    annotation: Any,
    position: int,
    image_index: dict[str, int | None],
    labels: dict[str, str],
    layout: Layout,
    reading: Reading,
) -> None:
    if not isinstance(annotation, dict):
        raise BadRecord("not an object")
    image = _identifier(annotation.get("image_id"))
    if image is None or image not in image_index:
        raise BadRecord("unknown image_id")
    index = image_index[image]
    if index is None:
        raise BadRecord("its image is rejected")
    label = layout.label or labels.get(_identifier(annotation.get("category_id")) or "")
    if label is None:
        raise BadRecord("unknown category_id")
    if annotation.get(ALL_LABELS) is not None:
        if type(annotation[ALL_LABELS]) is not int:
            raise BadRecord(f"{ALL_LABELS} is no whole number")
        label = ANY_LABEL
    ignore = label == ANY_LABEL or _flag(annotation, "iscrowd") or _flag(annotation, "ignore")
    key = "bbox" if ignore else layout.bbox
    bbox = four_numbers(annotation.get(key), f"{key} is not four numbers [x, y, width, height]")
    reading.add_box(
        index,
        xywh_to_xyxy(bbox),
        label,
        number=position,
        ignore=ignore,
        visibility=layout.visibility(annotation),
    )


def _flag(annotation: dict[str, Any], key: str) -> bool:
    value = annotation.get(key)
    if value is None:
        return False
    if not isinstance(value, (bool, int, float)) or value not in (0, 1):
        raise BadRecord(f"{key} is neither 0 nor 1")
    return bool(value)
