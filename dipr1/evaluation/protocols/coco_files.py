"""Ground truth and results in COCO's form, which CityPersons' program reads too."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from dipr1.datasets.reading import read_json
from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import read_json_list
from dipr1.evaluation.protocols.records import columns, ids, images_of, index_of, numbered, stacked
from dipr1.matching import Stack


class CocoTruth:
    """Ground truth in COCO's form: `images` with `id`, `annotations` with `bbox` and ids."""

    def __init__(self, path: str) -> None:
        document = read_json(path, "ground truth")
        for name in ("images", "annotations"):
            if not isinstance(document, dict) or not isinstance(document.get(name), list):
                raise UserError(f"{path}: expected an object with a list `{name}`, COCO's form")
        self.path = path
        self.annotations: list[dict] = document["annotations"]
        self._where = numbered(path, "annotation")
        image = numbered(path, "image")
        names = list(index_of(ids(document["images"], "id", image), image))
        # the official programs go through images by id
        names.sort(key=lambda name: (isinstance(name, str), name))
        self.index = {name: number for number, name in enumerate(names)}
        self.num_images = len(names)
        image_ids = ids(self.annotations, "image_id", self._where)
        self.image = images_of(image_ids, self.index, self._where, "its list of images")
        self._category = _Categories(ids(self.annotations, "category_id", self._where))
        listed = document.get("categories")
        self.categories = (
            ids(listed, "id", numbered(path, "category"))
            if isinstance(listed, list)
            else self._category.names
        )

    def columns(
        self, sizes: dict[str, int], default: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Numeric fields of the annotations; where one is left out, `default` (one for each)."""
        rows: Sequence[dict] = self.annotations
        if default is not None:
            rows = [
                {name: row.get(name, value) for name in sizes}
                for row, value in zip(rows, default.tolist(), strict=True)
            ]
        return columns(rows, sizes, self._where)

    def rows_of(self, category: Hashable) -> np.ndarray:
        """The annotations of a category, image after image."""
        rows = self._category.rows_of(category)
        return rows[np.argsort(self.image[rows], kind="stable")]


class CocoResults:
    """A file of results: a list of `image_id, category_id, bbox [x, y, w, h], score`."""

    def __init__(self, path: str, truth: CocoTruth) -> None:
        records = read_json_list(path)
        where = numbered(path, "record")
        numbers = columns(records, {"bbox": 4, "score": 1}, where)
        self._boxes, self._score = numbers["bbox"], numbers["score"][:, 0]
        image_ids = ids(records, "image_id", where)
        self._image = images_of(image_ids, truth.index, where, truth.path)
        self._category = _Categories(ids(records, "category_id", where))

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
        self._code = np.array([self._codes[name] for name in categories], np.int64)

    def rows_of(self, category: Hashable) -> np.ndarray:
        return np.flatnonzero(self._code == self._codes.get(category, -1))
