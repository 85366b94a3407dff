"""WIDER Pedestrian: `train_annotations.txt` (2018) or `train_bbox.txt` (2019), or their folder.

A line of 2018 is `name [class x y width height]*`, class 1 a pedestrian and 2 a cyclist; of 2019 it
is `name [x y width height]*`, all pedestrians; the lines of a file tell which it is. A name alone
is an image without people and is kept. The ignore file, `pedestrian_ignore_part_train.txt` (2019:
`train_ignore.txt`), is `name [x y width height]*`: regions to ignore whatever is asked for. It is
the file beside the annotations with `ignore` in its name and the same split (train, val, ...) in
it, or none where theirs has none; an image that it alone names does not belong to the split. The
visible share is unknown. The 2019 images (`ad*`, `sur*`) lie in several folders, so an image that
is not in `images` itself is looked for below it.

Source: https://wider-challenge.org (data: CodaLab competitions 19118 and 20132).
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from dipr1.datasets.reading import (
    ANY_LABEL,
    Reading,
    annotation_files,
    image_path,
    read_lines,
    visible_files,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

LABELS = ("pedestrian", "cyclist")
_SPLITS = frozenset(("train", "val", "test", "dev"))
_ANNOTATION_WORDS = ("annotations", "bbox")
_NUMBERS = {4: "four", 5: "five"}


def read(annotations: str, images: str | None = None) -> Reading:
    """Read an annotation file, or all in a folder, with the ignore file of each.

    Args:
        annotations: `train_annotations.txt`, or the folder of such files.
        images: the folder of the images, which may lie in folders below.

    Raises:
        UserError: no such file, no annotation file in the folder, or two ignore files of a split.
    """
    reading = Reading(annotations, LABELS)
    places = _places(images)
    for path in _annotation_paths(annotations):
        _read_annotations(reading, path, images, places)
        regions = ignore_file(path)
        if regions is not None:
            _read_ignored(reading, regions)
    return reading


def _annotation_paths(path: str) -> list[str]:
    if os.path.isfile(path):
        return [path]
    files = [file for _, file in annotation_files(path, ".txt")]
    named = [file for file in files if any(word in Path(file).stem for word in _ANNOTATION_WORDS)]
    if not named:
        raise UserError(f"{path}: expected files such as train_annotations.txt or train_bbox.txt")
    return named


def numbers_per_box(rows: Sequence[Sequence[str | float]]) -> int:
    """How many numbers a file has per box: 5 with a class (2018), 4 without (2019).

    Args:
        rows: what stands behind the name in each line.

    >>> numbers_per_box([["1", "10", "20", "30", "40"], []])
    5
    """
    known = {"1", "2", 1.0, 2.0}
    with_class = sum(len(row) % 5 == 0 and known.issuperset(row[::5]) for row in rows)
    return 5 if with_class >= sum(len(row) % 4 == 0 for row in rows) else 4


def ignore_file(path: str) -> str | None:
    """The ignore file that belongs to an annotation file: beside it, of the same split.

    Raises:
        UserError: there are several.
    """
    beside = sorted(
        file for file in Path(path).parent.glob("*ignore*.txt") if _splits(file) == _splits(path)
    )
    if len(beside) > 1:
        names = " and ".join(file.name for file in beside)
        raise UserError(f"{path}: {names} could each be its ignore file; leave one beside it")
    return str(beside[0]) if beside else None


def _splits(path: str | Path) -> set[str]:
    """The splits that a file's name speaks of."""
    return _SPLITS.intersection(re.split(r"[_.]", Path(path).name))


def _places(folder: str | None) -> dict[str, str]:
    """Where images below `folder` lie, by name; those in it itself need no looking up."""
    if folder is None or not os.path.isdir(folder):
        return {}
    files = sorted(visible_files(folder), reverse=True)
    return {file.name: os.path.join(folder, file) for file in files if len(file.parts) > 1}


def _read_annotations(
    reading: Reading, path: str, images: str | None, places: dict[str, str]
) -> None:
    reading.source = path
    lines = [(number, line, line.split()) for number, line in read_lines(path)]
    per_box = numbers_per_box([words[1:] for _, _, words in lines])
    for number, line, words in lines:
        record, name = f"line {number}", words[0]
        if len(words) % per_box != 1:
            reason = f"not a name and {_NUMBERS[per_box]} numbers per box"
            reading.reject_image(record, reason, line)
            continue
        plain = image_path(images, name)
        place = plain if name not in places or os.path.exists(plain) else places[name]
        image = reading.add_image(name, place, record=record, raw=name)
        for box in _chunks(words[1:], per_box):
            kind = box[0] if per_box == 5 else "1"
            if kind in ("1", "2"):
                _add_box(reading, image, box[-4:], LABELS[int(kind) - 1], number)
            else:
                reading.reject_box(record, "class is neither 1 nor 2", " ".join(box))


def _read_ignored(reading: Reading, path: str) -> None:
    reading.source = path
    for number, line in read_lines(path):
        words = line.split()
        image = reading.index.get(words[0])
        if image is None or len(words) % 4 != 1:
            reason = "not an image of the split" if image is None else "not four numbers per box"
            reading.reject_box(f"line {number}", reason, line)
            continue
        for box in _chunks(words[1:], 4):
            _add_box(reading, image, box, ANY_LABEL, number)


def _add_box(reading: Reading, image: int, words: Sequence[str], label: str, number: int) -> None:
    try:
        box = xywh_to_xyxy([float(word) for word in words])
    except ValueError:
        reading.reject_box(f"line {number}", "not four numbers", " ".join(words))
    else:
        reading.add_box(image, box, label, number=number, ignore=label == ANY_LABEL)


def _chunks(words: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    return (words[start : start + size] for start in range(0, len(words), size))
