"""Sizes of images.

An image's size is the one in its header where a folder of images is given, else the one that the
annotations declare, else the one in a table of sizes; an image of unknown size is rejected.

What annotations declare is judged here, in one way for every format: `100`, `100.0` and the text
`"100"` are the same; where both sides are 0, null or no text, nothing is declared, for tools write
that where they do not know. Everything else (negative, a fraction, one side alone) is wrong.
"""

from __future__ import annotations

import contextlib
import difflib
import io
import itertools
import math
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, NamedTuple

import numpy as np

from dipr1.datasets.options import CHECK, DECODED_BY_DEFAULT
from dipr1.datasets.reading import ImageRecord, Reading, read_json, visible_files
from dipr1.errors import UserError
from dipr1.frames import PolicyFrames, policy_frame
from dipr1.pixels import TURN, has_known_range, orientation, seen_size
from dipr1.progress import progress

if TYPE_CHECKING:
    from PIL import Image

# Reading headers waits for the disk or the network, so more threads than cores pay.
_NUM_THREADS = 8

MISSING = "image file is missing"
_MOST_NAMES = 20_000  # that a missing one is compared with

# How a whole file ends. A file that ends otherwise was cut short, or has something appended.
_ENDINGS = {"JPEG": b"\xff\xd9", "PNG": b"IEND\xaeB`\x82"}
_MISSING_PIXEL = 128
_NOISE = bytes(range(255)) * 16  # what may stand in a JPEG's data: no mark
_LATE_EXIF = (b"eXIf", b"exif", b"XMP", b"xmp")  # a PNG may have them after its pixels
_TAIL = 4096  # bytes at a file's end that are looked through for them


def unseen(
    policy: PolicyFrames, sizes: np.ndarray, faults: Sequence[str | None]
) -> list[str | None]:
    """`faults` with those of the images that a policy's processor refuses.

    Args:
        policy: how it sees images.
        sizes: (I, 2) widths and heights.
        faults: why each image cannot be used, None where it can.
    """
    reasons: dict[tuple[int, int], str | None] = {}
    for size in {tuple(size) for size, why in zip(sizes.tolist(), faults, strict=True) if not why}:
        try:
            policy_frame(policy, *size)
        except ValueError as error:
            reasons[size] = f"the policy cannot see an image of this size: {error}"
    return [
        why or reasons.get(tuple(size)) for size, why in zip(sizes.tolist(), faults, strict=True)
    ]


def sizes_and_faults(
    reading: Reading,
    table: Mapping[str, tuple[int, int]],
    *,
    has_files: bool,
    exif: str = TURN,
    decode: bool | None = None,
    declared_sizes: str = CHECK,
) -> tuple[np.ndarray, list[str | None]]:
    """(I, 2) width and height of each image, and in words why it cannot be used, None if it can.

    Args:
        reading: what a reader returned.
        table: sizes by image id, for images whose size nothing else tells.
        has_files: read the image files' headers; a file that is missing, broken or of another size
            than declared is a fault.
        exif: what becomes of their EXIF orientation.
        decode: read the files whole; by default where there are not too many.
        declared_sizes: whether those count that the annotations declare.
    """
    images = reading.images
    usable = [index for index, image in enumerate(images) if image.fault is None]
    headers: dict[int, Header | str] = {}
    if has_files:
        whole = len(usable) < DECODED_BY_DEFAULT if decode is None else decode
        answers = image_headers([images[index].image for index in usable], exif, decode=whole)
        headers = dict(zip(usable, answers, strict=True))
    sizes = np.zeros((len(images), 2), np.int32)
    faults: list[str | None] = [image.fault for image in images]
    for index in usable:
        image = images[index]
        if declared_sizes != CHECK:
            image = image._replace(size=None)
        size = _size_of(image, headers.get(index), table, exif)
        if isinstance(size, str):
            faults[index] = size
        else:
            sizes[index] = size
    return sizes, faults


