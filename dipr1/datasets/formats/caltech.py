"""Caltech Pedestrians: the original `.vbb` files, or one JSON of the usual converters.

`set06/V000.vbb` is a MATLAB file with the boxes of all frames of a video; the frames, from 0, are
usually taken from the `.seq` videos one in thirty. With a folder of images, the data set is the
frames that lie there as `set06/V000/I00029.jpg`, `set06_V000_I00029.jpg` or `set06_V000_29.png`,
with or without people; boxes of other frames are not read. Boxes `[left, top, width, height]` count
from 1. Labels as the official evaluation uses them: `person` counts, `people` (a group) and
`person?` (uncertain) are an ignored `person`, `person-fa` (a known false alarm) keeps its name. The
visible share is that of the area of `posv` in that of `pos`; 1 where the box is not occluded, 0
where it is and both are the same, which is how the labelling tool stores a person nobody sees.

The JSON is COCO's with `vis_bbox` [x, y, width, height] besides `bbox`, `ignore` and often
`im_name` for `file_name`; visibility is the share of the areas.

Source: vbb.m and dbEval.m, version 3.2.1, https://data.caltech.edu/records/f6rph-90m20.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dipr1.datasets.matlab import read_matlab
from dipr1.datasets.reading import (
    BadRecord,
    Reading,
    annotation_files,
    four_numbers,
    image_path,
    raw,
    read_json,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

LABELS = ("person", "person-fa")
_IGNORED_PERSONS = ("people", "person?")
_FRAME_FILE = re.compile(r"(?:.*/)?(set\d\d)[_/](V\d\d\d)[_/]I?(\d+)\.(?:jpg|jpeg|png)")


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of `.vbb` files, one of them, or a JSON file.

    Args:
        annotations: the folder (with `set06/V000.vbb` below) or file.
        images: the folder of the frames; without it every frame of the video is named.

    Raises:
        UserError: no such file, not one of these, or no frame's image in the folder.
    """
    if Path(annotations).suffix == ".json":
        return _read_json(annotations, images)
    reading = Reading(annotations, LABELS, box_record="{image}, object {number}", raws=_raws)
    files = annotation_files(annotations, ".vbb")
    frames = None if images is None else _extracted_frames(images)
    for _, path in files:
        _read_video(reading, path, images, frames)
    return reading


# The JSON of converters


def _read_json(path: str, images: str | None) -> Reading:
    document = read_json(path, "Caltech JSON file")
    if not isinstance(document, dict) or not all(
        isinstance(document.get(key), list) for key in ("images", "annotations")
    ):
        raise UserError(f"{path}: expected a JSON object with lists images and annotations")
    reading = Reading(path, [LABELS[0]], box_record="annotations[{number}]", raws=_json_raws)
    index: dict[str, int] = {}
    for position, entry in enumerate(document["images"]):
        _add_json_image(reading, index, entry, f"images[{position}]", images)
    for number, entry in enumerate(document["annotations"]):
        try:
            image, box, ignored, visibility = _json_box(entry, index)
        except BadRecord as fault:
            reading.reject_box(f"annotations[{number}]", str(fault), entry)
        else:
            reading.add_box(
                image, box, LABELS[0], number=number, ignore=ignored, visibility=visibility
            )
    return reading


def _add_json_image(
    reading: Reading, index: dict[str, int], entry: Any, record: str, images: str | None
) -> None:
    name, key = None, None
    if isinstance(entry, dict):
        name, key = entry.get("file_name", entry.get("im_name")), entry.get("id")
    if not isinstance(name, str) or not name or not isinstance(key, (int, str)):
        reading.reject_image(record, "no id, or no file_name or im_name", entry)
        return
    size = entry.get("width"), entry.get("height")
    image = reading.add_image(
        str(key),
        image_path(images, name),
        record=record,
        raw=raw(entry),
        size=None if size == (None, None) else size,
    )
    index.setdefault(str(key), image)


