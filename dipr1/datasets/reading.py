"""What every reader fills in: images, boxes in columns, and rejected records.

A reader names the images, adds boxes as they stand in the file and rejects the records it cannot
make sense of. What holds for every format alike (finite numbers, an area, inside the image, known
sizes) is checked once, in `convert`. Boxes are kept in flat arrays, about 60 bytes each, because
half a million tuples with their records would take gigabytes.
"""

from __future__ import annotations

import contextlib
import gc
import json
import math
import os
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dipr1.boxes import ANY_LABEL
from dipr1.errors import UserError

_NUMBERS = {int, float}

_encode = json.JSONEncoder(ensure_ascii=False).encode

Raws = Callable[[str, Sequence[int], Sequence[int]], Iterable[str]]
"""(source, images, numbers) -> the text of the boxes with these numbers, in that order. Called
once per source, only for boxes that `convert` rejects, so that no reader keeps every record."""


class BadRecord(ValueError):
    """A record's fault, in the same words for the same fault: rejects are counted by them."""


class Reject(NamedTuple):
    """A record that was left out; the columns of the rejects artifact."""

    source: str  # file
    record: str  # where in the file
    reason: str
    raw: str  # the record as it was


class ImageRecord(NamedTuple):
    """An image that the annotation files name."""

    image_id: str
    image: str  # path
    size: tuple[Any, Any] | None  # declared width and height, as they stand in the file
    source: str
    record: str
    raw: str
    fault: str | None  # why it cannot be used, whatever its file is like


class Boxes(NamedTuple):
    """The columns of N boxes."""

    image: np.ndarray  # (N,) int32, index in `Reading.images`
    xyxy: np.ndarray  # (N, 4) float64, image frame, as they stand in the file
    label: np.ndarray  # (N,) int32, index in `Reading.labels`
    ignore: np.ndarray  # (N,) bool
    visibility: np.ndarray  # (N,) float32 in 0..1, NaN where unknown
    number: np.ndarray  # (N,) int64, the record's number in its source
    source: np.ndarray  # (N,) int32, index in `Reading.sources`


