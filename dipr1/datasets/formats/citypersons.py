"""CityPersons: `anno_val.mat`, folder `gtBboxCityPersons/val`, or the evaluation's `val_gt.json`.

The content tells which of the three it is.

- `anno_{split}.mat`, key `anno_{split}_aligned`: cells `cityname, im_name, bbs`; a row of `bbs` is
  class, x, y, width, height, instance id, and x, y, width, height of the visible part. Classes: 0
  ignore region, 1 pedestrian, 2 rider, 3 sitting person, 4 other, 5 group. A cell's type is the
  smallest that holds its numbers (uint8, uint16, int16), so x + width overflows unless it is cast.
- a folder of `{city}_{...}_gtBboxCityPersons.json` (or one of them): `imgWidth, imgHeight, objects`
  with `label, bbox, bboxVis`, the classes above by name.
- the evaluation's `val_gt.json`, COCO-like: every category is 1, `ignore` marks everything that is
  not a pedestrian (riders too) and `iscrowd` only the groups; file names are under `im_name`.

Ignore regions and groups are ignored whatever is asked for. They have no visible part of their own
(a group's is all zeros), so `visible` boxes leave them as they are. The visible share is that of
the areas. Images are 2048 x 1024, in one folder (`leftImg8bit/val`) or in a folder per city.

Source: https://github.com/cvgroup-njust/CityPersons.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

from dipr1.datasets.formats import coco
from dipr1.datasets.matlab import read_matlab
from dipr1.datasets.reading import (
    ANY_LABEL,
    BadRecord,
    Reading,
    four_numbers,
    image_path,
    parse_json,
    raw,
    read_json,
    visible_files,
    visible_share,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

LABELS = ("pedestrian", "rider", "sitting person", "person (other)")

# Class or label in the files -> (label, ignore).
_CLASSES = {
    0: (ANY_LABEL, True),
    **{number: (label, False) for number, label in enumerate(LABELS, start=1)},
    5: (ANY_LABEL, True),
}
_NAMES = {label: (label, False) for label in LABELS} | {
    "ignore": (ANY_LABEL, True),
    "person group": (ANY_LABEL, True),
}

BOXES = {"full": "bbox", "visible": "vis_bbox"}  # keys of the evaluation's file
_SIZE = (2048, 1024)
_SUFFIX = "_gtBboxCityPersons.json"
_ROW = "class, x, y, width, height, id and the visible x, y, width, height"


def read(annotations: str, images: str | None = None, box: str = "full") -> Reading:
    """Read CityPersons annotations.

    Args:
        annotations: the `.mat` file, a JSON file or a folder of JSON files.
        images: folder of the images, or of a folder per city.
        box: `full`, or `visible` for the visible part.

    Raises:
        UserError: there is no such file, or it is not one of the three layouts.
    """
    if os.path.isdir(annotations):
        return _read_folder(annotations, images, box)
    if _is_matlab(annotations):
        return _read_matlab(annotations, images, box)
    document = read_json(annotations, "CityPersons annotation file")
    if isinstance(document, dict) and "objects" in document:
        return _read_folder(annotations, images, box)
    document = coco.load(annotations)
    entries = [entry for entry in document["images"] if isinstance(entry, dict)]
    if entries and all("file_name" in entry and "im_name" not in entry for entry in entries):
        raise UserError(
            f"{annotations}: images are named under 'file_name' and not 'im_name': this is COCO's"
            " form, as for MMDetection; give --format coco"
        )
    layout = coco.Layout(["im_name"], BOXES[box])
    return coco.read_document(document, annotations, _Paths(images).of, layout)


class _Paths:
    """Where the images lie: one folder, or one per city."""

    def __init__(self, images: str | None) -> None:
        self.images = images
        self._has_city = cache(lambda city: os.path.isdir(os.path.join(images or "", city)))

    def of(self, name: str) -> str:
        city = name.partition("_")[0]
        nested = self.images is not None and city and self._has_city(city)
        return image_path(self.images, f"{city}/{name}" if nested else name)


def _is_matlab(path: str) -> bool:
    try:
        with open(path, "rb") as file:
            return file.read(6) == b"MATLAB"
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; give the CityPersons annotations") from None
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None


def _read_matlab(path: str, images: str | None, box: str) -> Reading:
    rows_of_image: list[np.ndarray] = []

    def raws(source: str, indices: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
        pairs = zip(indices, numbers, strict=True)
        return (raw(rows_of_image[index][number].tolist()) for index, number in pairs)

    reading = Reading(path, LABELS, box_record="{image}, row {number}", raws=raws)
    paths = _Paths(images)
    for position, cell in enumerate(_matlab_cells(path)):
        record = f"cell {position}"
        try:
            name, rows = _cell(cell)
        except BadRecord as fault:
            reading.reject_image(record, str(fault), " ".join(str(cell).split()))
            continue
        rows_of_image.append(rows)
        image = reading.add_image(
            _image_id(name),
            paths.of(name),
            record=record,
            raw=raw({"im_name": name}),
            size=_SIZE,
        )
        for number, row in enumerate(rows.astype(np.float64).tolist()):
            try:
                _add_row(reading, image, row, number, box)
            except BadRecord as fault:
                reading.reject_box(f"{record}, row {number}", str(fault), rows[number].tolist())
    return reading


def _matlab_cells(path: str) -> list[Any]:
    try:
        content = read_matlab(Path(path).read_bytes())
    except ValueError as error:
        raise UserError(f"{path}: not a readable .mat file ({error}); is it complete?") from None
    for name, value in content.items():
        if name.startswith("anno_") and isinstance(value, list):
            return value
    raise UserError(
        f"{path}: expected a variable anno_SPLIT_aligned but got {', '.join(content) or 'none'}"
    )


def _cell(cell: Any) -> tuple[str, np.ndarray]:
    """The image's file name and its (n, 10) rows."""
    fields = cell[0] if isinstance(cell, list) and cell else None
    if not isinstance(fields, dict) or not {"im_name", "bbs"} <= fields.keys():
        raise BadRecord("not a structure with im_name and bbs")
    name, rows = fields["im_name"], fields["bbs"]
    if not isinstance(name, str) or not name:
        raise BadRecord("im_name is no text")
    if not isinstance(rows, np.ndarray):
        raise BadRecord("bbs holds no numbers")
    if rows.size == 0:
        return name, np.zeros((0, 10))
    if rows.ndim != 2 or rows.shape[1] != 10:
        raise BadRecord(f"bbs has not the ten columns {_ROW}")
    return name, rows


