"""Reading the benchmarks' own files of boxes: JSON, JSON lines, and text.

A file that is not what it should be raises a `UserError` that names the line.
"""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

from dipr1.datasets.reading import collector_off, parse_json, read_json
from dipr1.errors import UserError


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


def read_json_list(path: str) -> list:
    """The list in a JSON file of results.

    Raises:
        UserError: it cannot be read or is not a JSON list.
    """
    records = read_json(path, "file of detections")
    if not isinstance(records, list):
        raise UserError(f"{path}: expected a list of detections but got {short(records)}")
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
    with collector_off():
        records = [_line_record(lines[number - 1], path, number, boxes) for number in numbers]
    return records, [f"line {number}" for number in numbers]


def _line_record(line: bytes, path: str, number: int, boxes: str) -> dict:
    try:
        record = parse_json(line)
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: line {number}: not JSON ({error})") from None
    if (
        not isinstance(record, dict)
        or not isinstance(record.get("ID"), str)
        or not isinstance(record.get(boxes), list)
    ):
        raise UserError(
            f"{path}: line {number}: expected an object with a text `ID` and a list `{boxes}`"
            f" but got {short(record)}"
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
            raise UserError(f"{path}: line {number}: expected a name and numbers: {short(line)}")
        names.append(words[0])
        rows.append(row)
        places.append(f"line {number}")
    return names, rows, places


def read_number_rows(path: str, width: int) -> np.ndarray:
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
            raise UserError(f"{path}: line {number}: expected {width} numbers: {short(line)}")
        rows.append(row)
    return np.array(rows, np.float64).reshape(-1, width)


def short(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=repr)
    return text if len(text) <= 60 else text[:57] + "..."
