"""UAVDT (UAV-benchmark-MOTD), vehicles: folder `GT` of `*_gt_whole.txt`, or one of these files.

A line of `{sequence}_gt_whole.txt` is `frame,id,x,y,width,height,out-of-view,occlusion,category`.
`{sequence}_gt.txt` is not read: it has no categories and lacks the boxes inside ignored regions. A
line of `{sequence}_gt_ignore.txt`, which may be empty or missing, is a region to ignore whatever is
asked for. Frames count from 1 and lie in `{sequence}/img000001.jpg`. Frames without any line exist:
they are read from the folder of images, so without one they are missing. Out-of-view and occlusion
are grades, so the visible share is unknown. Image sizes differ between sequences.

Source: readme of the UAV-benchmark-MOTD toolkit, https://sites.google.com/view/grli-uavdt.
"""

from __future__ import annotations

import os
import re

from dipr1.datasets.reading import (
    ANY_LABEL,
    Reading,
    annotation_files,
    image_path,
    read_lines,
    xywh_to_xyxy,
)
from dipr1.errors import UserError

LABELS = ("car", "truck", "bus")
_WHOLE, _IGNORE = "_gt_whole", "_gt_ignore"
_FRAME_FILE = re.compile(r"img(\d{6})\.jpg")
_NUM_WORDS = 9


def read(annotations: str, images: str | None = None) -> Reading:
    """Read the folder `GT`, or one `*_gt_whole.txt` with its ignore file beside it.

    Args:
        annotations: the folder or file.
        images: folder with a folder of frames per sequence.

    Raises:
        UserError: no such file or folder, or no `*_gt_whole.txt`.
    """
    reading = Reading(annotations, LABELS)
    sequences = [
        (name.removesuffix(_WHOLE), path)
        for name, path in annotation_files(annotations, ".txt")
        if name.endswith(_WHOLE)
    ]
    if not sequences:
        raise UserError(
            f"{annotations}: expected files named M0101{_WHOLE}.txt; only those have the categories"
        )
    for name, path in sequences:
        for frame in _frames_in_folder(images, name):
            _image(reading, images, name, frame)
        _read_file(reading, path, images, name, are_ignored=False)
        ignore_path = path.removesuffix(f"{_WHOLE}.txt") + f"{_IGNORE}.txt"
        if os.path.isfile(ignore_path):
            _read_file(reading, ignore_path, images, name, are_ignored=True)
    return reading


def _frames_in_folder(images: str | None, sequence: str) -> list[int]:
    folder = image_path(images, sequence)
    if images is None or not os.path.isdir(folder):
        return []
    matches = map(_FRAME_FILE.fullmatch, os.listdir(folder))
    return sorted(int(match[1]) for match in matches if match)


def _image(reading: Reading, images: str | None, sequence: str, frame: int) -> int:
    """The frame's index in the reading, which it joins where it is first met."""
    name = f"{sequence}/img{frame:06d}"
    if name not in reading.index:
        reading.add_image(name, image_path(images, f"{name}.jpg"), record=f"frame {frame}")
    return reading.index[name]


def _read_file(
    reading: Reading, path: str, images: str | None, sequence: str, *, are_ignored: bool
) -> None:
    reading.source = path
    for number, line in read_lines(path):
        record, words = f"line {number}", line.strip().split(",")
        try:
            if len(words) != _NUM_WORDS:
                raise ValueError
            frame, category = int(words[0]), int(words[-1])
            box = xywh_to_xyxy([float(word) for word in words[2:6]])
        except ValueError:
            reading.reject_box(record, "not nine numbers", line)
            continue
        if frame < 1:
            reading.reject_box(record, "frames count from 1", line)
        elif not are_ignored and not 1 <= category <= len(LABELS):
            reading.reject_box(record, "unknown category", line)
        else:
            label = ANY_LABEL if are_ignored else LABELS[category - 1]
            image = _image(reading, images, sequence, frame)
            reading.add_box(image, box, label, number=number, ignore=are_ignored)
