"""Caltech Pedestrians: folder of `.vbb` files, one of them, or the JSON of the usual converters.

`set06/V000.vbb` is a MATLAB file with the boxes of all frames of a video; the frames, from 0, are
usually taken from the `.seq` videos one in thirty. With a folder of images, the data set is the
frames that lie there as `set06/V000/I00029.jpg`, `set06_V000_I00029.jpg` or `set06_V000_29.png`,
with or without people; boxes of other frames are not read. Boxes `[left, top, width, height]` count
from 1. Labels as the official evaluation uses them: `person` counts, `people` (a group) and
`person?` (uncertain) are an ignored `person`, `person-fa` (a known false alarm) keeps its name. The
visible share is that of the area of `posv` in that of `pos`; 1 where the box is not occluded, 0
where it is and both are the same, which is how the labelling tool stores a person nobody sees.

The JSON is COCO's, read as such, with `vis_bbox` [x, y, width, height] besides `bbox`, often
`im_name` for `file_name`, and persons only, whatever its categories say. The visible share is that
of the areas, or `vis_ratio` without `vis_bbox`.

Source: vbb.m and dbEval.m, version 3.2.1, https://data.caltech.edu/records/f6rph-90m20.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

from dipr1.datasets.formats import coco
from dipr1.datasets.matlab import read_matlab
from dipr1.datasets.reading import (
    Reading,
    four_numbers,
    image_path,
    raw,
    visible_files,
    visible_share,
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
        layout = coco.Layout(["file_name", "im_name"], "bbox", _visible_share, LABELS[0])
        document = coco.load(annotations, coco.LISTS[:2])
        return coco.read_document(document, annotations, partial(image_path, images), layout)
    reading = Reading(annotations, LABELS, box_record="{image}, object {number}", raws=_raws)
    frames = None if images is None else _extracted_frames(images)
    for _, path in reading.files(".vbb"):
        _read_video(reading, path, images, frames)
    return reading


def _visible_share(annotation: dict[str, Any]) -> float | None:
    """The visible share of an annotation of the JSON."""
    if annotation.get("vis_bbox") is None:
        return coco.stated_visibility(annotation)
    seen = four_numbers(annotation["vis_bbox"], "vis_bbox is not four numbers")
    return visible_share(four_numbers(annotation["bbox"]), seen)


class _Object(NamedTuple):
    frame: int  # from 0
    label: str
    pos: list[float]
    posv: list[float]
    is_occluded: bool


def _extracted_frames(folder: str) -> dict[tuple[str, str], dict[int, str]]:
    """(set, video) -> frame -> path below `folder`."""
    frames: dict[tuple[str, str], dict[int, str]] = {}
    for file in sorted(path.as_posix() for path in visible_files(folder)):
        match = _FRAME_FILE.fullmatch(file)
        if match:
            frames.setdefault((match[1], match[2]), {})[int(match[3])] = file
    if not frames:
        raise UserError(
            f"{folder}: no frame such as set06/V000/I00029.jpg or set06_V000_I00029.jpg; extract"
            " the frames of the .seq videos first"
        )
    return frames


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
        )
        for frame, file in sorted(files.items())
    }
    for number, item in enumerate(objects, start=1):
        if item.frame in index:
            _add_object(reading, index[item.frame], item, number)


def _add_object(reading: Reading, image: int, item: _Object, number: int) -> None:
    x, y, width, height = item.pos
    ignored = item.label in _IGNORED_PERSONS
    reading.add_box(
        image,
        xywh_to_xyxy([x - 1, y - 1, width, height]),
        LABELS[0] if ignored else item.label,
        number=number,
        ignore=ignored,
        visibility=_visibility(item),
    )


def _visibility(item: _Object) -> float | None:
    if not item.is_occluded or not any(item.posv):
        return 1.0
    return 0.0 if item.posv == item.pos else visible_share(item.pos, item.posv)


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
