"""Where the seconds of an update go."""

from __future__ import annotations

import itertools
import json

import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.cli import main
from dipr1.training.timing import Clock, shares
from tests.unit.scenes import scene_prompts


def test_what_is_done_within_counts_for_itself():
    clock = Clock(itertools.count().__next__)  # begins at 0; each look at it takes a second
    with clock.during("loss"):  # 1: a second of rest
        with clock.during("generation"):  # 2
            pass  # 3
        clock.timed("rewards", sum)([1])  # 4 and 5
    # 6: within "loss" from 1 to 2, from 3 to 4 and from 5 to 6
    expected = {"generation": 1, "loss": 3, "processor": 0, "rewards": 1, "rest": 2}
    assert clock.lap() == expected  # 7
    assert clock.lap() == dict.fromkeys(expected, 0) | {"rest": 1}


def test_what_fails_is_left():
    clock = Clock(itertools.count().__next__)
    with pytest.raises(ZeroDivisionError), clock.during("loss"):
        1 / 0  # noqa: B018
    clock.lap()
    assert clock.lap()["rest"] == 1


def test_no_share_is_told_without_times():
    assert shares([{"loss": 1.0}]) == ""


def test_an_update_says_where_its_time_went(tmp_path, capsys):
    """On TensorBoard and in words, but not in the artifact, which is the same for the same run."""
    pytest.importorskip("trl")
    PROMPTS.write(scene_prompts(tmp_path, 1), tmp_path / "prompts.parquet")
    words = ("train", "--arm", "a", "--method", "grpo", "--prompts", tmp_path / "prompts.parquet")
    words += ("--rewards", json.dumps({"accuracy": 1}), "--threads", 1, "--prompts-per-update", 1)
    words += ("--group-size", 2, "--micro-batch-size", 2, "--updates", 2, "--save-every", 2)
    words += ("--max-completion-length", 8, "--keep-checkpoints", "--checkpoints", tmp_path / "c")
    assert main([str(word) for word in (*words, "--output", tmp_path / "policy")]) == 0
    told = capsys.readouterr().err
    assert " s an update: generation " in told
    history = json.loads((tmp_path / "c" / "checkpoint-2" / "trainer_state.json").read_text())
    rows = [row for row in history["log_history"] if "loss" in row]
    assert len(rows) == 2
    for row in rows:
        seconds = {name: value for name, value in row.items() if name.startswith("time/")}
        assert len(seconds) == 5
        assert all(value > 0 for value in seconds.values())
        assert sum(seconds.values()) >= row["step_time"]
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet")
    assert not any(name.startswith("time/") for name in log["name"].to_pylist())
