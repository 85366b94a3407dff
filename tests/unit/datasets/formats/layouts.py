"""Random annotations, to be written as a data set's makers write them.

The test of every format has `LAYOUTS`, one entry per kind of file that the format is spread in;
`test_roundtrip.py` writes scenes with them and reads them back.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dipr1.datasets import formats

WIDTH, HEIGHT = 1600, 1200


class Thing(NamedTuple):
    """A box as [x, y, width, height], and what it is."""

    xywh: tuple[float, float, float, float]
    label: str
    ignore: bool
    visibility: float | None

    @property
    def xyxy(self) -> tuple[float, float, float, float]:
        x, y, width, height = self.xywh
        return x, y, x + width, y + height

    @property
    def seen(self) -> tuple[float, float, float, float]:
        """The visible part: as much of the top as the visibility says."""
        x, y, width, height = self.xywh
        return x, y, width, height * (1.0 if self.visibility is None else self.visibility)


QUARTERS = (0.25, 0.5, 0.75, 1.0)  # visible shares that every float holds
Scene = dict[str, list[Thing]]  # image id -> its boxes; some have none


@dataclass
class Layout:
    """How a format is written, and what it can say.

    Attributes:
        write: (folder, scene) -> annotations and images as the reader takes them.
        labels: of boxes that count.
        ignored: labels of boxes that are to be ignored.
        visibility: values that the format can hold for boxes that count.
        ignored_visibility: and for ignored ones.
        unit: coordinates are multiples of it.
        name: image id of the n-th image.
    """

    write: Callable[[Path, Scene], tuple[str, str | None]]
    labels: Sequence[str] = ("person",)
    ignored: Sequence[str] = ()
    visibility: Sequence[float | None] = (None,)
    ignored_visibility: Sequence[float | None] = (None,)
    unit: float = 1.0
    name: Callable[[int], str] = field(default=lambda number: f"{number:06d}")

    def scene(self, seed: int) -> Scene:
        """Pictures with 0 to 12 boxes each."""
        rng = random.Random(seed)
        return {
            self.name(number): [self._thing(rng) for _ in range(rng.choice((0, 1, 3, 12)))]
            for number in range(1, 9)
        }

    def _thing(self, rng: random.Random) -> Thing:
        steps = [round(side / self.unit) for side in (WIDTH, HEIGHT)]
        left, right, top, bottom = (
            value * self.unit
            for steps_of_side in steps
            for value in sorted(rng.sample(range(steps_of_side), 2))
        )
        ignore = bool(self.ignored) and rng.random() < 0.3
        return Thing(
            (left, top, right - left, bottom - top),
            rng.choice(self.ignored if ignore else self.labels),
            ignore,
            rng.choice(self.ignored_visibility if ignore else self.visibility),
        )


def lines(path: Path, rows: Sequence[str]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row}\n" for row in rows))


def joined(separator: str, *values: object) -> str:
    return separator.join(map(str, values))


def coco_document(scene: Scene, labels: Sequence[str], file_name: str, boxes: Callable) -> dict:
    return {
        "images": [{"id": name, file_name: f"{name}.jpg"} for name in scene],
        "categories": [{"id": number, "name": label} for number, label in enumerate(labels)],
        "annotations": [
            {
                "image_id": name,
                "category_id": labels.index(thing.label),
                "bbox": thing.xywh,
                "ignore": int(thing.ignore),
                **boxes(thing),
            }
            for name, things in scene.items()
            for thing in things
        ],
    }


def cells(values: Sequence[object]) -> np.ndarray:
    row = np.empty((1, len(values)), object)
    row[0, :] = values
    return row


def every_layout() -> dict[str, tuple[str, Layout]]:
    """The layouts of all formats, under the name of the format and a number."""
    layouts = {}
    for name in formats.NAMES:
        module = import_module(f"tests.unit.datasets.formats.test_{name}")
        layouts |= {f"{name} {number}": (name, each) for number, each in enumerate(module.LAYOUTS)}
    return layouts
