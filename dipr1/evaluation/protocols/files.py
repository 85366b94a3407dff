"""Reading the benchmarks' own files of boxes: JSON, JSON lines, and text.

A file that is not what it should be raises a `UserError` that names the record; the numbers of all
records are converted at once, and records are looked at one by one only to find the one at fault.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
from collections.abc import Hashable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dipr1.errors import UserError
from dipr1.matching import Stack

try:
    # optional, several times as fast
    from orjson import loads
except ImportError:
    loads = json.loads

# Larger numbers are taken as not finite, so that no product of two sides can overflow.
_LARGEST = 1e100
_FAULTS = (KeyError, TypeError, ValueError, OverflowError)


class Places(Sequence):
    """Where each record of a list stands in its file: `record 1`, `record 2` ..."""

    def __init__(self, what: str, count: int) -> None:
        self._what, self._count = what, count

    def __len__(self) -> int:
        return self._count

    def __getitem__(self, row: int) -> str:
        return f"{self._what} {row + 1}"


class BoxPlaces(Sequence):
    """Where each box stands: `line 3, box 1`.

    Args:
        lines: the place of each record.
        record: (N,) the record of each box, not decreasing.
    """

    def __init__(self, lines: Sequence[str], record: np.ndarray) -> None:
        self._lines, self._record = lines, record

    def __len__(self) -> int:
        return len(self._record)

    def __getitem__(self, row: int) -> str:
        first = int(np.searchsorted(self._record, self._record[row]))
        return f"{self._lines[self._record[row]]}, box {row - first + 1}"


def read_bytes(path: str) -> bytes:
    """The file's content.

    Raises:
        UserError: it cannot be read.
    """
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


@contextlib.contextmanager
def _no_garbage() -> Iterator[None]:
    """Keep the garbage collector from going through what is being read, again and again.

    It takes half of the time of reading a large JSON file, in which nothing refers back.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def read_json(path: str) -> Any:
    """The document in a JSON file.

    Raises:
        UserError: it cannot be read or is not JSON.
    """
    try:
        with _no_garbage():
            return loads(read_bytes(path))
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); is the file complete?") from None


def read_json_list(path: str) -> list:
    """The list in a JSON file of results.

    Raises:
        UserError: it cannot be read or is not a JSON list.
    """
    records = read_json(path)
    if not isinstance(records, list):
        raise UserError(f"{path}: expected a list of detections but got {_short(records)}")
    return records


def read_json_lines(path: str, boxes: str) -> tuple[list[dict], list[str]]:
    """The records of a file with one JSON object per line, and their places.

    Args:
        path: the file.
        boxes: the key of each record's list of boxes.

    Raises:
        UserError: a line is not an object with an `ID` and the list.
    """
    lines = read_bytes(path).split(b"\n")
    numbers = [number for number, line in enumerate(lines, start=1) if line.strip()]
    with _no_garbage():
        records = [_line_record(lines[number - 1], path, number, boxes) for number in numbers]
    return records, [f"line {number}" for number in numbers]


def _line_record(line: bytes, path: str, number: int, boxes: str) -> dict:
    try:
        record = loads(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: line {number}: not JSON ({error})") from None
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("ID"), str)
        or not isinstance(record.get(boxes), list)
    ):
        raise UserError(
            f"{path}: line {number}: expected an object with a text `ID` and a list `{boxes}`"
            f" but got {_short(record)}"
        )
    return record


def read_named_lines(path: str) -> tuple[list[str], list[list[float]], list[str]]:
    """The name, the numbers after it and the place of each line `name [number]*`.

    Raises:
        UserError: what follows a name is not numbers.
    """
    names, rows, places = [], [], []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        words = line.split()
        if not words:
            continue
        try:
            row = [float(word) for word in words[1:]]
        except ValueError:
            row = [math.nan]
        if not all(map(math.isfinite, row)):
            raise UserError(f"{path}: line {number}: expected a name and numbers: {_short(line)}")
        names.append(words[0])
        rows.append(row)
        places.append(f"line {number}")
    return names, rows, places


def read_table(path: str, width: int) -> np.ndarray:
    """The first `width` numbers of each line, separated by commas or white space; (N, width).

    Raises:
        UserError: a line has fewer or something else.
    """
    rows = []
    for number, line in enumerate(read_bytes(path).decode("utf-8", "replace").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words:
            continue
        try:
            row = [float(word) for word in words[:width]]
        except ValueError:
            row = []
        if len(row) < width or not all(map(math.isfinite, row)):
            raise UserError(f"{path}: line {number}: expected {width} numbers: {_short(line)}")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, width)


def columns(
    path: str, records: Sequence[dict], sizes: Mapping[str, int], places: Sequence[str]
) -> dict[str, np.ndarray]:
    """Numeric fields of N records.

    Args:
        path: the file, for messages.
        records: what should be objects.
        sizes: how many numbers each field has.
        places: where each record stands.

    Returns:
        (N, size) float64 by field.

    Raises:
        UserError: a record lacks a field, or it is not finite numbers.

    >>> columns("a.json", [{"bbox": [1, 2, 3, 4]}], {"bbox": 4}, Places("record", 1))
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
            raise _fault(path, records, name, size, places)
        values[name] = column
    return values


def _fault(
    path: str, records: Sequence[dict], name: str, size: int, places: Sequence[str]
) -> UserError:
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
    return UserError(
        f"{path}: {places[row]}: `{name}`: expected {wanted}, {_got(records[row], name)}"
    )


def _got(record: object, name: str) -> str:
    if not isinstance(record, dict):
        return f"but the record is {_short(record)}"
    return f"but got {_short(record[name])}" if name in record else "but there is none"


def ids(path: str, records: Sequence[dict], name: str, places: Sequence[str]) -> list[Hashable]:
    """The field `name` of each record: numbers or texts.

    Raises:
        UserError: a record lacks it, or it is neither.
    """
    try:
        values = [record[name] for record in records]
        if {int, str}.issuperset(map(type, values)):
            return values
    except (KeyError, TypeError):
        pass
    row = next(
        row
        for row, record in enumerate(records)
        if not isinstance(record, dict) or type(record.get(name)) not in (int, str)
    )
    raise UserError(
        f"{path}: {places[row]}: `{name}`: expected a whole number or a text,"
        f" {_got(records[row], name)}"
    )


def index_of(values: Sequence[Hashable], path: str, places: Sequence[str]) -> dict[Hashable, int]:
    """The row of each id.

    Raises:
        UserError: an id is there twice.
    """
    index = {value: row for row, value in enumerate(values)}
    if len(index) < len(values):
        row = next(row for row, value in enumerate(values) if index[value] != row)
        raise UserError(
            f"{path}: {places[index[values[row]]]}: image {values[row]!r} is there already"
            f" ({places[row]}); give one record per image"
        )
    return index


def images_of(
    values: Sequence[Hashable],
    index: Mapping[Hashable, int],
    path: str,
    places: Sequence[str],
    truth: str,
) -> np.ndarray:
    """(N,) the row of each record's image.

    Raises:
        UserError: an image is not in the index.
    """
    rows = np.array([index.get(value, -1) for value in values], np.int64)
    if len(rows) and rows.min() < 0:
        row = int(np.argmin(rows))
        raise UserError(
            f"{path}: {places[row]}: image {values[row]!r} is not in {truth}"
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


def _short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."
