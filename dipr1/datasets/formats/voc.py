"""PASCAL VOC: folder `Annotations` with one XML file per image.

An `object` has a `name`, an optional `difficult` (1 is ignored, as in the official evaluation) and
a `bndbox` whose `xmin`, `ymin`, `xmax`, `ymax` may stand in any order and have decimals. They are
pixels counted from 1 with both ends inside: a box over the first pixel alone is (1, 1, 1, 1), here
(0, 0, 1, 1). An object's `part`s (head, hand, foot) have boxes too and are not read. The visible
share is unknown. The images, in `JPEGImages`, are named in the files, by whole paths at times. A
file may be in any encoding that Python knows and its XML declaration names. One that declares
entities is rejected unread: expanding them can fill the memory.

Source: VOC2012 development kit, http://host.robots.ox.ac.uk/pascal/VOC.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import PureWindowsPath
from typing import TYPE_CHECKING

from dipr1.datasets.reading import BadRecord, Reading, annotation_files, image_path
from dipr1.datasets.xml_files import parse_xml
from dipr1.progress import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_SIDES = ("xmin", "ymin", "xmax", "ymax")


def read(annotations: str, images: str | None = None) -> Reading:
    """Read a folder of XML files (or one of them); images are named in the files.

    Args:
        annotations: the folder or file.
        images: the folder `JPEGImages`.

    Raises:
        UserError: there is no such file, or no .xml file in the folder.
    """
    reading = Reading(annotations, box_record="object {number}", raws=_raws)
    for name, path in _files(annotations):
        reading.source = path
        try:
            root = parse_xml(path, "annotation")
        except BadRecord as fault:
            reading.reject_image(f"{name}.xml", str(fault))
            continue
        # Only the name: some tools write whole paths, Windows ones included.
        file_name = PureWindowsPath(root.findtext("filename", "").strip()).name or f"{name}.jpg"
        image = reading.add_image(
            name,
            image_path(images, file_name if "." in file_name else f"{file_name}.jpg"),
            record=f"{name}.xml",
            raw=file_name,
            size=(root.findtext("size/width"), root.findtext("size/height")),
        )
        for number, element in enumerate(root.findall("object"), start=1):
            _read_object(reading, image, element, number)
    return reading


def _files(annotations: str) -> list[tuple[str, str]]:
    """Those in the folder itself, for a set is flat and what lies below are copies of it; where
    there are none, all below."""
    files = annotation_files(annotations, ".xml")
    flat = [(name, path) for name, path in files if "/" not in name]
    if flat and len(flat) < len(files):
        say(f"{annotations}: {len(files) - len(flat)} files in folders below it are not read")
    return flat or files


def _read_object(reading: Reading, image: int, element: Element, number: int) -> None:
    try:
        label, ignored, box = _label(element), _is_difficult(element), _box(element)
    except BadRecord as fault:
        reading.reject_box(f"object {number}", str(fault), _text(element))
    else:
        reading.add_box(image, box, label, number=number, ignore=ignored)


def _label(element: Element) -> str:
    label = element.findtext("name", "").strip()
    if not label:
        raise BadRecord("no name")
    return label


def _is_difficult(element: Element) -> bool:
    text = element.findtext("difficult", "0").strip()
    if text not in ("0", "1"):
        raise BadRecord("difficult is neither 0 nor 1")
    return text == "1"


def _box(element: Element) -> tuple[float, float, float, float]:
    bndbox = element.find("bndbox")
    texts = {} if bndbox is None else {side.tag: side.text for side in bndbox}
    try:
        x1, y1, x2, y2 = (float(texts[side]) for side in _SIDES)
    except (KeyError, TypeError, ValueError):
        raise BadRecord("bndbox is not xmin, ymin, xmax, ymax") from None
    return x1 - 1, y1 - 1, x2, y2


def _text(element: Element) -> str:
    from xml.etree.ElementTree import tostring

    try:
        return tostring(element, encoding="unicode").strip()
    except RecursionError:
        return ""


def _raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    objects = parse_xml(source, "annotation").findall("object")
    return [_text(objects[number - 1]) for number in numbers]