def _image_id(name: str) -> str:
    """`frankfurt_000000_000294_leftImg8bit.png` -> `frankfurt_000000_000294`."""
    return Path(name).stem.removesuffix("_leftImg8bit")


def _add_row(reading: Reading, image: int, row: list[float], number: int, box: str) -> None:
    if row[0] not in _CLASSES:
        raise BadRecord("class is none of 0 to 5")
    label, ignore = _CLASSES[int(row[0])]
    _add(reading, image, label, ignore, row[1:5], row[6:], number, box)


def _add(
    reading: Reading,
    image: int,
    label: str,
    ignore: bool,
    full: Sequence[float],
    visible: Sequence[float],
    number: int,
    box: str,
) -> None:
    reading.add_box(
        image,
        xywh_to_xyxy(visible if box == "visible" and not ignore else full),
        label,
        number=number,
        ignore=ignore,
        visibility=None if ignore else visible_share(full, visible),
    )


def _read_folder(path: str, images: str | None, box: str) -> Reading:
    """A folder of JSON files, or one of them."""
    files = [Path(path)]
    if os.path.isdir(path):
        files = sorted(Path(path) / f for f in visible_files(path) if f.name.endswith(_SUFFIX))
    if not files:
        raise UserError(f"{path}: no file *{_SUFFIX} in it; give the folder gtBboxCityPersons")
    reading = Reading(path, LABELS, box_record="objects[{number}]", raws=_raw_objects)
    paths = _Paths(images)
    for file in files:
        _read_file(reading, file, paths, box)
    return reading


def _raw_objects(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    objects = read_json(source, "annotation file")["objects"]
    return (raw(objects[number]) for number in numbers)


def _read_file(reading: Reading, file: Path, paths: _Paths, box: str) -> None:
    reading.source, image_id = str(file), file.name.removesuffix(_SUFFIX).removesuffix(".json")
    try:
        text = file.read_bytes().decode("utf-8-sig", "backslashreplace")
    except OSError as error:
        reading.reject_image(file.name, f"cannot be read ({error.strerror})")
        return
    try:
        document = parse_json(text)
    except (ValueError, RecursionError):
        reading.reject_image(file.name, "not JSON", text)
        return
    objects = document.get("objects") if isinstance(document, dict) else None
    if not isinstance(objects, list):
        reading.reject_image(file.name, "not an object with a list of objects", text)
        return
    image = reading.add_image(
        image_id,
        paths.of(f"{image_id}_leftImg8bit.png"),
        record=file.name,
        raw=raw({key: value for key, value in document.items() if key != "objects"}),
        size=(document.get("imgWidth"), document.get("imgHeight")),
    )
    for number, entry in enumerate(objects):
        try:
            label, ignore, full, visible = _object(entry)
        except BadRecord as fault:
            reading.reject_box(f"objects[{number}]", str(fault), entry)
        else:
            _add(reading, image, label, ignore, full, visible, number, box)


def _object(entry: Any) -> tuple[str, bool, list[float], list[float]]:
    """Label, ignore, and the full and the visible box as xywh."""
    if not isinstance(entry, dict):
        raise BadRecord("not an object")
    name = entry.get("label")
    if not isinstance(name, str) or name not in _NAMES:
        raise BadRecord("unknown label")
    label, ignore = _NAMES[name]
    full = four_numbers(entry.get("bbox"), "bbox is not four numbers [x, y, width, height]")
    visible = [np.nan] * 4  # not needed for an ignore region
    if not ignore:
        reason = "bboxVis is not four numbers [x, y, width, height]"
        visible = four_numbers(entry.get("bboxVis"), reason)
    return label, ignore, full, visible