class Reading:
    """The records of a data set, sorted into good and bad: none is lost.

    Every record of the files is counted once, as an image, a box or a reject of either.

    Args:
        source: the annotation file or folder. Readers of several files set the attribute to the one
            that they are reading: everything is added with it.
        labels: every label that the format declares, in its order; others join as boxes come.
        box_record: where a box stands, as text with `{number}` and, if wanted, `{image}` (the
            `record` of its image).
        raws: how to get the boxes' records back; by default number n is line n of its source.

    >>> reading = Reading("gt.txt", ["person"])
    >>> image = reading.add_image("a", "images/a.jpg", record="line 1")
    >>> reading.add_box(image, (1, 2, 3, 4), "person", number=1)
    >>> reading.boxes().xyxy
    array([[1., 2., 3., 4.]])
    """

    def __init__(
        self,
        source: str,
        labels: Iterable[str] = (),
        *,
        box_record: str = "line {number}",
        raws: Raws | None = None,
    ) -> None:
        self.labels: list[str] = list(dict.fromkeys(labels))
        self.box_record = box_record
        self.raws: Raws = raws or lines_of_source
        self.images: list[ImageRecord] = []
        self.index: dict[str, int] = {}  # image id -> its index in `images`
        self.sources: list[str] = []  # of the boxes, in the order in which they were read
        self.rejected_images: list[Reject] = []
        self.rejected_boxes: list[Reject] = []
        self._label_codes = {label: code for code, label in enumerate(self.labels)}
        self._source_codes: dict[str, int] = {}
        self.source = source
        self._xyxy, self._visibility = array("d"), array("f")
        self._image, self._source, self._label = array("i"), array("i"), array("i")
        self._ignore, self._number = array("b"), array("q")

    @property
    def source(self) -> str:
        """The file that is being read."""
        return self.sources[self._source_code]

    @source.setter
    def source(self, path: str) -> None:
        self._source_code = self._source_codes.setdefault(path, len(self.sources))
        if self._source_code == len(self.sources):
            self.sources.append(path)

    def files(self, suffix: str) -> Iterator[tuple[str, str]]:
        """(name, path) of each file as in :func:`annotation_files`, which becomes the `source`."""
        for name, path in annotation_files(self.source, suffix):
            self.source = path
            yield name, path

    def add_image(
        self,
        image_id: str,
        image: str,
        *,
        record: str,
        raw: str = "",
        size: tuple[Any, Any] | None = None,
        fault: str | None = None,
    ) -> int:
        """Add an image, with or without boxes; returns its index.

        An image with a `fault` is rejected by `convert` together with the boxes added to it. An id
        that is there already is a fault.

        Args:
            image_id: unique text.
            image: path of the file.
            record: where in the source the image is named, such as `line 3`.
            raw: the record as it was, without the boxes' own records.
            size: width and height that the file declares, as they stand there; dipr1.datasets.sizes
                judges them.
            fault: why the image cannot be used.
        """
        index = len(self.images)
        if self.index.setdefault(image_id, index) != index and fault is None:
            fault = "its id is listed twice"
        if not (_is_text(image_id) and _is_text(image)):
            fault = "its id or file name is no valid text"
        if size == (None, None):
            size = None
        self.images.append(ImageRecord(image_id, image, size, self.source, record, raw, fault))
        return index

    def reject_image(self, record: str, reason: str, raw: object = "") -> None:
        """Reject a record that should name an image, or that could be anything."""
        self.rejected_images.append(Reject(self.source, record, reason, _text(raw)))

    def reject_box(self, record: str, reason: str, raw: object = "") -> None:
        """Reject a record that should be a box."""
        self.rejected_boxes.append(Reject(self.source, record, reason, _text(raw)))

    def add_box(
        self,
        image: int,
        box: Sequence[float],
        label: str,
        *,
        number: int,
        ignore: bool = False,
        visibility: float | None = None,
    ) -> None:
        """Add one box; `box` is xyxy, any four numbers (`convert` looks at their values)."""
        self._xyxy.extend(box)
        self._image.append(image)
        self._label.append(self.label_code(label))
        self._ignore.append(ignore)
        self._visibility.append(np.nan if visibility is None else visibility)
        self._number.append(number)
        self._source.append(self._source_code)

    def add_boxes(
        self,
        image: int | np.ndarray,
        boxes: np.ndarray,
        label: str | np.ndarray,
        *,
        number: np.ndarray,
        ignore: bool | np.ndarray = False,
        visibility: np.ndarray | None = None,
    ) -> None:
        """Add N boxes of one source at once.

        Args:
            image: index of their image, or (N,) indices.
            boxes: (N, 4) xyxy, any values.
            label: their label, or (N,) codes from :meth:`label_code`.
            number: (N,) numbers of their records.
            ignore: for all or (N,).
            visibility: (N,) in 0..1, NaN where unknown.
        """
        count = len(boxes)
        code = self.label_code(label) if isinstance(label, str) else label
        unknown = np.nan if visibility is None else visibility
        for column, values in (
            (self._image, image),
            (self._label, code),
            (self._ignore, ignore),
            (self._visibility, unknown),
            (self._number, number),
            (self._source, self._source_code),
        ):
            kind = np.dtype(column.typecode)
            flat = np.ascontiguousarray(np.broadcast_to(values, count), kind)
            column.frombytes(flat.view(np.uint8))
        self._xyxy.frombytes(np.ascontiguousarray(boxes, np.float64).reshape(-1).view(np.uint8))

    def label_code(self, label: str) -> int:
        """The label's index in `labels`; a new label joins them."""
        code = self._label_codes.setdefault(label, len(self.labels))
        if code == len(self.labels):
            self.labels.append(label)
        return code

    @property
    def categories(self) -> list[str]:
        """The labels that can be asked for: all but `ANY_LABEL`."""
        return [label for label in self.labels if label != ANY_LABEL]

    def boxes(self) -> Boxes:
        """The columns, without a copy; nothing can be added while they are in use."""
        return Boxes(
            np.frombuffer(self._image, np.int32),
            np.frombuffer(self._xyxy, np.float64).reshape(-1, 4),
            np.frombuffer(self._label, np.int32),
            np.frombuffer(self._ignore, np.bool_),
            np.frombuffer(self._visibility, np.float32),
            np.frombuffer(self._number, np.int64),
            np.frombuffer(self._source, np.int32),
        )


