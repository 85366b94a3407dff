"""XML files of annotations: in any encoding that Python knows, and safe to read."""

from __future__ import annotations

import codecs
import re
from pathlib import Path
from typing import TYPE_CHECKING

from dipr1.datasets.reading import BadRecord
from dipr1.errors import UserError

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


def parse_xml(path: str, root_tag: str) -> Element:
    """The root of a file, in whatever encoding it declares; entities are not expanded.

    Raises:
        BadRecord: it is no XML, or of another root: a fault of one file of many.
        UserError: it cannot be read.
    """
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
    if root.tag.lower() != root_tag:
        raise BadRecord(f"its file is no {root_tag}")
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
