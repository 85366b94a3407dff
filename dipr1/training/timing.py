"""Where the seconds of an update go: generation, loss, processor, rewards, and the rest.

They are logged as `time/...` (TensorBoard, the progress line), but are no part of the artifact
`training_log.parquet`, which has the same bytes for the same training.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dipr1.progress import say

PREFIX = "time/"
REST = "rest"
PARTS = ("generation", "loss", "processor", "rewards", REST)


class Clock:
    """Seconds by what is being done; what is done within something else counts for itself.

    Args:
        now: gives seconds.
    """

    def __init__(self, now: Callable[[], float] = time.perf_counter) -> None:
        self._now, self._doing = now, [REST]
        self._seconds, self._since = dict.fromkeys(PARTS, 0.0), now()

    @contextmanager
    def during(self, part: str) -> Iterator[None]:
        """Count the body for `part`."""
        self._count()
        self._doing.append(part)
        try:
            yield
        finally:
            self._count()
            self._doing.pop()

    def timed(self, part: str, function: Callable) -> Callable:
        """`function`, counted for `part`."""

        @functools.wraps(function)
        def counted(*given, **named):
            with self.during(part):
                return function(*given, **named)

        return counted

    def lap(self) -> dict[str, float]:
        """The seconds of each part since the lap before, or since the beginning."""
        self._count()
        seconds, self._seconds = self._seconds, dict.fromkeys(PARTS, 0.0)
        return seconds

    def _count(self) -> None:
        _wait_for_gpu()
        now = self._now()
        self._seconds[self._doing[-1]] += now - self._since
        self._since = now


def _wait_for_gpu() -> None:
    """Let what was started be counted where it was started; a GPU computes later."""
    torch = sys.modules.get("torch")  # whoever trains has imported it
    if torch is not None and torch.cuda.is_initialized():
        torch.cuda.synchronize()


def timed_trainer(family: type, clock: Clock) -> type:
    """The class of GRPO trainers `family`, which logs where each update's seconds go.

    Of TRL's methods that have an underscore only the time counts: under another name they would
    count as what is around them.
    """

    class Timed(family):
        def training_step(self, *given, **named):
            with clock.during("loss"):
                return super().training_step(*given, **named)

        def _generate_and_score_completions(self, *given, **named):
            with clock.during(REST):
                return super()._generate_and_score_completions(*given, **named)

        def _generate_single_turn(self, *given, **named):
            with clock.during("generation"):
                return super()._generate_single_turn(*given, **named)

        def log(self, logs, *given, **named):
            if "loss" in logs:
                logs |= {PREFIX + part: seconds for part, seconds in clock.lap().items()}
            super().log(logs, *given, **named)

        def train(self, *given, **named):
            clock.lap()
            return super().train(*given, **named)

    return Timed


def seconds_of(logged: dict[str, float]) -> dict[str, float]:
    """The seconds of each part in a row of a trainer's log; empty without them.

    >>> seconds_of({"loss": 0.1, "time/loss": 2.0, "time/rest": 1.0})
    {'loss': 2.0, 'rest': 1.0}
    """
    return {part: logged[PREFIX + part] for part in PARTS if PREFIX + part in logged}


def shares(history: list[dict[str, float]]) -> str:
    """In words what share of the time of a trainer's log each part took; empty where none is known.

    >>> shares([{"time/loss": 2.0, "time/rest": 1.0}, {"time/loss": 1.0, "time/rest": 0.0}])
    '2.0 s an update: loss 75%, rest 25%'
    """
    laps = [seconds for row in history if (seconds := seconds_of(row))]
    total = sum(sum(seconds.values()) for seconds in laps)
    if not total:
        return ""
    parts = [part for part in PARTS if any(part in seconds for seconds in laps)]
    figures = (f"{part} {sum(lap.get(part, 0) for lap in laps) / total:.0%}" for part in parts)
    return f"{total / len(laps):.1f} s an update: {', '.join(figures)}"


def tell_shares(trainer, arm: str) -> None:
    """Say at the end of a training where its time went."""
    from transformers import TrainerCallback

    class Teller(TrainerCallback):
        def on_train_end(self, args, state, control, **kwargs):
            if told := shares(state.log_history):
                say(f"{arm}: {told}")

    trainer.add_callback(Teller)
