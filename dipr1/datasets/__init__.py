"""Annotation formats: one module each, which turns files into a :class:`~.reading.Reading`.

To add a format, write `dipr1/datasets/<format>.py` with a `read` function and name it below.
"""

from __future__ import annotations

from collections.abc import Callable

from dipr1.datasets import coco
from dipr1.datasets.reading import Reading

Reader = Callable[[str, str], Reading]
"""(annotation file, folder of images) -> what was read. Raises UserError where the file as a whole
is not of the format; a fault of one record becomes a reject and the rest is read."""

READERS: dict[str, Reader] = {
    "coco": coco.read,
}
