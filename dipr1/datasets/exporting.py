"""Write an annotations artifact as COCO detection JSON (verb ``export``).

``dipr1 convert --format coco`` reads the file back as the same artifact, bit for bit: corners are
float32, and a width in float64 plus the corner it starts from rounds to the corner it ends at. What
is ignored is written as both `iscrowd` (which pycocotools matches by IoA, as we do) and `ignore`; a
known visible share is under `visibility`. COCO knows no area that is ignored whatever is asked for:
it is written once per category, and `all_labels` says for which copies that it is one and the same.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.artifacts.columns import ragged
from dipr1.datasets.formats.coco import ALL_LABELS
from dipr1.errors import UserError


def coco_document(
    annotations: pa.Table,
    images: str | None = None,
    *,
    number_ids: bool = False,
    labels: Sequence[str] | None = None,
) -> dict[str, Any]:
    """A COCO detection document of an annotations artifact.

    Ids of images are numbers where every `image_id` is one (in the way Python writes it), else
    text. Categories are the labels, counted from 1.

    Args:
        annotations: the artifact.
        images: folder that file names are made relative to.
        number_ids: number the images from 1 instead.
        labels: of the data set, in the order of their numbers; those that occur, by name, where
            they are not known.

    Raises:
        UserError: an image lies outside `images`, or a label that occurs is not among `labels`.

    >>> from dipr1.artifacts.annotations import ANNOTATIONS
    >>> row = {"image_id": "7", "image": "a.jpg", "width": 9, "height": 9, "boxes": [[1, 2, 3, 5]]}
    >>> row |= {"labels": ["person"], "ignore": [False], "visibility": [0.5]}
    >>> document = coco_document(pa.Table.from_pylist([row], ANNOTATIONS.schema))
    >>> document["images"][0]["id"], document["annotations"][0]["bbox"]
    (7, [1.0, 2.0, 2.0, 3.0])
    """
    names = annotations["image_id"].to_pylist()
    ids = list(range(1, len(names) + 1)) if number_ids else image_ids(names)
    label_of_box = pc.list_flatten(annotations["labels"].combine_chunks())
    occurring = sorted({*pc.unique(label_of_box).to_pylist()} - {ANY_LABEL})
    categories = _categories(occurring, labels)
    numbers = {name: [number] for name, number in categories.items()}
    numbers[ANY_LABEL] = [*categories.values()]
    return {
        "info": {"description": "annotations, made by dipr1"},
        "licenses": [],
        "images": _images(annotations, ids, images, keep_ids=number_ids),
        "annotations": _annotations(annotations, ids, label_of_box.to_pylist(), numbers),
        "categories": [{"id": number, "name": name} for name, number in categories.items()],
    }


def _categories(occurring: list[str], labels: Sequence[str] | None) -> dict[str, int]:
    """Label -> number, from 1."""
    if labels is not None and (others := set(occurring).difference(labels)):
        raise UserError(f"--labels: {min(others)!r} occurs in the annotations; add it")
    return {name: number for number, name in enumerate(dict.fromkeys(labels or occurring), 1)}


def image_ids(names: list[str]) -> list[int] | list[str]:
    """Numbers where all names are numbers that come back as the same text, else the names.

    >>> image_ids(["1", "20"]), image_ids(["1", "020"])
    ([1, 20], ['1', '020'])
    """
    if all(name.isascii() and name.isdigit() and str(int(name)) == name for name in names):
        return [int(name) for name in names]
    return names


def _images(
    annotations: pa.Table, ids: list[int] | list[str], folder: str | None, *, keep_ids: bool
) -> list[dict[str, Any]]:
    columns = annotations.select(["image_id", "image", "width", "height"]).to_pydict()
    entries = []
    for key, name, path, width, height in zip(ids, *columns.values(), strict=True):
        entry = {"id": key, "file_name": _file_name(path, folder), "width": width, "height": height}
        entries.append(entry | {"image_id": name} if keep_ids else entry)
    return entries


def _file_name(path: str, folder: str | None) -> str:
    if folder is None:
        return path
    name = os.path.relpath(path, folder)
    if name.split(os.sep, 1)[0] == os.pardir:
        raise UserError(f"--images: {path} does not lie in {folder}; name the folder of all images")
    return name


def _annotations(
    annotations: pa.Table,
    ids: list[int] | list[str],
    labels: list[str],
    numbers: dict[str, list[int]],
) -> list[dict[str, Any]]:
    """One entry per box and category of it."""
    boxes, offsets = ragged(annotations["boxes"])
    boxes = boxes.reshape(-1, 4).astype(np.float64)
    boxes[:, 2:] -= boxes[:, :2]
    areas = boxes[:, 2] * boxes[:, 3]
    ignored = ragged(annotations["ignore"])[0].astype(int).tolist()
    visibility = pc.list_flatten(annotations["visibility"].combine_chunks()).to_pylist()
    image_of_box = itertools.chain.from_iterable(
        itertools.repeat(key, count) for key, count in zip(ids, np.diff(offsets), strict=True)
    )
    columns = zip(
        image_of_box, labels, boxes.tolist(), areas.tolist(), ignored, visibility, strict=True
    )
    entries: list[dict[str, Any]] = []
    for image, label, bbox, area, ignore, visible in columns:
        optional = {} if visible is None else {"visibility": visible}
        if label == ANY_LABEL:
            optional[ALL_LABELS] = len(entries) + 1
        entries += [
            {
                "id": number,
                "image_id": image,
                "category_id": category,
                "bbox": bbox,
                "area": area,
                "iscrowd": ignore,
                "ignore": ignore,
                **optional,
            }
            for number, category in enumerate(numbers[label], start=len(entries) + 1)
        ]
    return entries
