"""Work that goes on where it was interrupted: a folder of finished parts, marked as whose it is."""

from __future__ import annotations

import shutil
from pathlib import Path

from dipr1.errors import UserError

MARK = "fingerprint"  # the file in the folder that says what its parts were made from


def claim(folder: Path, fingerprint: str) -> None:
    """Make `folder` the place of the work with this fingerprint; that of other work is emptied.

    Raises:
        UserError: the folder holds files but no mark, so it is not one of ours to empty.
    """
    mark = folder / MARK
    if folder.is_dir() and any(folder.iterdir()):
        if not mark.is_file():
            raise UserError(f"{folder}: holds other files; name an empty or a new folder")
        if mark.read_text() == fingerprint:
            return
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(fingerprint)
