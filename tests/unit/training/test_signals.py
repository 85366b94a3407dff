"""A signal is heard while a training listens, and by nobody after it."""

from __future__ import annotations

import os
import signal

import pytest

from dipr1.training.signals import SIGNALS, listening


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_heard_and_ends_nothing(number, capsys):
    before = signal.getsignal(number)
    with listening() as told:
        assert told.name is None
        os.kill(os.getpid(), number)
        os.kill(os.getpid(), number)
        assert told.name == number.name
    assert signal.getsignal(number) is before
    said = capsys.readouterr().err.splitlines()
    assert said == [f"{number.name}: leaving after this update, with a checkpoint"]
