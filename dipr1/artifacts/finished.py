"""Results that are kept in their work folder until a workflow knows that they are there.

Snakemake deletes what a job has written whose end it did not see: it was killed itself, and the job
lived on. The job that does the work again then finds the result here. It is a hard link, which
takes no room; where a file system has none, nothing is kept and the work is done again.
"""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path

from dipr1.artifacts.writing import MARK as WRITTEN
from dipr1.artifacts.writing import whole
from dipr1.progress import say
from dipr1.resuming import FINISHED, MARK


def finish(folder: Path, result: Path, *, keep: bool, kind: str = "") -> None:
    """Remove the parts of finished work.

    Args:
        folder: of the parts, which this process holds.
        result: the file or folder that was made of them.
        keep: whether the result is kept in the place of its parts.
        kind: tells results apart that are made in the same folder.
    """
    if not keep or not keep_result(folder, result, kind):
        shutil.rmtree(folder)
        return
    for path in folder.iterdir():
        if path.name not in (MARK, FINISHED + kind):
            shutil.rmtree(path) if path.is_dir() else path.unlink()


def keep_result(folder: Path, result: Path, kind: str = "") -> bool:
    """Keep a result in its work folder; returns whether the file system can."""
    part = folder / f".{FINISHED}"
    _remove(part)
    try:
        _link(result, part)
    except OSError:
        _remove(part)
        return False
    _remove(folder / (FINISHED + kind))
    part.rename(folder / (FINISHED + kind))
    return True


def finished(folder: Path, kind: str = "") -> Path | None:
    """The result that is kept in a work folder; None without one.

    Args:
        folder: which this process holds and has claimed.
        kind: as it was given to :func:`finish`.
    """
    result = folder / (FINISHED + kind)
    return result if result.exists() else None


def give_again(result: Path, output: Path) -> None:
    """Put a result that was kept to its place."""
    if not _is_linked(result, output):
        with whole(output) as part:
            _link(result, part)
    say(f"{output}: was finished before, by the same command")


def _link(source: Path, target: Path) -> None:
    if source.is_dir():
        # `whole` writes the mark of a folder itself
        ignore = shutil.ignore_patterns(WRITTEN)
        shutil.copytree(source, target, copy_function=os.link, ignore=ignore)
    else:
        os.link(source, target)


def _is_linked(result: Path, output: Path) -> bool:
    """Whether all that is kept is there already: an earlier job has ended while we waited."""
    names = [path.relative_to(result) for path in (result, *result.rglob("*")) if path.is_file()]
    with contextlib.suppress(FileNotFoundError):
        return all((output / name).samefile(result / name) for name in names)
    return False


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
