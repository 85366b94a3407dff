"""CrowdHuman: `annotation_val.odgt`, one JSON object `{"ID": ..., "gtboxes": [...]}` per line.

A person has three boxes [x, y, width, height]: `fbox` the full body, hidden parts guessed, which
reaches far outside the image; `vbox` what is visible; `hbox` the head, whose label is `head`.
`tag: mask` is an ignore region (a crowd, a poster), and a person with `extra.ignore` is one too;
`head_attr.ignore` speaks of the head alone. The visible share is area(vbox) / area(fbox), at most
1. A record may have `width` and `height`, but those of the makers have not: sizes are then only in
the image files. These are `{ID}.jpg`, with a comma in the id.

Source: https://www.crowdhuman.org/download.html.
"""

from __future__ import annotations

from array import array
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from itertools import groupby
from json.encoder import encode_basestring
from operator import itemgetter
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.datasets.reading import (
    BadRecord,
    Reading,
    four_numbers,
    image_path,
    parse_json,
    raw,
    visible_share,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

LABELS = ("person", "head")
BOXES = {"full": "fbox", "visible": "vbox", "head": "hbox"}

# The files have a hundred megabytes, so blocks of lines are parsed column-wise by Arrow. A block
# with anything unusual in it is read again line by line, with Python's own JSON and a reason for
# each fault; on clean lines both give the same.
_BLOCK_BYTES = 2**22
_NUM_THREADS = 2

_Size = tuple[Any, Any]
_IGNORE = pa.struct({"ignore": pa.int64()})


class _Block(NamedTuple):
    """Consecutive lines of the file."""

    first: int  # number of the first line, from 1
    start: int  # where it begins in the file
    lines: bytes


class _Columns(NamedTuple):
    """What Arrow read of a block in which nothing is unusual: I images, N boxes."""

    ids: list[str]  # I
    sizes: list[_Size | None]  # I, as they stand in the file
    lines: np.ndarray  # (I,) line numbers
    starts: np.ndarray  # (I,) where they begin in the file
    counts: np.ndarray  # (I,) boxes per image
    xyxy: np.ndarray  # (N, 4)
    ignore: np.ndarray  # (N,) bool
    visibility: np.ndarray  # (N,) NaN where unknown


def read(annotations: str, images: str | None = None, box: str = "full") -> Reading:
    """Read an `.odgt` file.

    Args:
        annotations: path of the file.
        images: folder of the `{ID}.jpg`.
        box: `full`, `visible` or `head`; the label is `head` for heads, else `person`.

    Raises:
        UserError: the file is missing or no line of it is a record of an image.
    """
    starts = array("q")  # where each image's line begins, to find a rejected box's record again
    label = _label(box)
    reading = Reading(
        annotations, [label], box_record="{image}, gtboxes[{number}]", raws=partial(_raws, starts)
    )
    for block, columns in _parsed(annotations, box):
        if columns is None:
            _add_lines(reading, starts, block, images, box)
        else:
            _add_columns(reading, starts, columns, images, label)
    if not reading.images:
        faults = [f" ({fault.record}: {fault.reason})" for fault in reading.rejected_images]
        raise UserError(
            f"{annotations}: no line is a CrowdHuman record{''.join(faults[:1])}; expected an"
            ' .odgt file with lines {"ID": ..., "gtboxes": [...]}'
        )
    return reading


def _label(box: str) -> str:
    return "head" if box == "head" else "person"


def _raws(
    line_starts: Sequence[int], source: str, images: Sequence[int], numbers: Sequence[int]
) -> Iterable[str]:
    with open(source, "rb") as file:
        for image, of_image in groupby(zip(images, numbers, strict=True), itemgetter(0)):
            file.seek(line_starts[image])
            boxes = parse_json(_text(file.readline()))["gtboxes"]
            yield from (raw(boxes[number]) for _, number in of_image)


def _blocks(path: str) -> Iterator[_Block]:
    """The file in pieces of whole lines, without a byte order mark."""
    first, start = 1, 0
    try:
        with open(path, "rb") as file:
            if file.read(3) == b"\xef\xbb\xbf":
                start = 3
            file.seek(start)
            while lines := file.read(_BLOCK_BYTES) + file.readline():
                yield _Block(first, start, lines)
                first, start = first + lines.count(b"\n"), start + len(lines)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the .odgt file") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _lines(block: _Block) -> Iterator[tuple[int, int, str]]:
    """(number, where it begins, text) of the lines that are not blank."""
    start = block.start
    for number, line in enumerate(block.lines.split(b"\n"), start=block.first):
        if line.strip():
            yield number, start, _text(line)
        start += len(line) + 1


def _text(line: bytes) -> str:
    return line.strip().decode("utf-8", "backslashreplace")


def _parsed(path: str, box: str) -> Iterator[tuple[_Block, _Columns | None]]:
    """The blocks in their order; a few are parsed ahead, so that memory stays bounded."""
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        ahead: deque[tuple[_Block, Future[_Columns | None]]] = deque()
        for block in _blocks(path):
            ahead.append((block, pool.submit(_columns, block, box)))
            if len(ahead) > 2 * _NUM_THREADS:
                block, future = ahead.popleft()
                yield block, future.result()
        for block, future in ahead:
            yield block, future.result()


def _columns(block: _Block, box: str) -> _Columns | None:
    """The block column-wise; None where a line needs a closer look."""
    places = _places(block)
    if places is None:
        return None
    numbers, starts = places
    table = _arrow_table(block.lines, box, pa.int64())
    if table is None:  # coordinates are whole numbers, which Arrow reads in half the time
        table = _arrow_table(block.lines, box, pa.float64())
    if table is None or table.num_rows != len(numbers):
        return None
    boxes = table["gtboxes"].combine_chunks()
    people = boxes.values
    if table["ID"].null_count or boxes.null_count or people.null_count:
        return None
    ids = table["ID"].to_pylist()
    tag = people.field("tag")
    is_mask = _mask(pc.equal(tag, "mask"))
    marked = [people.field("extra").field("ignore")]
    if box == "head":
        marked.append(people.field("head_attr").field("ignore"))
    flags = [pc.fill_null(flag, 0).to_numpy() for flag in marked]
    corners = _four_columns(people.field(BOXES[box]))  # xywh so far
    full, visible = _four_columns(people.field("fbox")), _four_columns(people.field("vbox"))
    usual = (
        all(ids)
        and bool((is_mask | _mask(pc.equal(tag, "person"))).all())
        and all(bool(((flag == 0) | (flag == 1)).all()) for flag in flags)
    )
    if not usual or corners is None or full is None or visible is None:
        return None
    visibility = _visibilities(full, visible)
    visibility[is_mask] = np.nan
    corners[:, 2:] += corners[:, :2]
    sides = zip(table["width"].to_pylist(), table["height"].to_pylist(), strict=True)
    return _Columns(
        ids,
        list(sides),
        numbers,
        starts,
        np.diff(boxes.offsets.to_numpy()),
        corners,
        np.logical_or.reduce([is_mask, *flags]),
        visibility,
    )


def _places(block: _Block) -> tuple[np.ndarray, np.ndarray] | None:
    """Numbers of the lines that are not blank and where they begin; None where one may be no whole
    object: where a line ends with } and the next begins with {, none goes on."""
    lines = block.lines.split(b"\n")
    full = [at for at, line in enumerate(lines) if line.strip()]
    if not all(lines[at][:1] == b"{" and lines[at].endswith((b"}", b"}\r")) for at in full):
        return None
    starts = np.cumsum([0] + [len(line) + 1 for line in lines[:-1]])
    return block.first + np.array(full, np.int64), block.start + starts[full]


def _arrow_table(lines: bytes, box: str, number: pa.DataType) -> pa.Table | None:
    from pyarrow import json as arrow_json

    if not lines.isascii():
        try:
            lines.decode("utf-8")
        except UnicodeDecodeError:
            return None
    four = pa.list_(number)
    gtbox = {"tag": pa.string(), "fbox": four, "vbox": four, "extra": _IGNORE}
    if box == "head":
        gtbox |= {"hbox": four, "head_attr": _IGNORE}
    sides = {"width": pa.int64(), "height": pa.int64()}
    schema = pa.schema({"ID": pa.string(), "gtboxes": pa.list_(pa.struct(gtbox)), **sides})
    try:
        return arrow_json.read_json(
            pa.BufferReader(lines),
            read_options=arrow_json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
            parse_options=arrow_json.ParseOptions(
                explicit_schema=schema, unexpected_field_behavior="ignore"
            ),
        )
    except pa.ArrowException:
        return None


def _mask(flags: pa.Array) -> np.ndarray:
    return pc.fill_null(flags, False).to_numpy(zero_copy_only=False)


def _four_columns(lists: pa.ListArray) -> np.ndarray | None:
    """(N, 4) of N lists of four numbers; None where any is something else."""
    numbers = lists.values
    if lists.null_count or numbers.null_count or (np.diff(lists.offsets.to_numpy()) != 4).any():
        return None
    return numbers.to_numpy().astype(np.float64).reshape(-1, 4)


def _visibilities(full: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """(N,) of :func:`visible_share` of (N, 4) xywh boxes; NaN for None."""
    has_sense = (full[:, 2:] > 0).all(axis=1) & (visible[:, 2:] >= 0).all(axis=1)
    with np.errstate(all="ignore"):
        share = visible[:, 2] * visible[:, 3] / (full[:, 2] * full[:, 3])
    return np.where(has_sense, np.minimum(share, 1), np.nan)


def _add_columns(
    reading: Reading, starts: array, columns: _Columns, images: str | None, label: str
) -> None:
    first = len(reading.images)
    for image_id, size, line in zip(
        columns.ids, columns.sizes, columns.lines.tolist(), strict=True
    ):
        _add_image(reading, image_id, size, line, images)
    starts.extend(columns.starts.tolist())
    counts = columns.counts
    ends = np.cumsum(counts)
    total = len(columns.xyxy)
    reading.add_boxes(
        np.repeat(np.arange(first, first + len(counts)), counts),
        columns.xyxy,
        label,
        number=np.arange(total) - np.repeat(ends - counts, counts),
        ignore=columns.ignore,
        visibility=columns.visibility,
    )


def _add_image(
    reading: Reading,
    image_id: str,
    size: _Size | None,
    line: int,
    images: str | None,
    fault: str | None = None,
) -> int:
    return reading.add_image(
        image_id,
        image_path(images, f"{image_id}.jpg"),
        record=f"line {line}",
        raw=f'{{"ID": {encode_basestring(image_id)}}}',
        size=size,
        fault=fault,
    )


def _add_lines(
    reading: Reading, starts: array, block: _Block, images: str | None, box: str
) -> None:
    """Read a block line by line, with a reason for every fault."""
    for line, start, text in _lines(block):
        try:
            document = parse_json(text)
        except (ValueError, RecursionError):
            reading.reject_image(f"line {line}", "not JSON", text)
            continue
        if not isinstance(document, dict):
            reading.reject_image(f"line {line}", "not an object", text)
            continue
        image_id, entries = document.get("ID"), document.get("gtboxes")
        if not isinstance(image_id, str) or not image_id:
            rest = {key: value for key, value in document.items() if key != "gtboxes"}
            reading.reject_image(f"line {line}", "ID is missing or no text", rest)
            image = None
        else:
            why = None if isinstance(entries, list) else "gtboxes is missing or no list"
            size = document.get("width"), document.get("height")
            image = _add_image(reading, image_id, size, line, images, why)
            starts.append(start)
        for number, entry in enumerate(entries if isinstance(entries, list) else ()):
            try:
                _add_entry(reading, image, entry, number, box)
            except BadRecord as fault:
                reading.reject_box(f"line {line}, gtboxes[{number}]", str(fault), entry)


def _add_entry(reading: Reading, image: int | None, entry: Any, number: int, box: str) -> None:
    if image is None:
        raise BadRecord("its image is rejected")
    if not isinstance(entry, dict):
        raise BadRecord("not an object")
    if entry.get("tag") not in ("person", "mask"):
        raise BadRecord("tag is neither person nor mask")
    is_mask = entry["tag"] == "mask"
    corners = xywh_to_xyxy(_numbers(entry, BOXES[box]))
    ignore = _is_ignored(entry, "extra") or (box == "head" and _is_ignored(entry, "head_attr"))
    reading.add_box(
        image,
        corners,
        _label(box),
        number=number,
        ignore=is_mask or ignore,
        visibility=None if is_mask else _visibility(entry),
    )


def _visibility(entry: dict[str, Any]) -> float | None:
    """As :func:`_visibilities`; unknown too where one of the boxes is missing, which does not spoil
    the one that is asked for."""
    try:
        return visible_share(_numbers(entry, "fbox"), _numbers(entry, "vbox"))
    except BadRecord:
        return None


def _numbers(entry: dict[str, Any], key: str) -> list[float]:
    return four_numbers(entry.get(key), f"{key} is not four numbers [x, y, width, height]")


def _is_ignored(entry: dict[str, Any], key: str) -> bool:
    """Whether `extra` (of the body) or `head_attr` (of the head) says ignore; most do not speak."""
    attributes = entry.get(key)
    if attributes is None:
        return False
    if not isinstance(attributes, dict):
        raise BadRecord(f"{key} is no object")
    value = attributes.get("ignore")
    if value is not None and (not isinstance(value, (bool, int, float)) or value not in (0, 1)):
        raise BadRecord(f"{key}.ignore is neither 0 nor 1")
    return bool(value)
