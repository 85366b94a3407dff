"""Which process is which; what several do together, test_launch.py shows."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.training import processes


def test_alone(monkeypatch):
    for alone in ("", "1"):
        monkeypatch.setenv("WORLD_SIZE", alone)
        monkeypatch.setenv("RANK", "")
        assert (processes.count(), processes.number()) == (1, 0)
        processes.join()
        assert [processes.any_of_all(here) for here in (True, False)] == [True, False]


def test_who_is_not_the_first_speaks_later(monkeypatch):
    waited = []
    monkeypatch.setattr(processes.time, "sleep", waited.append)
    monkeypatch.setenv("WORLD_SIZE", "2")
    for number, seconds in (("0", []), ("1", [processes.SECONDS])):
        monkeypatch.setenv("RANK", number)
        with pytest.raises(UserError), processes.letting_the_first_speak():
            raise UserError("wrong")
        assert waited == seconds
