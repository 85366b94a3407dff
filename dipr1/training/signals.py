"""SIGTERM and SIGUSR1, by which a cluster says that it takes the machine away: save, and leave.

The update that runs is finished and saved as a checkpoint. With several processes it is enough that
one of them is told. The program then leaves with the exit code of
:class:`dipr1.errors.ToBeContinued`, and the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator
from typing import Any

from dipr1.progress import say
from dipr1.training.processes import any_of_all

SIGNALS = (signal.SIGTERM, signal.SIGUSR1)


class Told:
    """Which signal has told us to leave; None as long as none has."""

    name: str | None = None
    left = False

    def hear(self, number: int, frame: Any) -> None:
        """The handler of a signal."""
        if self.name is None:
            self.name = signal.Signals(number).name
            say(f"{self.name}: leaving after this update, with a checkpoint")


@contextlib.contextmanager
def listening() -> Iterator[Told]:
    """Hear of signals in the body."""
    told = Told()
    if threading.current_thread() is not threading.main_thread():
        yield told
        return
    before = {number: signal.signal(number, told.hear) for number in SIGNALS}
    try:
        yield told
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def leave_when_told(trainer, told: Told, together: int) -> None:
    """Let a trainer save and stop after the update in which it is told to.

    Args:
        trainer: of one of the methods.
        told: what has been heard.
        together: updates that are made of the same responses: no checkpoint lies between them.
    """
    from transformers import TrainerCallback

    class Leaver(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            unfinished = state.global_step < state.max_steps and not state.global_step % together
            if unfinished and any_of_all(told.name is not None):
                control.should_save = control.should_training_stop = told.left = True

    trainer.add_callback(Leaver)
