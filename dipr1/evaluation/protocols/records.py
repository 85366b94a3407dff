"""The numbers, ids and images of records that were read from a benchmark's files.

The numbers of all records are converted at once, and records are looked at one by one only to find
the one at fault, which a `UserError` names.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import Where, excerpt
from dipr1.matching import Stack

# Larger numbers are taken as not finite, so that no product of two sides can overflow.
_LARGEST = 1e100
_FAULTS = (KeyError, TypeError, ValueError, OverflowError)


def numbered(path: str, what: str) -> Where:
    """Where the records of a list stand.

    >>> numbered("a.json", "record")(0)
    'a.json: record 1'
    """
    return lambda row: f"{path}: {what} {row + 1}"


def boxes_of(where: Where, record: np.ndarray) -> Where:
    """Where each of N boxes stands, of which box i is in record ``record[i]`` (not decreasing)."""

    def box(row: int) -> str:
        first = int(np.searchsorted(record, record[row]))
        return f"{where(record[row])}, box {row - first + 1}"

    return box


def columns(
    records: Sequence[dict], sizes: Mapping[str, int], where: Where
) -> dict[str, np.ndarray]:
    """Numeric fields of N records.

    Args:
        records: what should be objects.
        sizes: how many numbers each field has.
        where: each record stands.

    Returns:
        (N, size) float64 by field.

    Raises:
        UserError: a record lacks a field, or it is not finite numbers.

    >>> columns([{"bbox": [1, 2, 3, 4]}], {"bbox": 4}, numbered("a.json", "record"))
    {'bbox': array([[1., 2., 3., 4.]])}
    """
    values = {}
    for name, size in sizes.items():
        try:
            column = np.array([record[name] for record in records], np.float64)
            column = column.reshape(len(records), size)
        except _FAULTS:
            column = np.full((1, 1), np.nan)
        if not (np.abs(column) <= _LARGEST).all():
            raise _fault(records, name, size, where)
        values[name] = column
    return values


def _fault(records: Sequence[dict], name: str, size: int, where: Where) -> UserError:
    """The error that names the first record whose field is not `size` finite numbers."""
    wanted = "a finite number" if size == 1 else f"{size} finite numbers"

    def is_good(record: dict) -> bool:
        try:
            value = np.array(record[name], np.float64)
            shape = () if size == 1 else (size,)
            return value.shape == shape and bool((np.abs(value) <= _LARGEST).all())
        except _FAULTS:
            return False

    row = next(row for row, record in enumerate(records) if not is_good(record))
    return UserError(f"{where(row)}: `{name}`: expected {wanted}, {_got(records[row], name)}")


def _got(record: object, name: str) -> str:
    if not isinstance(record, dict):
        return f"but the record is {excerpt(record)}"
    return f"but got {excerpt(record[name])}" if name in record else "but there is none"


def ids(records: Sequence[dict], name: str, where: Where) -> list[Hashable]:
    """The field `name` of each record: whole numbers, however they are written, or texts.

    Raises:
        UserError: a record lacks it, or it is neither.
    """
    values = [record.get(name) if isinstance(record, dict) else None for record in records]
    for row, value in enumerate(values):
        if type(value) is float and value.is_integer():
            values[row] = int(value)
        elif type(value) not in (int, str):
            raise UserError(
                f"{where(row)}: `{name}`: expected a whole number or a text,"
                f" {_got(records[row], name)}"
            )
    return values


def index_of(values: Sequence[Hashable], where: Where) -> dict[Hashable, int]:
    """The row of each id.

    Raises:
        UserError: an id is there twice.
    """
    index: dict[Hashable, int] = {}
    for row, value in enumerate(values):
        first = index.setdefault(value, row)
        if first != row:
            _, _, place = where(first).rpartition(": ")
            raise UserError(
                f"{where(row)}: image {value!r} is there already ({place});"
                " give one record per image"
            )
    return index


def images_of(
    values: Sequence[Hashable], index: Mapping[Hashable, int], where: Where, truth: str
) -> np.ndarray:
    """(N,) the row of each record's image.

    Raises:
        UserError: an image is not in the index, which is that of `truth`.
    """
    rows = np.array([index.get(value, -1) for value in values], np.int64)
    if len(rows) and rows.min() < 0:
        row = int(np.argmin(rows))
        raise UserError(
            f"{where(row)}: image {values[row]!r} is not in {truth}"
            f" ({int((rows < 0).sum())} such records); give files of the same images"
        )
    return rows


def xyxy(xywh: np.ndarray) -> np.ndarray:
    """(N, 4) x, y, width, height to x1, y1, x2, y2."""
    return np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])


def stacked(xywh: np.ndarray, image: np.ndarray, score: np.ndarray | None = None) -> Stack:
    """The boxes, image after image, those of an image in their order.

    Args:
        xywh: (N, 4) x, y, width, height. The area is the product of the sides as they are written,
            which x2 - x1 may miss by rounding.
        image: (N,) int.
        score: (N,) float64; left out, zeros.
    """
    order = np.argsort(image, kind="stable")
    xywh, image = xywh[order], image[order]
    score = np.zeros(len(image)) if score is None else score[order]
    upright = (xywh[:, 2:] > 0.0).all(axis=1)
    return Stack(xyxy(xywh), image, np.where(upright, xywh[:, 2] * xywh[:, 3], 0.0), score)
