"""MOTChallenge (MOT15, 16, 17, 20): folder of sequences with `gt/gt.txt`, or one of them.

Nine columns (MOT16 on): `frame,id,left,top,width,height,conf,class,visibility`. Ten columns
(MOT15): `frame,id,left,top,width,height,conf,x,y,z`, pedestrians only; the last three are a place
in the world. Frames and boxes count from 1: the first pixel's left side is 1 there and 0 here. An
id or a `conf` of -1 is what detectors and trackers write, so such a line is rejected.

A `conf` of 0 means: not evaluated, hence ignored. What the official evaluation forgives as a
pedestrian (person on vehicle, static person, distractor, reflection, crowd) becomes an ignored
`pedestrian`; vehicles and occluders keep their own labels. Where `gt/labels.txt` lies beside, as
CVAT writes it, a class is a line of it. `seqinfo.ini` gives length, file names and, mostly, the
size; without it the frames are those with a line. Each MOT17 sequence comes three times, under the
names of three detectors with the same frames and boxes: the first is read, and the others must be
the same. The folder of images is the one that holds the sequences, usually the same.

Source: https://motchallenge.net/instructions and Milan et al., MOT16, arXiv 1603.00831.
"""

from __future__ import annotations

import configparser
import re
from pathlib import Path
from typing import NamedTuple

from dipr1.datasets.reading import BadRecord, Reading, image_path, read_lines, xywh_to_xyxy
from dipr1.errors import UserError

PEDESTRIAN = "pedestrian"
LABELS = (
    PEDESTRIAN,
    "car",
    "bicycle",
    "motorbike",
    "non motorized vehicle",
    "occluder",
    "occluder on the ground",
    "occluder full",
)
_CLASSES = {
    1: PEDESTRIAN,
    3: "car",
    4: "bicycle",
    5: "motorbike",
    6: "non motorized vehicle",
    9: "occluder",
    10: "occluder on the ground",
    11: "occluder full",
}
_LIKE_PEDESTRIANS = {2, 7, 8, 12, 13}  # on vehicle, static, distractor, reflection, crowd
_MOST_FRAMES = 999_999  # a frame's file name has six digits
_DETECTOR = re.compile(r"(MOT17-\d+)-(DPM|FRCNN|SDP)")


class _Sequence(NamedTuple):
    name: str
    path: Path  # gt.txt
    length: int
    labels: dict[int, str]  # its own classes; none where they are MOTChallenge's
    size: tuple[str | None, str | None]  # as it stands in seqinfo.ini
    folder: str
    suffix: str

    def file_name(self, frame: int) -> str:
        return f"{self.name}/{self.folder}/{frame:06d}{self.suffix}"


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of sequences, one sequence, or its `gt.txt`.

    Args:
        annotations: the folder or file.
        images: the folder that holds the sequences' folders, for MOT20 `MOT20/train`.

    Raises:
        UserError: there is no `gt/gt.txt`, or a `seqinfo.ini` is not one.
    """
    reading = Reading(annotations)
    for path in _ground_truths(Path(annotations)):
        sequence = _sequence(path)
        for label in sequence.labels.values() or LABELS:
            reading.label_code(label)  # can be asked for, even where no box has it
        _read_sequence(reading, sequence, images)
    return reading


def _ground_truths(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    single = path / "gt" / "gt.txt"
    files = [single] if single.is_file() else sorted(path.glob("[!.]*/gt/gt.txt"))
    if not files:
        raise UserError(
            f"{path}: no gt/gt.txt in this folder or in its folders; give the folder of the"
            " training sequences (the test sequences have no ground truth)"
        )
    different: dict[str, Path] = {}
    for file in files:
        name = file.parents[1].name
        match = _DETECTOR.fullmatch(name)
        first = different.setdefault(match[1] if match else name, file)
        if file.read_bytes() != first.read_bytes():
            raise UserError(f"{file}: not the same as {first}; leave one folder of this sequence")
    return list(different.values())


def _sequence(path: Path) -> _Sequence:
    folder = path.resolve().parents[1]
    labels_path, info_path = path.with_name("labels.txt"), folder / "seqinfo.ini"
    labels = {}
    if labels_path.is_file():
        labels = {
            number: line.strip() for number, line in read_lines(str(labels_path)) if line.strip()
        }
    if not info_path.is_file():
        return _Sequence(folder.name, path, 0, labels, (None, None), "img1", ".jpg")
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read(info_path, encoding="utf-8-sig")
        info = parser["Sequence"]
        length = int(info["seqLength"])
        if not 0 <= length <= _MOST_FRAMES:
            raise ValueError(f"seqLength {length}")
    except (configparser.Error, KeyError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise UserError(
            f"{info_path}: not a seqinfo.ini with a whole number under seqLength ({reason})"
        ) from None
    name, suffix = info.get("imDir", "img1"), info.get("imExt", ".jpg")
    size = info.get("imWidth"), info.get("imHeight")
    return _Sequence(folder.name, path, length, labels, size, name, suffix)


def _read_sequence(reading: Reading, sequence: _Sequence, images: str | None) -> None:
    reading.source = str(sequence.path)
    for frame in range(1, sequence.length + 1):
        _image(reading, images, sequence, frame)
    for number, line in read_lines(reading.source):
        try:
            numbers = [float(word) for word in line.strip().split(",")]
            frame, (left, top, width, height) = _frame(numbers[0]), numbers[2:6]
            label, ignored, visibility = _meaning(numbers, sequence.labels)
        except BadRecord as fault:
            reading.reject_box(f"line {number}", str(fault), line)
        except (ValueError, IndexError):
            reading.reject_box(f"line {number}", "not nine or ten numbers", line)
        else:
            reading.add_box(
                _image(reading, images, sequence, frame),
                xywh_to_xyxy([left - 1, top - 1, width, height]),
                label,
                number=number,
                ignore=ignored,
                visibility=visibility,
            )


def _image(reading: Reading, images: str | None, sequence: _Sequence, frame: int) -> int:
    """The frame's index in the reading, which it joins where it is first met."""
    name = f"{sequence.name}/{frame:06d}"
    if name not in reading.index:
        path = image_path(images, sequence.file_name(frame))
        reading.add_image(name, path, record=f"frame {frame}", size=sequence.size)
    return reading.index[name]


def _frame(number: float) -> int:
    if not number.is_integer():
        raise BadRecord("frame is not a whole number")
    if number < 1:
        raise BadRecord("frames count from 1")
    return int(number)


def _meaning(numbers: list[float], labels: dict[int, str]) -> tuple[str, bool, float | None]:
    """Label, whether it is to be ignored, and visibility of a line."""
    if len(numbers) not in (9, 10):
        raise ValueError
    if -1 in (numbers[1], numbers[6]):
        raise BadRecord("id or conf is -1: a detection, not ground truth")
    not_evaluated = numbers[6] == 0
    if len(numbers) == 10:
        return PEDESTRIAN, not_evaluated, None
    number, visibility = numbers[7], min(max(numbers[8], 0.0), 1.0)
    if not labels and number in _LIKE_PEDESTRIANS:
        return PEDESTRIAN, True, visibility
    label = (labels or _CLASSES).get(number)
    if label is None:
        raise BadRecord("unknown class")
    return label, not_evaluated, visibility
