"""Work that goes on where it was interrupted: a folder of finished parts, marked as whose it is.

One process works in such a folder at a time. While it does, `NAME.lock` and `NAME.holder` lie
beside the folder; :class:`filelock.SoftFileLease` says how a lock is taken, touched and told from
that of a process that has died.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from dipr1.errors import UserError
from dipr1.progress import say

MARK = "fingerprint"  # the file in the folder that says what its parts are made from
FINISHED = "finished"  # what the name of a result begins with that is kept there
SHOWN = 3  # differences named in a message
HEARTBEAT = 30.0  # seconds after which a lock is touched again
EXPIRES = 300.0  # seconds without that after which another machine may take it
POLL = 1.0  # seconds between two looks at a lock that is waited for


@contextlib.contextmanager
def held(folder: Path) -> Iterator[None]:
    """Be the only process that works in `folder`; wait as long as another one does.

    The lock of a process that has died is taken at once on its own machine, and after `EXPIRES`
    seconds without a sign of life on another. A process whose lock was taken leaves.
    """
    from filelock import SoftFileLease, Timeout

    folder.parent.mkdir(parents=True, exist_ok=True)
    holder = _beside(folder, ".holder")
    lock = SoftFileLease(
        _beside(folder, ".lock"),
        lease_duration=EXPIRES,
        heartbeat_interval=HEARTBEAT,
        on_compromise=lambda _: _leave(folder),
        poll_interval=POLL,
    )
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"{folder}: {_who(holder)} works in it; waiting until it ends. To take over, end it")
        lock.acquire()
        say(f"{folder}: free now, going on")
    try:
        holder.write_text(_myself(), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _beside(folder: Path, suffix: str) -> Path:
    return folder.with_name(folder.name + suffix)


def _myself() -> str:
    job = os.environ.get("SLURM_JOB_ID")
    of_job = f" (SLURM job {job})" if job else ""
    since = time.strftime("%Y-%m-%d %H:%M:%S")
    return f"process {os.getpid()} on {socket.gethostname()}{of_job}, since {since},"


def _who(holder: Path) -> str:
    try:
        return holder.read_text(encoding="utf-8")
    except OSError:
        return "another process"


def _leave(folder: Path) -> None:
    """End this process, in whichever thread: another one may be at work in the folder."""
    say(f"{folder}: the lock beside it was taken or removed; leaving it to whoever did that")
    os._exit(1)


def claim(folder: Path, made_from: Mapping[str, Any], parts: str) -> None:
    """Make `folder` the place of a piece of work; what is finished of another is set aside.

    Args:
        folder: may be there already, with what is finished of the same work.
        made_from: all that the parts depend on, their code included, as it goes into JSON.
        parts: pattern of the names of finished parts.

    Raises:
        UserError: the folder holds files but no mark.
    """
    mark = folder / MARK
    text = json.dumps(made_from, sort_keys=True)
    if folder.is_dir() and any(folder.iterdir()):
        if not mark.is_file():
            raise UserError(f"{folder}: holds other files; name an empty or a new folder")
        if mark.read_text(encoding="utf-8") == text:
            return
        if any(folder.glob(parts)):
            set_aside(folder, _difference(mark, json.loads(text)))
        else:
            shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    mark.write_text(text, encoding="utf-8")


def clear(folder: Path) -> None:
    """Remove a work folder if nothing is in it but the result that is kept."""
    names = {path.name for path in folder.iterdir()} - {MARK} if folder.is_dir() else set()
    done = names and all(name.startswith(FINISHED) for name in names)
    if done and not _beside(folder, ".lock").exists():
        shutil.rmtree(folder)


def set_aside(folder: Path, why: str) -> Path:
    """Give the folder another name, so that its parts are neither lost nor mixed with others."""
    number = 1
    while (aside := _beside(folder, f".set-aside-{number}")).exists():
        number += 1
    folder.rename(aside)
    say(f"{folder}: what is finished there is of other work ({why}); set aside as {aside}")
    return aside


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
