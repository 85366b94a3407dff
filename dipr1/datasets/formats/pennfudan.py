"""Penn-Fudan: folder `Annotation` with one text file per image.

The lines that matter are `Image filename`, `Image size (X x Y x C)`, `Objects with ground truth`
and one `Bounding box for object` each, `(Xmin, Ymin) - (Xmax, Ymax)` in pixels counted from 1 with
both ends inside: a box over the first pixel alone is `(1, 1) - (1, 1)`, here (0, 0, 1, 1). Standing
and walking people are both `person`; none is ignored and the visible share is unknown (the severely
occluded are not annotated at all). A file with fewer boxes than it announces was cut short, so its
image is rejected. The images are in `PNGImages`.

Source: https://www.cis.upenn.edu/~jshi/ped_html (readme.txt of the archive).
"""

from __future__ import annotations

import re
from pathlib import PurePosixPath

from dipr1.datasets.reading import Reading, image_path, read_lines

LABELS = ("person",)
_FILE_NAME = re.compile(r'Image filename : "(.+)"')
_SIZE = re.compile(r"Image size \(X x Y x C\) : (\S+) x (\S+) x \S+")
_COUNT = re.compile(r"Objects with ground truth : (\d{1,9})")
_BOX = re.compile(
    r"Bounding box for object \d+ .*: "
    r"\((-?[\d.]+), (-?[\d.]+)\) - \((-?[\d.]+), (-?[\d.]+)\)"
)


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of annotation files (or one of them).

    Args:
        annotations: the folder or file.
        images: the folder `PNGImages`.

    Raises:
        UserError: there is no such file, or no .txt file in the folder.
    """
    reading = Reading(annotations, LABELS)
    for name, path in reading.files(".txt"):
        lines = [(number, line.strip()) for number, line in read_lines(path)]
        boxes = [(number, line) for number, line in lines if line.startswith("Bounding box")]
        image = _add_image(reading, name, [line for _, line in lines], len(boxes), images)
        for number, line in boxes:
            _add_box(reading, image, number, line)
    return reading


def _add_image(
    reading: Reading,
    name: str,
    lines: list[str],
    num_boxes: int,
    images: str | None,
) -> int:
    file_name, size, count = (
        next(filter(None, map(pattern.match, lines)), None)
        for pattern in (_FILE_NAME, _SIZE, _COUNT)
    )
    fault = None
    if file_name is None or size is None or count is None:
        fault = "no file name, size or number of objects in its file"
    elif int(count[1]) != num_boxes:
        fault = "its file has more or fewer boxes than it announces"
    return reading.add_image(
        name,
        image_path(images, PurePosixPath(file_name[1]).name if file_name else f"{name}.png"),
        record=f"{name}.txt",
        raw="\n".join(match[0] for match in (file_name, size, count) if match),
        size=(size[1], size[2]) if size else None,
        fault=fault,
    )


def _add_box(reading: Reading, image: int, number: int, line: str) -> None:
    match = _BOX.fullmatch(line)
    try:
        x1, y1, x2, y2 = map(float, match.groups() if match else ())
    except ValueError:
        reading.reject_box(f"line {number}", "no (Xmin, Ymin) - (Xmax, Ymax)", line)
    else:
        reading.add_box(image, (x1 - 1, y1 - 1, x2, y2), LABELS[0], number=number)
