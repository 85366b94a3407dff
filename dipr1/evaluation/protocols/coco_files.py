"""Ground truth and results in COCO's form, which CityPersons' program reads too."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Any

import msgspec
import numpy as np

from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import Record, excerpt, read_json_list, read_records
from dipr1.evaluation.protocols.records import (
    columns,
    ids,
    images_of,
    index_of,
    numbered,
    rows_of,
    stacked,
    values_of,
)
from dipr1.matching import Stack
from dipr1.progress import say


class _Document(msgspec.Struct):
    images: list[Record]
    annotations: list[Record]
    categories: Any = None


def _document(path: str) -> _Document:
    document = read_records(path, "ground truth", _Document)
    if isinstance(document, _Document):
        return document
    for name in ("images", "annotations"):
        if not isinstance(document, dict) or not isinstance(document.get(name), list):
            raise UserError(f"{path}: expected an object with a list `{name}`, COCO's form")
    return _Document(document["images"], document["annotations"], document.get("categories"))


class CocoTruth:
    """Ground truth in COCO's form: `images` with `id`, `annotations` with `bbox` and ids.

    Annotations of images that are not listed are left out, as by the official programs.
    """

    def __init__(self, path: str) -> None:
        document = _document(path)
        self.path = path
        annotations = document.annotations
        image, annotation = numbered(path, "image"), numbered(path, "annotation")
        names = list(index_of(ids(document.images, "id", image), image))
        # the official programs go through images by id
        names.sort(key=lambda name: (isinstance(name, str), name))
        self.index = {name: number for number, name in enumerate(names)}
        self.num_images = len(names)
        image_ids = ids(annotations, "image_id", annotation)
        image_of = rows_of(image_ids, self.index)
        listed_ones = np.flatnonzero(image_of >= 0).tolist()
        if num_others := len(annotations) - len(listed_ones):
            say(f"{path}: {num_others} annotations are of images that it does not list: left out")
        self.annotations = [annotations[row] for row in listed_ones]
        self.image = image_of[listed_ones]
        self._where = lambda row: annotation(listed_ones[row])
        self._category = _Categories(ids(self.annotations, "category_id", self._where))
        listed = document.categories
        self.categories = (
            ids(listed, "id", numbered(path, "category"))
            if isinstance(listed, list)
            else self._category.names
        )

    def columns(
        self, sizes: dict[str, int], default: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Numeric fields of the annotations; where one is left out, `default` (one for each)."""
        return columns(self.annotations, sizes, self._where, default)

    def flags(self, name: str) -> np.ndarray:
        """(N,) bool: a field of each annotation; false where it is left out."""
        return np.array(list(map(bool, values_of(self.annotations, name))), bool)

    def rows_of(self, category: Hashable) -> np.ndarray:
        """The annotations of a category, image after image."""
        rows = self._category.rows_of(category)
        return rows[np.argsort(self.image[rows], kind="stable")]


class CocoResults:
    """A file of results: a list of `image_id, category_id, bbox [x, y, w, h], score`.

    Args:
        path: the file.
        truth: what is to be found.
        categories: the ones that are evaluated.
    """

    def __init__(self, path: str, truth: CocoTruth, categories: Sequence[Hashable]) -> None:
        records = read_json_list(path)
        where = numbered(path, "record")
        numbers = columns(records, {"bbox": 4, "score": 1}, where)
        self._boxes, self._score = numbers["bbox"], numbers["score"][:, 0]
        image_ids = ids(records, "image_id", where)
        self._image = images_of(image_ids, truth.index, where, truth.path)
        self._category = _Categories(ids(records, "category_id", where))
        _tell_others(path, self._category, categories, truth.path)

    def of(self, category: Hashable) -> tuple[Stack, np.ndarray]:
        """The detections of a category, image after image, and their heights."""
        rows = self._category.rows_of(category)
        rows = rows[np.argsort(self._image[rows], kind="stable")]
        boxes = self._boxes[rows]
        return stacked(boxes, self._image[rows], self._score[rows]), boxes[:, 3]


class _Categories:
    """The category of each record."""

    def __init__(self, categories: Sequence[Hashable]) -> None:
        self.names = list(dict.fromkeys(categories))
        self._codes = {name: code for code, name in enumerate(self.names)}
        self._code = rows_of(categories, self._codes)

    def rows_of(self, category: Hashable) -> np.ndarray:
        return np.flatnonzero(self._code == self._codes.get(category, -1))


def _tell_others(path: str, given: _Categories, wanted: Sequence[Hashable], truth: str) -> None:
    """Say how many results are of categories that are not evaluated.

    Raises:
        UserError: all of them are.
    """
    others = [name for name in given.names if name not in wanted]
    if not others:
        return
    there = f"{_some(others)}, where {truth} has {_some(wanted)}"
    if len(others) == len(given.names):
        raise UserError(f"{path}: `category_id` is {there}; give the ids of its categories")
    number = sum(len(given.rows_of(name)) for name in others)
    say(f"{path}: {number} records do not count: `category_id` is {there}")


def _some(names: Sequence[Hashable]) -> str:
    shown = ", ".join(map(excerpt, names[:5]))
    return shown if len(names) <= 5 else f"{shown}, ..."
