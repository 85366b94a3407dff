"""Interrupted work is continued only where it is the same work, and nothing else is removed."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dipr1 import resuming
from dipr1.errors import UserError
from dipr1.resuming import MARK, claim, held

WORK = {"verb": "sample", "options": {"temperature": 1.0, "shard": (0, 2)}, "seed": 0}


def claimed(folder, work=WORK) -> None:
    claim(folder, work, "*.parquet")


def test_the_same_work_goes_on(tmp_path):
    folder = tmp_path / "parts"
    claimed(folder)
    (folder / "000000.parquet").touch()
    claimed(folder)
    assert (folder / "000000.parquet").exists()


def test_what_is_finished_of_other_work_is_set_aside(tmp_path, capsys):
    folder = tmp_path / "parts"
    claimed(folder)
    (folder / "000000.parquet").write_text("mine")
    other = WORK | {"options": {"temperature": 0.5, "shard": [0, 2]}, "seed": 1}
    claimed(folder, other)
    said = f"temperature was 1.0, now 0.5; seed was 0, now 1); set aside as {folder}.set-aside-1"
    assert said in capsys.readouterr().err
    assert [path.name for path in folder.iterdir()] == [MARK]
    assert (tmp_path / "parts.set-aside-1" / "000000.parquet").read_text() == "mine"

    (folder / "000000.parquet").write_text("other")
    claimed(folder, {"options": dict.fromkeys("abcd")})
    assert "seed was 1, now None and 1 more)" in capsys.readouterr().err
    assert (tmp_path / "parts.set-aside-2" / "000000.parquet").read_text() == "other"


@pytest.mark.parametrize("mark", ["0123456789abcdef", "1234567890123456", ""])
def test_a_mark_of_an_earlier_version_is_another_s(tmp_path, capsys, mark):
    folder = tmp_path / "parts"
    folder.mkdir()
    (folder / MARK).write_text(mark)
    (folder / "000000.parquet").touch()
    claimed(folder)
    assert "its mark is of another version" in capsys.readouterr().err
    assert (tmp_path / "parts.set-aside-1" / "000000.parquet").exists()


def test_a_place_where_nothing_is_finished_is_given_to_other_work(tmp_path):
    claimed(tmp_path)
    (tmp_path / "tensorboard").mkdir()
    claimed(tmp_path, {"seed": 1})
    assert json.loads((tmp_path / MARK).read_text()) == {"seed": 1}
    assert not (tmp_path / "tensorboard").exists()


def test_files_of_others_are_never_removed(tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.touch()
    with pytest.raises(UserError, match="holds other files"):
        claimed(tmp_path)
    assert thesis.exists()


HOLDER = """
import sys, time
from pathlib import Path
from dipr1 import resuming
resuming.EXPIRES, resuming.HEARTBEAT = map(float, sys.argv[2:])
with resuming.held(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


@contextlib.contextmanager
def another(folder: Path, expires: float = 300, heartbeat: float = 30) -> Iterator:
    """Another process that works in `folder`, until it is told to end or killed."""
    command = [sys.executable, "-c", HOLDER, str(folder), str(expires), str(heartbeat)]
    pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), "SLURM_JOB_ID": "77"}
    with subprocess.Popen(command, text=True, env=environment, **pipes) as process:
        assert process.stdout.readline() == "held\n"
        yield process
        process.kill()


@pytest.fixture
def quick(monkeypatch) -> None:
    for name, seconds in (("EXPIRES", 2.0), ("HEARTBEAT", 0.5), ("POLL", 0.1)):
        monkeypatch.setattr(resuming, name, seconds)


def test_a_second_process_waits_and_says_for_whom(tmp_path, capsys):
    folder = tmp_path / "deep" / "parts"
    with another(folder) as first:
        threading.Timer(1, first.stdin.close).start()  # it ends
        with held(folder):
            assert first.wait() == 0
            names = {path.name for path in folder.parent.iterdir()}
            assert names == {"parts.lock", "parts.holder"}
    waits, free = capsys.readouterr().err.splitlines()
    assert waits.startswith(f"{folder}: process {first.pid} on ")
    assert "(SLURM job 77), since 20" in waits and waits.endswith("To take over, end it")
    assert free.endswith("free now, going on")
    assert not list(folder.parent.iterdir())


def test_a_lock_of_a_killed_process_is_taken_at_once(tmp_path, capsys):
    with another(tmp_path / "parts") as first:
        first.kill()
        first.wait()
        assert (tmp_path / "parts.lock").exists()
        began = time.monotonic()
        with held(tmp_path / "parts"):
            assert time.monotonic() - began < 2
    assert not list(tmp_path.iterdir())


def test_a_lock_of_another_machine_is_taken_when_nobody_touches_it(tmp_path, capsys, quick):
    lock = tmp_path / "parts.lock"
    with another(tmp_path / "parts", resuming.EXPIRES, resuming.HEARTBEAT) as first:
        first.kill()
        first.wait()
    lines = lock.read_text().splitlines(keepends=True)
    lock.write_text("".join("host=other\n" if "host=" in line else line for line in lines))
    began = time.monotonic()
    with held(tmp_path / "parts"):
        assert resuming.EXPIRES - 0.1 < time.monotonic() - began < 3 * resuming.EXPIRES
    assert "waiting until it ends" in capsys.readouterr().err


def test_who_lives_keeps_the_lock_and_who_lost_it_leaves(tmp_path, capsys, quick):
    with another(tmp_path / "parts", resuming.EXPIRES, resuming.HEARTBEAT) as first:
        time.sleep(1.5 * resuming.EXPIRES)
        first.send_signal(signal.SIGSTOP)
        began = time.monotonic()
        with held(tmp_path / "parts"):
            assert time.monotonic() - began > resuming.EXPIRES - resuming.HEARTBEAT - 0.1
            first.send_signal(signal.SIGCONT)
            assert first.wait(timeout=20) == 1
            assert "the lock beside it was taken or removed" in first.stderr.read()
