"""GPUs of a machine that several jobs work on: each job takes some, and no two have the same one.

Snakemake counts GPUs (``--resources gpu=N``) but does not tell jobs apart: without this, two jobs
on two GPUs would both compute on the first one. A GPU that is taken is a locked file in the folder
of temporary files. The kernel unlocks it when the process ends, however it ends.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from dipr1.progress import say

VISIBLE = "CUDA_VISIBLE_DEVICES"
SHARED = "DIPR1_SHARE_GPUS"  # the environment variable that lets jobs share GPUs
SECONDS = 1.0  # between two looks at what is free

_taken: list[int] = []  # open files: closed, and so unlocked, by the end of the process


def visible_gpus() -> list[str]:
    """The GPUs that may be used, as CUDA_VISIBLE_DEVICES names them; without it NVIDIA's."""
    stated = os.environ.get(VISIBLE)
    if stated is None:
        return [str(number) for number, _ in enumerate(Path("/dev").glob("nvidia[0-9]*"))]
    names = [name.strip() for name in stated.split(",")]
    return [name for name in names if name not in ("", "-1")]


def take_gpus(count: int) -> None:
    """Wait for `count` GPUs that no other job has, and see no others until the process ends.

    To be called before torch looks for GPUs. Does nothing where there is none, and in a process of
    several that share their launcher's.

    Args:
        count: how many; all that there are, where these are fewer.
    """
    names = visible_gpus()
    if not names or "LOCAL_RANK" in os.environ or os.environ.get(SHARED):
        return
    with _in_turn("+".join(names)):
        while len(taken := _take_free(names, min(count, len(names)))) < min(count, len(names)):
            _tell_waiting(names)
            time.sleep(SECONDS)
    _taken.extend(taken.values())
    os.environ[VISIBLE] = ",".join(taken)


def _take_free(names: list[str], count: int) -> dict[str, int]:
    """The first `count` free GPUs with their locked files; none where fewer are free."""
    taken: dict[str, int] = {}
    for name in names:
        if len(taken) < count and (file := _locked(name)) is not None:
            taken[name] = file
    if len(taken) < count:
        for file in taken.values():
            os.close(file)
        return {}
    return taken


def _locked(name: str, wait: bool = False) -> int | None:
    """The open file of a GPU, locked; None where another process has it."""
    # numbers begin at 0 in every SLURM job, whichever GPUs of the node are its own
    path = Path(tempfile.gettempdir(), f"dipr1-gpu-{os.environ.get('SLURM_JOB_ID', '')}-{name}")
    with contextlib.suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL, 0o644))
    file = os.open(path, os.O_RDONLY)  # enough for a lock, and allowed to every user
    try:
        fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except BlockingIOError:
        os.close(file)
        return None
    return file


@contextlib.contextmanager
def _in_turn(names: str) -> Iterator[None]:
    """Who waits for the same GPUs gets them one after another."""
    file = _locked(f"turn-{names}")
    if file is None:
        _tell_waiting(names.split("+"))
        file = _locked(f"turn-{names}", wait=True)
    try:
        yield
    finally:
        os.close(file)


_told: list[bool] = []


def _tell_waiting(names: list[str]) -> None:
    if not _told:
        _told.append(True)
        say(
            f"waiting: other jobs have the GPUs that may be used ({VISIBLE}={','.join(names)});"
            f" {SHARED}=1 shares them"
        )
