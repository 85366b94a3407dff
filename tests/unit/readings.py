"""What a reader has read, in a form that tests can compare."""

from __future__ import annotations

import math
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dipr1.datasets.converting import annotation_rows
from dipr1.datasets.reading import Reading

FIXTURES = Path(__file__).parent / "fixtures"


class ReadBox(NamedTuple):
    """One box as it was read."""

    image_id: str
    box: tuple[float, ...]
    label: str
    ignore: bool
    visibility: float | None


def boxes_of(reading: Reading) -> list[ReadBox]:
    """The boxes in the order in which they were added."""
    columns = reading.boxes()
    return [
        ReadBox(
            reading.images[image].image_id,
            tuple(box),
            reading.labels[label],
            ignore,
            None if math.isnan(visibility) else round(visibility, 4),
        )
        for image, box, label, ignore, visibility in zip(
            columns.image.tolist(),
            columns.xyxy.tolist(),
            columns.label.tolist(),
            columns.ignore.tolist(),
            columns.visibility.tolist(),
            strict=True,
        )
    ]


def image_ids(reading: Reading) -> list[str]:
    """Ids of the images that have no fault."""
    return [image.image_id for image in reading.images if image.fault is None]


def rejects(reading: Reading, size: tuple[int, int] = (1000, 1000)) -> list[tuple[str, ...]]:
    """(file name, record, reason, raw) of all that `convert` would reject, were every image of
    this size; checks that nothing is lost on the way."""
    sizes = np.tile(size, (len(reading.images), 1))
    faults = [image.fault for image in reading.images]
    _, table, counts = annotation_rows(reading, sizes, faults)
    assert table.num_rows == counts["images"].rejected + counts["boxes"].rejected
    return [(Path(row["source"]).name, *list(row.values())[1:]) for row in table.to_pylist()]
