"""Reading the benchmarks' own files of boxes: JSON, JSON lines, and text.

A file that is not what it should be raises a `UserError` that names the line.
"""

from __future__ import annotations

import json
import math
import mmap
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import msgspec
import numpy as np
from msgspec import UNSET, UnsetType

from dipr1.datasets.reading import collector_off, parse_json, read_json, read_lines
from dipr1.errors import UserError

Where = Callable[[int], str]
"""Says where a record stands: its file and place, as a message begins."""


Id = int | str | float | UnsetType
Number = float | UnsetType


class Record(msgspec.Struct, gc=False):
    """An object of a file in COCO's form: what the protocols read of it.

    Of these, half a million are read in a fifth of the time that dictionaries take.
    """

    id: Id = UNSET
    image_id: Id = UNSET
    category_id: Id = UNSET
    bbox: tuple[float, float, float, float] | UnsetType = UNSET
    score: Number = UNSET
    area: Number = UNSET
    height: Number = UNSET
    vis_ratio: Number = UNSET
    iscrowd: Any = UNSET
    ignore: Any = UNSET


def read_records(path: str, what: str, kind: type) -> Any:
    """The document in a JSON file as `kind` has it, its objects mostly as `Record`.

    Where it is not of that kind it is read as by :func:`read_json`, whose dictionaries take any
    value, so that a fault can be shown and what `json` takes beyond JSON (NaN) is read too.

    Raises:
        UserError: as :func:`read_json`.
    """
    try:
        with (
            open(path, "rb") as file,
            mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text,
            collector_off(),
        ):
            return msgspec.json.decode(text, type=kind)
    except (OSError, ValueError, RecursionError):
        return read_json(path, what)


def read_json_list(path: str) -> list:
    """The records in a JSON file of results.

    Raises:
        UserError: it cannot be read or is not a JSON list.
    """
    records = read_records(path, "file of detections", list[Record])
    if not isinstance(records, list):
        raise UserError(f"{path}: expected a list of detections but got {excerpt(records)}")
    return records


def read_json_lines(path: str, boxes: str) -> tuple[list[dict], Where]:
    """The records of a file with one JSON object per line, and where each stands.

    Args:
        path: the file.
        boxes: the key of each record's list of boxes.

    Raises:
        UserError: a line is not an object with an `ID` and the list.
    """
    lines = dict(_lines(path))
    with collector_off():
        records = [_line_record(line, place, boxes) for place, line in lines.items()]
    return records, list(lines).__getitem__


def _line_record(line: str, place: str, boxes: str) -> dict:
    try:
        record = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{place}: not JSON ({error})") from None
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("ID"), str)
        or not isinstance(record.get(boxes), list)
    ):
        raise UserError(
            f"{place}: expected an object with a text `ID` and a list `{boxes}`"
            f" but got {excerpt(record)}"
        )
    return record


def read_named_lines(path: str) -> tuple[list[str], list[list[float]], Where]:
    """The name, the numbers after it and the place of each line `name [number]*`.

    Raises:
        UserError: what follows a name is not numbers.
    """
    names, rows, places = [], [], []
    for place, line in _lines(path):
        name, *words = line.split()
        row = _finite(words)
        if row is None:
            raise UserError(f"{place}: expected a name and numbers: {excerpt(line)}")
        names.append(name)
        rows.append(row)
        places.append(place)
    return names, rows, places.__getitem__


def read_number_rows(path: str, width: int) -> np.ndarray:
    """The first `width` numbers of each line, separated by commas or white space; (N, width).

    Raises:
        UserError: a line has fewer or something else.
    """
    rows = []
    for place, line in _lines(path):
        row = _finite(line.replace(",", " ").split()[:width])
        if row is None or len(row) < width:
            raise UserError(f"{place}: expected {width} numbers: {excerpt(line)}")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, width)


def _lines(path: str) -> Iterator[tuple[str, str]]:
    """Where each line that is not blank stands, and the line."""
    for number, line in read_lines(path, "benchmark's file"):
        yield f"{path}: line {number}", line


def _finite(words: Sequence[str]) -> list[float] | None:
    """The numbers that the words spell; None if one is none, or not finite."""
    try:
        row = [float(word) for word in words]
    except ValueError:
        return None
    return row if all(map(math.isfinite, row)) else None


def excerpt(value: object) -> str:
    """A value as a message quotes it."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."
