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
        _Sequence(reading, name, images, path).read()
    return reading


class _Sequence:
    """The frames of one sequence, added to the reading as they are met."""

    def __init__(self, reading: Reading, name: str, images: str | None, path: str) -> None:
        self.reading, self.name, self.images, self.path = reading, name, images, path
        self.index: dict[int, int] = {}  # frame -> its index in the reading

    def read(self) -> None:
        for frame in self._frames_in_folder():
            self._image(frame)
        self._read_file(self.path, are_ignored=False)
        ignore_path = self.path.removesuffix(f"{_WHOLE}.txt") + f"{_IGNORE}.txt"
        if os.path.isfile(ignore_path):
            self._read_file(ignore_path, are_ignored=True)

    def _frames_in_folder(self) -> list[int]:
        folder = image_path(self.images, self.name)
        if self.images is None or not os.path.isdir(folder):
            return []
        matches = map(_FRAME_FILE.fullmatch, os.listdir(folder))
        return sorted(int(match[1]) for match in matches if match)

    def _image(self, frame: int) -> int:
        if frame not in self.index:
            name = f"{self.name}/img{frame:06d}"
            path = image_path(self.images, f"{name}.jpg")
            self.index[frame] = self.reading.add_image(
                name, path, record=f"frame {frame}", source=self.path
            )
        return self.index[frame]

    def _read_file(self, path: str, *, are_ignored: bool) -> None:
        for number, line in read_lines(path):
            if not line.strip():
                continue
            record = f"line {number}"
            words = line.strip().split(",")
            try:
                if len(words) != _NUM_WORDS:
                    raise ValueError
                frame, category = int(words[0]), int(words[-1])
                box = xywh_to_xyxy([float(word) for word in words[2:6]])
            except ValueError:
                self.reading.reject_box(record, "not nine numbers", line, source=path)
                continue
            if frame < 1:
                self.reading.reject_box(record, "frames count from 1", line, source=path)
            elif not are_ignored and not 1 <= category <= len(LABELS):
                self.reading.reject_box(record, "unknown category", line, source=path)
            else:
                label = ANY_LABEL if are_ignored else LABELS[category - 1]
                self.reading.add_box(
                    self._image(frame), box, label, number=number, ignore=are_ignored, source=path
                )
