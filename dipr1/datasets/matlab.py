"""MATLAB's `.mat` files (level 5, versions 5 to 7.2), as far as annotations use them.

scipy reads them too, but a damaged file can make its compiled reader crash the process; this one
is slower and only ever raises ValueError. The layout is that of MathWorks' "MAT-File Format".
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np

_HEADER_BYTES = 128
_LARGEST_BYTES = 2**30  # of a compressed variable, so that no small file fills the memory

_MATRIX, _COMPRESSED = 14, 15
# Storage type -> numpy's; what is stored may be smaller than what it stands for.
_TYPES = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
_TEXTS = {1: "latin-1", 2: "latin-1", 4: "utf-16", 16: "utf-8", 17: "utf-16", 18: "utf-32"}
_CELL, _STRUCT, _CHAR = 1, 2, 4
_CLASSES = {
    6: "f8", 7: "f4", 8: "i1", 9: "u1", 10: "i2", 11: "u2", 12: "i4", 13: "u4", 14: "i8", 15: "u8"
}  # fmt: skip


def read_matlab(content: bytes) -> dict[str, Any]:
    """The variables of a file.

    Args:
        content: all its bytes.

    Returns:
        Per name: an array of numbers of the type and shape they were saved in, a text, a flat list
        (column by column) for a cell array, and a flat list of dictionaries for a structure.

    Raises:
        ValueError: not such a file, cut short, or damaged.
    """
    if content[:10] == b"MATLAB 7.3":
        raise ValueError("version 7.3 is another format (HDF5); save it with -v7")
    if not content.startswith(b"MATLAB") or content[126:128] not in (b"IM", b"MI"):
        raise ValueError("no header of a .mat file")
    order = "<" if content[126:128] == b"IM" else ">"
    variables = {}
    try:
        for kind, data in _elements(memoryview(content)[_HEADER_BYTES:], order):
            if kind == _COMPRESSED:
                text = zlib.decompressobj().decompress(data, _LARGEST_BYTES)
                kind, data = next(_elements(memoryview(text), order))
            if kind == _MATRIX:
                name, value = _matrix(data, order)
                variables[name] = value
    except (zlib.error, IndexError, RecursionError, StopIteration, OverflowError) as error:
        raise ValueError(str(error) or "damaged") from None
    return variables


def _elements(data: memoryview, order: str) -> Iterator[tuple[int, memoryview]]:
    """(storage type, bytes) of the elements that follow one another."""
    at, byte_order = 0, "little" if order == "<" else "big"
    while at < len(data):
        tag = data[at : at + 8]
        if len(tag) < 8:
            raise ValueError("cut short")
        kind = int.from_bytes(tag[:4], byte_order)
        if kind >> 16:  # up to four bytes share the tag's word
            length, kind, start = kind >> 16, kind & 0xFFFF, at + 4
            at += 8
        else:
            length, start = int.from_bytes(tag[4:], byte_order), at + 8
            at = start + length
            if kind != _COMPRESSED:
                at += -length % 8
        if start + length > len(data):
            raise ValueError("cut short")
        yield kind, data[start : start + length]


def _matrix(data: memoryview, order: str) -> tuple[str, Any]:
    """Name and value of any array."""
    if not len(data):  # how an empty cell is written
        return "", np.zeros((0, 0))
    parts = _elements(data, order)
    flags = _numbers(*next(parts), order)
    kind = int(flags[0]) & 0xFF
    shape = tuple(_numbers(*next(parts), order).tolist())
    _, name = next(parts)
    return bytes(name).decode("latin-1"), _value(kind, shape, parts, order)


def _value(
    kind: int, shape: tuple[int, ...], parts: Iterator[tuple[int, memoryview]], order: str
) -> Any:
    if kind == _CELL:
        return [_item(part, order) for part in parts]
    if kind == _STRUCT:
        length = int(_numbers(*next(parts), order)[0])
        names = bytes(next(parts)[1])
        if length <= 0:
            raise ValueError("a structure without names")
        keys = [
            names[at : at + length].rstrip(b"\0").decode("latin-1")
            for at in range(0, len(names), length)
        ]
        values = [_item(part, order) for part in parts]
        if not keys or len(values) % len(keys):
            raise ValueError("a structure with too few values")
        return [
            dict(zip(keys, values[at : at + len(keys)], strict=True))
            for at in range(0, len(values), len(keys))
        ]
    if kind == _CHAR:
        stored, text = next(parts)
        if stored not in _TEXTS:
            raise ValueError(f"unknown text type {stored}")
        encoding = _TEXTS[stored]
        if encoding in ("utf-16", "utf-32"):
            encoding += "-le" if order == "<" else "-be"
        return bytes(text).decode(encoding)
    if kind not in _CLASSES:
        raise ValueError(f"unknown class {kind}")
    values = _numbers(*next(parts), order).astype(_CLASSES[kind])
    return values.reshape(shape, order="F")


def _item(part: tuple[int, memoryview], order: str) -> Any:
    if part[0] != _MATRIX:
        raise ValueError("a part that is no array")
    return _matrix(part[1], order)[1]


def _numbers(kind: int, data: memoryview, order: str) -> np.ndarray:
    if kind not in _TYPES:
        raise ValueError(f"unknown number type {kind}")
    return np.frombuffer(data, order + _TYPES[kind])