def _json_box(entry: Any, index: dict[str, int]) -> tuple[int, Sequence[float], bool, float | None]:
    """Image, box, whether it is to be ignored, and visibility of an annotation."""
    if not isinstance(entry, dict):
        raise BadRecord("not an object")
    key = str(entry.get("image_id"))
    if key not in index:
        raise BadRecord("unknown image_id")
    flags = [entry.get(name) or 0 for name in ("ignore", "iscrowd")]
    if not all(isinstance(flag, (int, float)) and flag in (0, 1) for flag in flags):
        raise BadRecord("ignore or iscrowd is neither 0 nor 1")
    box, visibility = four_numbers(entry.get("bbox")), None
    if entry.get("vis_bbox") is not None:
        seen = four_numbers(entry["vis_bbox"], "vis_bbox is not four numbers")
        visibility = _share(seen, box)
    return index[key], xywh_to_xyxy(box), any(flags), visibility


def _json_raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    entries = read_json(source, "Caltech JSON file")["annotations"]
    return [raw(entries[number]) for number in numbers]


# The original .vbb files


class _Object(NamedTuple):
    frame: int  # from 0
    label: str
    pos: list[float]
    posv: list[float]
    is_occluded: bool


def _extracted_frames(folder: str) -> dict[tuple[str, str], dict[int, str]]:
    """(set, video) -> frame -> path below `folder`."""
    found: dict[tuple[str, str], dict[int, str]] = {}
    for file in sorted(path.relative_to(folder).as_posix() for path in Path(folder).rglob("*.*")):
        match = _FRAME_FILE.fullmatch(file)
        if match:
            found.setdefault((match[1], match[2]), {})[int(match[3])] = file
    if not found:
        raise UserError(
            f"{folder}: no frame such as set06/V000/I00029.jpg or set06_V000_I00029.jpg; extract"
            " the frames of the .seq videos first"
        )
    return found


def _read_video(
    reading: Reading,
    path: str,
    images: str | None,
    frames: dict[tuple[str, str], dict[int, str]] | None,
) -> None:
    video = Path(path).resolve().parent.name, Path(path).stem
    num_frames, objects = _load(path)
    if frames is None:
        files = {frame: "/".join((*video, f"I{frame:05d}.jpg")) for frame in range(num_frames)}
    else:
        files = frames.get(video, {})
    index = {
        frame: reading.add_image(
            "/".join((*video, f"I{frame:05d}")),
            image_path(images, file),
            record=f"frame {frame}",
            source=path,
        )
        for frame, file in sorted(files.items())
    }
    for number, item in enumerate(objects, start=1):
        if item.frame in index:
            _add_object(reading, index[item.frame], item, number, path)


def _add_object(reading: Reading, image: int, item: _Object, number: int, path: str) -> None:
    x, y, width, height = item.pos
    ignored = item.label in _IGNORED_PERSONS
    reading.add_box(
        image,
        xywh_to_xyxy([x - 1, y - 1, width, height]),
        LABELS[0] if ignored else item.label,
        number=number,
        ignore=ignored,
        visibility=_visibility(item),
        source=path,
    )


def _visibility(item: _Object) -> float:
    if not item.is_occluded or not any(item.posv):
        return 1.0
    return 0.0 if item.posv == item.pos else _share(item.posv, item.pos)


def _share(seen: Sequence[float], box: Sequence[float]) -> float:
    """The visible box's share of the area of the box, both [x, y, width, height]; NaN if unknown.

    >>> _share([1, 1, 5, 10], [0, 0, 10, 10])
    0.5
    """
    area = box[2] * box[3]
    return float(np.clip(seen[2] * seen[3] / area, 0, 1)) if area > 0 else np.nan


def _load(path: str) -> tuple[int, list[_Object]]:
    """Number of frames, and all objects in the order of the file."""
    try:
        annotation = read_matlab(Path(path).read_bytes())["A"][0]
        labels = [cell if isinstance(cell, str) else "" for cell in annotation["objLbl"]]
        frames = annotation["objLists"]
        return len(frames), list(_objects(frames, labels))
    # A damaged file may still be one of MATLAB's, with other things in the same places.
    except (OSError, ValueError, TypeError, KeyError, IndexError, AttributeError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise UserError(f"{path}: not a .vbb file of version 1.4 ({reason})") from None


def _objects(frames: list, labels: list[str]) -> Iterator[_Object]:
    for frame, content in enumerate(frames):
        for item in content if isinstance(content, list) else ():
            yield _Object(
                frame,
                labels[int(item["id"].item()) - 1],
                item["pos"].ravel().astype(float).tolist(),
                item["posv"].ravel().astype(float).tolist(),
                bool(item["occl"].item()),
            )


def _raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    _, objects = _load(source)
    return [raw(objects[number - 1]._asdict()) for number in numbers]
