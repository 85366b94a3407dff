"""The numbers, ids and images of records that were read from a benchmark's files.

The numbers of all records are converted at once, and records are looked at one by one only to find
the one at fault, which a `UserError` names.
"""

from __future__ import annotations

import itertools
from collections.abc import Hashable, Mapping, Sequence
from operator import attrgetter
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET

from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import Record, Where, excerpt
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


def values_of(records: Sequence, name: str) -> list[Any]:
    """A field of each record; `UNSET`, which is false, where it is left out.

    Args:
        records: each a `Record`, or each anything else.
        name: the field.

    >>> values_of([Record(id=1), Record()], "id"), values_of([{"id": 1}, "a"], "id")
    ([1, UNSET], [1, UNSET])
    """
    if _plain(records):
        return list(map(attrgetter(name), records))
    return [record.get(name, UNSET) if isinstance(record, dict) else UNSET for record in records]


def _plain(records: Sequence) -> bool:
    return bool(records) and isinstance(records[0], Record)


def columns(
    records: Sequence, sizes: Mapping[str, int], where: Where, default: np.ndarray | None = None
) -> dict[str, np.ndarray]:
    """Numeric fields of N records.

    Args:
        records: what should be objects.
        sizes: how many numbers each field has.
        where: each record stands.
        default: (N,), what counts where a record lacks a field.

    Returns:
        (N, size) float64 by field.

    Raises:
        UserError: a record lacks a field, or it is not finite numbers.

    >>> columns([{"bbox": [1, 2, 3, 4]}], {"bbox": 4}, numbered("a.json", "record"))
    {'bbox': array([[1., 2., 3., 4.]])}
    """
    values = {}
    for name, size in sizes.items():
        fields = values_of(records, name)
        if default is not None:
            fields = [d if f is UNSET else f for f, d in zip(fields, default, strict=True)]
        try:
            if _plain(records):
                # not `np.array`, which looks at each box by itself
                flat = itertools.chain.from_iterable(fields) if size > 1 else fields
                column = np.fromiter(flat, np.float64, size * len(fields))
            else:
                column = np.array(fields, np.float64)
            column = column.reshape(len(records), size)
        except _FAULTS:
            column = np.full((1, 1), np.nan)
        if not (np.abs(column) <= _LARGEST).all():
            raise _fault(msgspec.to_builtins(records), name, size, where)
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


def ids(records: Sequence, name: str, where: Where) -> list[Hashable]:
    """The field `name` of each record: whole numbers, however they are written, or texts.

    Raises:
        UserError: a record lacks it, or it is neither.
    """
    values = values_of(records, name)
    if set(map(type, values)) <= {int, str}:
        return values
    for row, value in enumerate(values):
        if type(value) is float and value.is_integer():
            values[row] = int(value)
        elif type(value) not in (int, str):
            got = _got(msgspec.to_builtins(records[row]), name)
            raise UserError(f"{where(row)}: `{name}`: expected a whole number or a text, {got}")
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


def rows_of(values: Sequence[Hashable], index: Mapping[Hashable, int]) -> np.ndarray:
    """(N,) the row of each value, -1 for those that are not in the index."""
    rows = map(index.get, values, itertools.repeat(-1))
    return np.fromiter(rows, np.int64, len(values))


def images_of(
    values: Sequence[Hashable], index: Mapping[Hashable, int], where: Where, truth: str
) -> np.ndarray:
    """(N,) the row of each record's image.

    Raises:
        UserError: an image is not in the index, which is that of `truth`.
    """
    rows = rows_of(values, index)
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