@contextlib.contextmanager
def collector_off() -> Iterator[None]:
    """Hundreds of thousands of records are made in the body and none of them is garbage: the
    collector, which would look at all of them again and again, more than doubles the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collecting:
            gc.enable()


def four_numbers(values: object, what: str = "bbox is not four numbers") -> list[float]:
    """Four numbers of a parsed file; `what` is the reason where they are not.

    Raises:
        BadRecord: not a list of four, or not all are numbers (a bool or a text is not).

    >>> four_numbers([1, 2.5, 3, 4])
    [1.0, 2.5, 3.0, 4.0]
    """
    # By exact type, since a bool is an int to Python.
    if (
        not isinstance(values, list)
        or len(values) != 4
        or not _NUMBERS.issuperset(map(type, values))
    ):
        raise BadRecord(what)
    return [_float(value) for value in values]


def _float(number: float) -> float:
    try:
        return float(number)
    except OverflowError:  # JSON's integers have no bounds
        return math.inf if number > 0 else -math.inf


def xywh_to_xyxy(box: Sequence[float]) -> tuple[float, float, float, float]:
    """[x, y, width, height] -> (x1, y1, x2, y2).

    >>> xywh_to_xyxy([1, 2, 3, 4])
    (1, 2, 4, 6)
    """
    x, y, width, height = box
    return x, y, x + width, y + height


def visible_share(full: Sequence[float], visible: Sequence[float]) -> float | None:
    """area(visible) / area(full) of two xywh boxes, at most 1; None where it has no meaning.

    >>> visible_share([0, 0, 10, 10], [1, 1, 5, 10])
    0.5
    """
    if not (full[2] > 0 and full[3] > 0 and visible[2] >= 0 and visible[3] >= 0):
        return None
    return min(visible[2] * visible[3] / (full[2] * full[3]), 1.0)


def read_lines(path: str, what: str = "annotation file") -> Iterator[tuple[int, str]]:
    """(number from 1, line without its end) of each line of a text file that is not blank; bytes
    that are not UTF-8 become escapes such as `\\xff`, so a bad line is rejected as itself.

    Args:
        path: the file.
        what: what it should be, for the message.

    Raises:
        UserError: there is no such file, or it cannot be read.
    """
    try:
        # Not as utf-8-sig, whose decoder swallows a file that is only the beginning of a mark.
        with open(path, encoding="utf-8", errors="backslashreplace", newline="\n") as file:
            for number, line in enumerate(file, start=1):
                line = line.removeprefix("\ufeff") if number == 1 else line
                if line.strip():
                    yield number, line.rstrip("\r\n")
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the {what}") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def lines_of_source(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    """The lines with these numbers: the `raws` of formats with one box per line."""
    wanted = set(numbers)
    lines = {number: line for number, line in read_lines(source) if number in wanted}
    return [lines[number] for number in numbers]


def read_json(path: str, what: str) -> Any:
    """The document in a JSON file.

    Args:
        path: the file.
        what: what it should be, for the message (`COCO annotation file`).

    Raises:
        UserError: it is missing, cannot be read or is not JSON.
    """
    try:
        with open(path, encoding="utf-8-sig") as file, collector_off():
            return parse_json(file.read())
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the {what}") from None
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: not JSON ({error}); is it complete?") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def parse_json(text: str) -> Any:
    """As `json.loads`, but a number too long for an integer is a decimal and no fault of the rest.

    Raises:
        ValueError: not JSON.
        RecursionError: nested too deep.

    >>> parse_json("[7, 1" + 5000 * "0" + "]")
    [7, inf]
    """
    try:
        return json.loads(text)
    except ValueError:
        return json.loads(text, parse_int=_integer)


def _integer(digits: str) -> float:
    return int(digits) if len(digits) < 4000 else float(digits)


def raw(record: object) -> str:
    """A parsed JSON record as it was in the file; half a character, which JSON can escape and UTF-8
    cannot hold, stays an escape."""
    text = _encode(record)
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def annotation_files(path: str, suffix: str) -> list[tuple[str, str]]:
    """(name, path) of every file of a format with one file per image, sorted by name.

    The name is the path below the folder without the suffix, with slashes on every system. For a
    single file it is the file's own. Hidden files and folders are left out, which systems and
    editors make beside others; the suffix counts in capitals too.

    Raises:
        UserError: there is no such file or folder, or nothing with this suffix in the folder.
    """
    if os.path.isfile(path):
        return [(Path(path).stem, path)]
    if not os.path.isdir(path):
        raise UserError(f"{path}: no such file or folder; give the folder of the {suffix} files")
    files = sorted(
        (name.with_suffix("").as_posix(), str(Path(path) / name))
        for name in visible_files(path)
        if name.suffix.lower() == suffix
    )
    if not files:
        raise UserError(f"{path}: no {suffix} file in this folder; give the annotations' folder")
    return files


def visible_files(folder: str) -> Iterator[Path]:
    """The files below a folder, relative to it; none that is hidden or in a hidden folder."""
    for place, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        below = Path(place).relative_to(folder)
        yield from (below / name for name in names if not name.startswith("."))


def image_path(folder: str | None, name: str) -> str:
    """Where an image file lies; without a folder, its name alone.

    Backslashes, as Windows writes them, are slashes.

    >>> image_path("images", "city\\\\a.jpg"), image_path(None, "a.jpg")
    ('images/city/a.jpg', 'a.jpg')
    """
    name = name.replace("\\", "/")
    return name if folder is None else os.path.join(folder, name)


def _is_text(name: str) -> bool:
    """Whether UTF-8 can hold it: JSON can escape half a character."""
    return name.isascii() or name.encode("utf-8", "replace").decode("utf-8") == name


def _text(record: object) -> str:
    return record if isinstance(record, str) else raw(record)
