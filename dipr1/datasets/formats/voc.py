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

import codecs
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PureWindowsPath
from typing import TYPE_CHECKING

from dipr1.datasets.reading import BadRecord, Reading, annotation_files, image_path
from dipr1.errors import UserError
from dipr1.progress import say

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_MARKS = {
    codecs.BOM_UTF8: "utf-8",
    codecs.BOM_UTF32_LE: "utf-32-le",  # begins as UTF-16's does
    codecs.BOM_UTF32_BE: "utf-32-be",
    codecs.BOM_UTF16_LE: "utf-16-le",
    codecs.BOM_UTF16_BE: "utf-16-be",
}
_WITHOUT_MARK = {b"<\0?\0": "utf-16-le", b"\0<\0?": "utf-16-be"}
_DECLARATION = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([\w.:-]+)["']""", re.ASCII)
# What Windows in China writes under either name is the largest of the three.
_WIDER = {"gb2312": "gb18030", "gbk": "gb18030"}
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
            root = _parse(path)
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


def _parse(path: str) -> Element:
    """The file's root; any fault is a BadRecord, for it spoils one image only."""
    from xml.etree.ElementTree import TreeBuilder
    from xml.parsers import expat

    def refuse(*_: object) -> None:
        raise BadRecord("its file declares XML entities")

    builder = TreeBuilder()
    parser = expat.ParserCreate("utf-8")  # whatever the declaration says
    parser.buffer_text = True
    parser.EntityDeclHandler = refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.data
    try:
        parser.Parse(_decoded(Path(path).read_bytes()).encode(), True)
    except OSError as error:
        raise UserError(f"{path}: cannot be read ({error.strerror})") from None
    except BadRecord:
        raise
    except (expat.ExpatError, UnicodeError):
        raise BadRecord("its file is not XML") from None
    root = builder.close()
    if root.tag.lower() != "annotation":
        raise BadRecord("its file is no annotation")
    return root


def _decoded(data: bytes) -> str:
    """The text of an XML file, by its byte order mark, else by its declaration."""
    for mark, encoding in _MARKS.items():
        if data.startswith(mark):
            return data.removeprefix(mark).decode(encoding)
    for begin, encoding in _WITHOUT_MARK.items():
        if data.startswith(begin):
            return data.decode(encoding)
    match = _DECLARATION.match(data)
    name = match[1].decode() if match else "utf-8"
    try:
        known = codecs.lookup(name).name
        # a declaration in single bytes cannot be right about two: some tools write UTF-8 under it
        encoding = "utf-8" if known.startswith(("utf-16", "utf-32")) else _WIDER.get(known, known)
        return data.decode(encoding)
    except LookupError:
        raise BadRecord(f"its file has an unknown encoding, {name}") from None
    except UnicodeError:
        raise BadRecord(f"its file is not written in {name}") from None


def _text(element: Element) -> str:
    from xml.etree.ElementTree import tostring

    try:
        return tostring(element, encoding="unicode").strip()
    except RecursionError:
        return ""


def _raws(source: str, images: Sequence[int], numbers: Sequence[int]) -> Iterable[str]:
    objects = _parse(source).findall("object")
    return [_text(objects[number - 1]) for number in numbers]
