"""Files and folders that appear whole or not at all, and never in the place of somebody's work.

What dipr1 makes carries a mark, and only what carries it is ever replaced: Parquet files their
metadata, folders a file `MARK` that lists what was in them, pages and texts the words `MADE_BY`.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.artifacts.made import KEY
from dipr1.errors import UserError
from dipr1.progress import becoming, final_names

MARK = ".dipr1"
MADE_BY = "made by dipr1"

# Where the mark of a text file stands: the beginning or the end.
_LOOKED_AT_BYTES = 2048


class Output(type(Path())):
    """The path of something that a verb writes, as an argument of the command line."""


def output_file(path: str) -> Output:
    """The path of a file to write, as a type of `argparse`.

    Raises:
        UserError: something is there that may not be replaced.
    """
    check_replaceable(path, folder=False)
    return Output(path)


def output_folder(path: str) -> Output:
    """The path of a folder to write; else as :func:`output_file`."""
    check_replaceable(path, folder=True)
    return Output(path)


def check_replaceable(path: str | os.PathLike, *, folder: bool) -> None:
    """Check that nothing is lost when a file, or a folder, is written to `path`.

    Raises:
        UserError: something is there that dipr1 did not make, or of the other kind.
    """
    path = Path(path)
    if not os.path.lexists(path) or _is_empty(path):
        return
    if path.is_dir() != folder:
        there, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise UserError(
            f"{path}: a {there} is there, but a {wanted} is to be written; name another place"
        )
    if not is_ours(path):
        raise UserError(
            f"{path}: is there already and does not say that dipr1 made it, or all of it;"
            " move it away or write to another place"
        )


def _is_empty(path: Path) -> bool:
    if path.is_dir():
        return not path.is_symlink() and not any(path.iterdir())
    return path.is_file() and path.stat().st_size == 0


def is_ours(path: Path) -> bool:
    """Whether dipr1 made a file, or a folder and all that is in it."""
    if path.is_dir():
        return not path.is_symlink() and _entries(path) <= _marked(path)
    with open(path, "rb") as file:
        begin = file.read(_LOOKED_AT_BYTES)
        if begin.startswith(b"PAR1"):
            return _is_our_table(path)
        file.seek(max(0, path.stat().st_size - _LOOKED_AT_BYTES))
        if MADE_BY.encode() in begin + file.read():
            return True
    # a CSV file has no place for a mark, and figures alone need none
    beside = path.with_suffix(".parquet")
    return (beside.is_file() and is_ours(beside)) or _holds_figures_alone(begin)


def _is_our_table(path: Path) -> bool:
    try:
        return KEY in (pq.read_schema(path).metadata or {})
    except (pa.ArrowInvalid, OSError):
        return False


def _holds_figures_alone(text: bytes) -> bool:
    """Whether a short JSON file says nothing but numbers by name, as those of `official` do."""
    try:
        figures = json.loads(text)
    except ValueError:
        return False
    return isinstance(figures, dict) and all(
        value is None or isinstance(value, int | float) for value in figures.values()
    )


def _entries(folder: Path) -> set[str]:
    return {entry.name for entry in folder.iterdir()} - {MARK}


def _marked(folder: Path) -> set[str]:
    """What was in a folder when dipr1 made it; nothing where it did not."""
    try:
        return set((folder / MARK).read_text(encoding="utf-8").splitlines())
    except (OSError, UnicodeDecodeError):
        return set()


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, on failure it is gone.

    Works for a file or a folder, whichever the body makes; a folder is marked. The name keeps the
    suffix of `path`; what is said of it, and the message of a UserError, name `path`.

    Raises:
        UserError: what stands at `path` may not be replaced.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("done")
    ...     (Path(folder) / "a.txt").read_text()
    'done'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        with _named(part, path):
            yield part
        check_replaceable(path, folder=part.is_dir())
        if part.is_dir():
            (part / MARK).write_text("\n".join(sorted(_entries(part))) + "\n", encoding="utf-8")
            if path.is_dir():
                shutil.rmtree(path)
        os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


@contextlib.contextmanager
def _named(part: Path, path: Path) -> Iterator[None]:
    with becoming(part.name, path.name):
        try:
            yield
        except UserError as error:
            raise UserError(final_names(str(error))) from error.__cause__