def _size_of(
    image: ImageRecord,
    header: Header | str | None,
    table: Mapping[str, tuple[int, int]],
    exif: str,
) -> tuple[int, int] | str:
    """Width and height, or in words why the image cannot be used."""
    if isinstance(header, str):
        return header
    if image.size is not None and not all(map(_says_nothing, image.size)):
        size = whole_size(*image.size)
        if header is not None and size != header.size:
            return _other_size(image.size, size, header, exif)
        return size or "its declared size is not two positive whole numbers"
    known = header.size if header is not None else table.get(image.image_id)
    return known or "its size is not known: give --images or --sizes"


def _says_nothing(side: object) -> bool:
    """Whether a declared side stands for one that is not known."""
    return side is None or (isinstance(side, str) and not side.strip()) or _number(side) == 0


def _number(side: object) -> float:
    """A number, or the one that a text says; NaN for all else."""
    if isinstance(side, str):
        with contextlib.suppress(ValueError):
            return float(side)
    return side if type(side) in (int, float) else math.nan


def _other_size(
    declared: tuple[Any, Any], size: tuple[int, int] | None, header: Header, exif: str
) -> str:
    """In words, why a declared size is not the file's."""
    reason = (
        f"declared size {declared[0]} x {declared[1]} is not the file's"
        f" {header.size[0]} x {header.size[1]}"
    )
    if header.orientation < 5 or size != header.size[::-1]:
        return f"{reason} (declared_sizes: ignore trusts the files)"
    turned, remedy = ("", "ignore") if exif == TURN else ("not ", TURN)
    return f"{reason}, {turned}turned by its EXIF orientation (exif: {remedy} is for such sets)"


def an_example(missing: Sequence[str], folder: str) -> str:
    """For a message: one of the files that are missing, and the most similar name in the folder.

    >>> an_example(["no/such/a.jpg"], "no/such/folder"), an_example([], "no/such/folder")
    (', for example no/such/a.jpg', '')
    """
    if not missing:
        return ""
    names: dict[str, str] = {}
    for file in itertools.islice(visible_files(folder), _MOST_NAMES):
        names.setdefault(file.name, os.path.join(folder, file))
    near = difflib.get_close_matches(os.path.basename(missing[0]), names, n=1)
    return f", for example {missing[0]}" + (f"; there is {names[near[0]]}" if near else "")


class Header(NamedTuple):
    """What an image file says of itself."""

    size: tuple[int, int]  # as it is seen
    orientation: int  # of its EXIF, 1 where it has none


def image_headers(
    paths: Sequence[str], exif: str = TURN, *, decode: bool = False
) -> list[Header | str]:
    """The header of each image, or in words why it cannot be used.

    Without `decode`, JPEG and PNG files are decoded only if their end is not the format's own, to
    tell a truncated file from one with something appended; files of any other format are decoded.

    >>> image_headers(["no/such/file.jpg"])
    ['image file is missing']
    """
    read = partial(_header, exif=exif, decode=decode)
    with ThreadPoolExecutor(_NUM_THREADS) as pool:
        headers: Iterable[Header | str] = pool.map(read, paths)
        return list(progress(headers, total=len(paths), desc="images" if decode else "headers"))


def _header(path: str, exif: str, *, decode: bool) -> Header | str:
    from PIL import Image

    try:
        with open(path, "rb") as file, Image.open(file) as image:
            if not has_known_range(image):
                return f"image file has pixels without a known range (mode {image.mode})"
            header = None
            if decode or not _ends_well(file, image.format):
                if image.format == "JPEG":
                    header = Header(seen_size(image, exif), orientation(image))
                    image.draft("L", (1, 1))  # read whole, but an eighth of it is computed
                image.load()
                if image.format == "JPEG" and _is_cut(image, path):
                    raise ValueError("it ends early, though with the mark of its end")
            return header or Header(seen_size(image, exif), orientation(image))
    except FileNotFoundError:
        return MISSING
    # Pillow's plugins raise whatever the broken bytes lead to (SyntaxError, struct.error, ...).
    except Exception as error:
        reason = " ".join(str(error).split()).replace(path, "the file")
        return f"image file is broken: {reason or type(error).__name__}"


