"""How a training ends that cannot go on: one line that says why, and where it goes on from.

Full disks and memory, and a process that has lost the others. What ends with numbers that are not
finite, :mod:`dipr1.training.running` says; of a reward that
raises, :func:`told_of`.
"""

from __future__ import annotations

import contextlib
import errno
import shutil
import traceback
from collections.abc import Iterator
from pathlib import Path

from dipr1.errors import UserError
from dipr1.training import processes
from dipr1.training.running import is_whole

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What libraries make of them; torch tells a failed write from others by no class and no number.
_SAID_OF_FULL = ("No space left", "Disk quota exceeded", "File too large", "PytorchStreamWriter")
_SAID_OF_MEMORY = ("can't allocate memory", "out of memory", "CUBLAS_STATUS_ALLOC_FAILED")
_SAID_OF_OTHERS = ("gloo", "NCCL", "ProcessGroup", "TCPStore")


@contextlib.contextmanager
def ended(trainer, folder: Path) -> Iterator[None]:
    """Let faults of the machine in the body end with one line.

    Args:
        trainer: that is at work.
        folder: of its checkpoints; what is not whole in it is removed.

    Raises:
        UserError: such a fault.
    """
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        why = _why(error)
        if why is None:
            raise
        if processes.is_first():
            _remove_halves(folder)
        at = f"update {trainer.state.global_step + 1}"
        raise UserError(f"{at}: {why}; {_where_from(folder)}") from None


@contextlib.contextmanager
def told_of(reward: str) -> Iterator[None]:
    """Let whatever a reward raises in the body end with one line, too.

    Raises:
        UserError: it has raised.
    """
    try:
        yield
    except (UserError, MemoryError):
        raise
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        text = " ".join(str(error).split())
        raise UserError(
            f"{reward}: raised {type(error).__name__} ({text:.120}) in {last.filename} line"
            f" {last.lineno}; mend it, and the same command goes on from the last checkpoint"
        ) from error


def _why(error: BaseException) -> str | None:
    """What an exception means and what to do; None where it is no fault of the machine."""
    text = " ".join(str(error).split())
    if isinstance(error, OSError) and error.errno in _FULL or _says(text, _SAID_OF_FULL):
        return f"cannot be written ({text:.120}); make room"
    if isinstance(error, MemoryError) or _says(text, _SAID_OF_MEMORY):
        return (
            f"memory has run out ({text:.120}); lower training.micro_batch_size or"
            " max_completion_length, or set training.gradient_checkpointing"
        )
    if processes.count() > 1 and _says(text, _SAID_OF_OTHERS):
        return "another process has ended, or does not answer; see what it says"
    return None


def _says(text: str, parts: tuple[str, ...]) -> bool:
    return any(part in text for part in parts)


def _where_from(folder: Path) -> str:
    done = [path for path in folder.glob("checkpoint-*") if is_whole(path)]
    if not done:
        return "the same command begins anew, since there is no checkpoint yet"
    newest = max(done, key=lambda path: int(path.name.removeprefix("checkpoint-")))
    return f"the same command goes on from {newest}"


def _remove_halves(folder: Path) -> None:
    """Remove checkpoints that were being written, which may be what fills the disk."""
    for path in folder.glob("checkpoint-*"):
        if not is_whole(path):
            shutil.rmtree(path, ignore_errors=True)
