"""Several processes that train one policy: how many there are, and what the first one does alone.

A launcher (:mod:`dipr1.training.launch`, torchrun or `accelerate launch`) numbers the processes in
the environment. Without one there is a single process, and nothing here does anything.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import time
from collections.abc import Callable, Iterator

from dipr1.errors import UserError

_PR_SET_PDEATHSIG = 1  # prctl(2)
SECONDS = 3.0  # in which processes reach the same line of code
LAUNCHED = "DIPR1_LAUNCHED"  # the environment variable by which our launcher is known


def count() -> int:
    """How many processes train together, on all nodes."""
    return int(os.environ.get("WORLD_SIZE") or 1)


def number() -> int:
    """The number of this process, from 0."""
    return int(os.environ.get("RANK") or 0) if count() > 1 else 0


def is_first() -> bool:
    """Whether this process is the one that writes and deletes."""
    return number() == 0


def join() -> None:
    """Meet the other processes, each on a GPU of its own, or on the CPU where there is none."""
    if count() == 1:
        return
    import torch
    from accelerate import PartialState

    if os.environ.get(LAUNCHED):
        # a launcher that is killed takes us with it, so that nobody writes beside the next run
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    on_gpu = torch.cuda.is_available()
    PartialState(cpu=not on_gpu, **({} if on_gpu else {"backend": "gloo"}))


def wait_for_all() -> None:
    """Wait until all processes are here."""
    if count() > 1:
        import torch.distributed

        torch.distributed.barrier()


def by_the_first(work: Callable[[], None]) -> None:
    """Do `work` in the first process, while the others wait."""
    if is_first():
        work()
    wait_for_all()


def any_of_all(here: bool) -> bool:
    """Whether something holds in at least one process."""
    if count() == 1:
        return here
    import torch
    import torch.distributed as distributed

    on = torch.device("cuda" if distributed.get_backend() == "nccl" else "cpu")
    found = torch.tensor(float(here), device=on)
    distributed.all_reduce(found, op=distributed.ReduceOp.MAX)
    return bool(found)


@contextlib.contextmanager
def letting_the_first_speak() -> Iterator[None]:
    """Let the first process end first, where all raise the same; what others say is hidden."""
    try:
        yield
    except UserError:
        if not is_first():
            time.sleep(SECONDS)
        raise
