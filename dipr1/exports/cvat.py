"""CVAT: annotations to correct suspect labels, from an audit and its annotations.

Make a task of the images, with all labels of the annotations, each with and without "?", and a text
attribute `doubt`; then *Upload annotations*, format "CVAT 1.1". Export it as "CVAT for images 1.1"
when it is done; ``dipr1 convert --corrections annotations.xml`` takes it. Images are known again by
the names of their files.

CVAT knows an image by its name in the task, which is the file's where files were uploaded, and the
path from the share's folder (``--images``) where they come from one. A name that it does not know
it takes for the frame of the image's number, and says nothing: they are numbered in the order of
their names, as CVAT sorts them.
"""

from __future__ import annotations

import os
from pathlib import Path
from xml.sax.saxutils import escape, quoteattr

from dipr1.exports.options import Exporting
from dipr1.exports.suspects import Shown, Task, doubts, tasks

READS = "audit"


def write(source: str, output: Path, options: Exporting) -> str:
    """One image after another, by name.

    Raises:
        UserError: as :func:`dipr1.exports.suspects.tasks`.
    """
    found, labels = tasks(source, options)
    lines = ["<annotations>", "<version>1.1</version>", "<meta><task><labels>"]
    lines += [f"<label><name>{escape(label)}</name></label>" for label in labels]
    lines.append("</labels></task></meta>")
    named = sorted(zip(_names(found, options), found, strict=True), key=lambda one: one[0])
    lines += [
        line for number, (name, task) in enumerate(named) for line in _lines(number, name, task)
    ]
    text = "\n".join(['<?xml version="1.0" encoding="utf-8"?>', *lines, "</annotations>"])
    output.write_text(f"{text}\n", encoding="utf-8")
    return f"{len(found)} images, {sum(1 for _ in doubts(found))} boxes in doubt"


def _names(found: list[Task], options: Exporting) -> list[str]:
    """The files' names, or the paths where those are given or two files have one name."""
    paths = [task.image for task in found]
    names = [os.path.basename(path) for path in paths]
    return names if options.images is None and len({*names}) == len(names) else paths


def _lines(number: int, name: str, task: Task) -> list[str]:
    head = (
        f'<image id="{number}" name={quoteattr(name)} width="{task.width}" height="{task.height}">'
    )
    return [head, *map(_box, task.boxes), "</image>"]


def _box(shown: Shown) -> str:
    sides = zip(("xtl", "ytl", "xbr", "ybr"), shown.box, strict=True)
    corners = " ".join(f'{name}="{side}"' for name, side in sides)
    doubt = f"{shown.doubt}, {shown.worth:.2f}" if shown.doubt else ""
    return (
        f'<box label={quoteattr(shown.label)} source="dipr1" occluded="0" {corners} z_order="0">'
        f'<attribute name="doubt">{escape(doubt)}</attribute></box>'
    )