def _is_cut(image: Image.Image, path: str) -> bool:
    """Whether a decoded JPEG was cut inside and closed again, which Pillow does not say.

    The decoder leaves what is missing gray. Where the last pixel is gray, other bytes are put in
    front of the end: in a whole file nobody reads them. Of a progressive JPEG only the first scan
    is seen so.
    """
    from PIL import Image

    last = np.asarray(image)[-1, -1]
    content = Path(path).read_bytes() if (last == _MISSING_PIXEL).all() else b""
    if not content.endswith(_ENDINGS["JPEG"]):
        return False
    end = len(content) - len(_ENDINGS["JPEG"])
    with Image.open(io.BytesIO(content[:end] + _NOISE + content[end:])) as other:
        other.draft("L", (1, 1))
        return other.tobytes() != image.tobytes()


def _ends_well(file: BinaryIO, image_format: str | None) -> bool:
    ending = _ENDINGS.get(image_format or "")
    if ending is None:
        return False
    position = file.tell()
    file.seek(0, 2)
    file.seek(max(0, file.tell() - _TAIL))
    tail = file.read()
    file.seek(position)
    late = image_format == "PNG" and any(word in tail for word in _LATE_EXIF)
    return tail.endswith(ending) and not late


def whole_size(width: object, height: object) -> tuple[int, int] | None:
    """A declared size as whole numbers; None where no image can be of that size.

    >>> whole_size(640, 480.0), whole_size("640", "480.0"), whole_size(640, 0)
    ((640, 480), (640, 480), None)
    """
    sides = _number(width), _number(height)
    if not all(0 < side < 2**31 and side == int(side) for side in sides):  # NaN is not
        return None
    return int(sides[0]), int(sides[1])


def read_size_table(path: str) -> dict[str, tuple[int, int]]:
    """Image id -> (width, height), from a table of sizes.

    Args:
        path: JSON `{id: [height, width]}`, the order of MMDetection's `id_hw_train.json`, or
            `{id: {"width": ..., "height": ...}}`; else CSV or Parquet with the columns image_id,
            width and height.

    Raises:
        UserError: there is no such file, it is not one of these, or a size cannot be an image's.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in _SIZE_TABLES:
        raise UserError(
            f"{path}: expected a table of sizes named .json, .csv or .parquet but got {suffix!r}"
        )
    sizes = {}
    for image_id, width, height in _SIZE_TABLES[suffix](path):
        size = whole_size(width, height)
        if size is None:
            raise UserError(
                f"{path}: {image_id}: expected a positive width and height but got {width} and"
                f" {height}"
            )
        if sizes.setdefault(str(image_id), size) != size:
            raise UserError(f"{path}: {image_id}: has two different sizes; take one out")
    return sizes


def _sizes_of_json(path: str) -> Iterable[tuple[str, Any, Any]]:
    document = read_json(path, "table of sizes")
    if not isinstance(document, dict):
        raise UserError(
            f"{path}: expected {{id: [height, width]}} but got {type(document).__name__}"
        )
    for image_id, size in document.items():
        if isinstance(size, list) and len(size) == 2:
            yield image_id, size[1], size[0]
        elif isinstance(size, dict):
            yield image_id, size.get("width"), size.get("height")
        else:
            raise UserError(
                f"{path}: {image_id}: expected [height, width] or an object with width and height"
                f" but got {size}"
            )


def _sizes_of_table(path: str) -> Iterable[tuple[str, Any, Any]]:
    import pyarrow as pa

    try:
        if path.lower().endswith(".csv"):
            from pyarrow import csv

            # An id such as 0012 is not a number.
            options = csv.ConvertOptions(column_types={"image_id": pa.string()})
            table = csv.read_csv(path, convert_options=options)
        else:
            from pyarrow import parquet

            table = parquet.read_table(path)
        columns = [table[name].to_pylist() for name in ("image_id", "width", "height")]
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the table of sizes") from None
    except KeyError:
        raise UserError(
            f"{path}: expected the columns image_id, width, height but got"
            f" {', '.join(table.column_names)}"
        ) from None
    except (pa.ArrowInvalid, OSError) as error:
        raise UserError(f"{path}: not a table of sizes ({str(error).splitlines()[0]})") from None
    return zip(*columns, strict=True)


_SIZE_TABLES = {".json": _sizes_of_json, ".csv": _sizes_of_table, ".parquet": _sizes_of_table}
