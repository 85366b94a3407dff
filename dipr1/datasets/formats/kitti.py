"""KITTI: folder `label_2` with one text file per image.

A line is `type truncated occluded alpha left top right bottom height width length x y z rotation`,
with the score behind it in result files; a type may have several words. The box is in pixels
counted from 0, with decimals, and is taken as it is. `DontCare` lines have no 3D box (-1, -1000)
but a valid 2D one: a region where objects were not labelled, ignored whatever is asked for.
`occluded` is a grade (3 = unknown) and `truncated` the share outside the image, so the visible
share is unknown. An empty file is an image without objects. The images are `image_2/{name}.png`;
only they tell their size.

Source: readme.txt of the object development kit, https://www.cvlibs.net/datasets/kitti.
"""

from __future__ import annotations

from dipr1.datasets.reading import ANY_LABEL, Reading, image_path, read_lines

LABELS = ("Car", "Van", "Truck", "Pedestrian", "Person_sitting", "Cyclist", "Tram", "Misc")
_NUM_NUMBERS = (14, 15)


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of label files (or one of them); images are `{name}.png`.

    Raises:
        UserError: there is no such file, or no .txt file in the folder.
    """
    reading = Reading(annotations, LABELS)
    for name, path in reading.files(".txt"):
        file_name = f"{name}.png"
        image = reading.add_image(name, image_path(images, file_name), record=file_name)
        for number, line in read_lines(path):
            _read_object(reading, image, line.split(), number)
    return reading


def _read_object(reading: Reading, image: int, words: list[str], number: int) -> None:
    # told from the end: a type of two words would pass for a type and the numbers of a result
    start = next((at for at in range(len(words), 1, -1) if not _is_number(words[at - 1])), 1)
    label, numbers = " ".join(words[:start]), words[start:]
    if len(numbers) not in _NUM_NUMBERS or any(map(_is_number, words[: start - 1])):
        reading.reject_box(f"line {number}", "not a type and 14 numbers", " ".join(words))
        return
    ignored = label == "DontCare"
    box = [float(word) for word in numbers[3:7]]
    label = ANY_LABEL if ignored else label
    reading.add_box(image, box, label, number=number, ignore=ignored)


def _is_number(word: str) -> bool:
    try:
        float(word)
    except ValueError:
        return False
    return True
