"""VisDrone-DET: folder `annotations` with one text file per image.

A line is `x,y,width,height,score,category,truncation,occlusion`, with or without a comma at its
end. A score of 0 means: not evaluated, hence ignored. Category 0 is an ignored region, whatever is
asked for; category 11 is `others`, ignored by its score. Truncation and occlusion are grades
(occlusion 2 is anything from 50 % to 100 %), so the visible share is unknown. The images are
`{name}.jpg`; only they tell their size.

Source: results format at http://aiskyeye.com and https://github.com/VisDrone/VisDrone-Dataset.
"""

from __future__ import annotations

from dipr1.datasets.reading import (
    ANY_LABEL,
    Reading,
    image_path,
    read_lines,
    xywh_to_xyxy,
)

LABELS = (
    "pedestrian",
    "people",
    "bicycle",
    "car",
    "van",
    "truck",
    "tricycle",
    "awning-tricycle",
    "bus",
    "motor",
    "others",
)
_NAMES = (ANY_LABEL, *LABELS)


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of annotation files (or one of them); images are `{name}.jpg`.

    Raises:
        UserError: there is no such file, or no .txt file in the folder.
    """
    reading = Reading(annotations, LABELS)
    for name, path in reading.files(".txt"):
        file_name = f"{name}.jpg"
        image = reading.add_image(name, image_path(images, file_name), record=file_name)
        for number, line in read_lines(path):
            _read_object(reading, image, line, number)
    return reading


def _read_object(reading: Reading, image: int, line: str, number: int) -> None:
    words = line.strip().removesuffix(",").split(",")
    try:
        *box, score, category, _, _ = map(float, words)
        if len(box) != 4:
            raise ValueError
    except ValueError:
        reading.reject_box(f"line {number}", "not eight numbers", line)
        return
    if category not in range(len(_NAMES)):
        reading.reject_box(f"line {number}", "unknown category", line)
        return
    label = _NAMES[int(category)]
    ignored = score == 0 or label == ANY_LABEL
    reading.add_box(image, xywh_to_xyxy(box), label, number=number, ignore=ignored)
