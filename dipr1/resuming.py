"""Work that goes on where it was interrupted: a folder of finished parts, marked as whose it is."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dipr1.errors import UserError

MARK = "fingerprint"  # the file in the folder that says what its parts are made from
SHOWN = 3  # differences named in a message


def claim(folder: Path, made_from: Mapping[str, Any], parts: str) -> None:
    """Make `folder` the place of a piece of work; what is finished of another is left alone.

    Args:
        folder: may be there already, with what is finished of the same work.
        made_from: all that the parts depend on, as it goes into JSON.
        parts: pattern of the names of finished parts.

    Raises:
        UserError: the folder holds parts of other work, or files but no mark.
    """
    mark = folder / MARK
    text = json.dumps(made_from, sort_keys=True)
    if folder.is_dir() and any(folder.iterdir()):
        if not mark.is_file():
            raise UserError(f"{folder}: holds other files; name an empty or a new folder")
        if mark.read_text(encoding="utf-8") == text:
            return
        if any(folder.glob(parts)):
            raise UserError(
                f"{folder}: holds what is finished of other work:"
                f" {_difference(mark, json.loads(text))}; delete the folder or name another"
            )
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(text, encoding="utf-8")


def _difference(mark: Path, made_from: Mapping[str, Any]) -> str:
    """In which values the work of a mark differs from one made from `made_from`."""
    try:
        before = dict(_values(json.loads(mark.read_text(encoding="utf-8"))))
    except (ValueError, AttributeError):
        return "its mark is of another version of dipr1"
    now = dict(_values(made_from))
    names = [name for name in before | now if before.get(name) != now.get(name)]
    shown = [f"{name} was {before.get(name)}, now {now.get(name)}" for name in names[:SHOWN]]
    return "; ".join(shown) + (f" and {len(names) - SHOWN} more" if names[SHOWN:] else "")


def _values(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The values of a record by name; those of a mapping in it by the names they have there."""
    for name, value in record.items():
        if isinstance(value, dict):
            yield from _values(value)
        else:
            yield name, value
