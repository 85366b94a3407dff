"""`source.json`: what ``dipr1 download`` tells ``dipr1 convert`` of the folder that it wrote.

It is the folder's manifest as well: where the annotations or images are others, it is another.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dipr1.datasets import formats
from dipr1.errors import UserError
from dipr1.provenance import file_digest

FILE = "source.json"


def note(
    format_name: str,
    annotations: str,
    images: str,
    num_images: int,
    seen: str,
    *,
    below: Path | None = None,
) -> dict[str, Any]:
    """What there is to read.

    `seen` is a digest of the images, as exact as it can be had in time.

    Paths stay as given (relative ones relative to the working directory), or are written relative
    to the folder `below`, which holds them and can be moved.
    """
    places = [annotations, images]
    if below is not None:
        places = [Path(place).relative_to(below).as_posix() for place in places]
    return {
        "format": format_name,
        "annotations": places[0],
        "images": places[1],
        "inside": below is not None,
        "sha256": file_digest(annotations),
        "num_images": num_images,
        "images_seen": seen,
    }


def write_note(folder: Path, content: dict[str, Any]) -> None:
    """Write the note of the folder, which is made where it does not exist."""
    folder.mkdir(exist_ok=True)
    text = json.dumps(content, indent=2, ensure_ascii=False) + "\n"
    (folder / FILE).write_text(text, encoding="utf-8")


def read_note(folder: Path) -> dict[str, Any]:
    """The note of a folder, with paths that hold from the working directory.

    Raises:
        UserError: there is none, ``dipr1 download`` did not write it, or the annotations have
            changed since.
    """
    path = folder / FILE
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["inside"]:
            content["annotations"] = str(folder / content["annotations"])
            content["images"] = str(folder / content["images"])
        digest = file_digest(content["annotations"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{error.filename}: no such file; run `dipr1 download` first") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not written by `dipr1 download`; run it again") from None
    if digest != content.get("sha256"):
        raise UserError(f"{content['annotations']}: changed since `dipr1 download`; run it again")
    if content["format"] not in formats.NAMES:
        known = ", ".join(formats.NAMES)
        raise UserError(f"{path}: unknown format {content['format']!r}; known: {known}")
    return content
