"""One training in two real processes, which meet through gloo."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.errors import ToBeContinued
from dipr1.training.running import ALL_WROTE
from tests.unit.scenes import scene_prompts
from tests.unit.training.ranks import train

SFT = ("--method", "sft", "--micro-batch-size", 1)
GRPO = ("--method", "grpo", "--group-size", 2, "--micro-batch-size", 1, "--objective", "paper")
GRPO += ("--rewards", json.dumps({"reasoning": 1}), "--max-completion-length", 100)
UPDATES = 4  # of which two are a pass over the prompts
# not the mean over micro-batches of what was averaged over each's tokens, such as the KL
LOGGED = ("loss", "reward", "grad_norm", "learning_rate")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("prompts")
    PROMPTS.write(scene_prompts(folder, 5), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def words(prompts: Path, output: Path, *more) -> list:
    given = ["train", "--arm", "one", "--prompts", prompts, "--threads", 2, "--updates", UPDATES]
    return [*given, "--prompts-per-update", 2, "--save-every", 100, "--output", output, *more]


def learned(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "model.safetensors")


def logged(folder: Path) -> dict[tuple, float]:
    rows = TRAINING_LOG.read(folder / "training_log.parquet").to_pylist()
    return {(r["step"], r["name"]): r["value"] for r in rows if r["name"] in LOGGED}


@pytest.mark.parametrize("method", [SFT, GRPO], ids=["sft", "grpo"])
def test_two_processes_that_leave_and_go_on_learn_what_one_does(prompts, tmp_path, method):
    """They leave inside the second pass over the images; it is enough that one of them is told."""
    assert train(words(prompts, tmp_path / "one", *method), tmp_path, count=1)[0] == [0]
    two = words(prompts, tmp_path / "two", *method)
    codes, said = train(two, tmp_path, leave_after=2)
    assert codes == [ToBeContinued.CODE] * 2, said
    assert f"left after update 3 of {UPDATES}" in said
    assert not (tmp_path / "two").exists()
    codes, said = train(two, tmp_path)
    assert codes == [0, 0], said
    assert "resuming from checkpoint-3" in said
    assert not (tmp_path / "two.parts").exists()
    one, two = tmp_path / "one", tmp_path / "two"
    assert logged(two) == pytest.approx(logged(one), rel=1e-4, abs=1e-4)
    assert max(step for step, _ in logged(one)) == UPDATES
    assert method is SFT or 0.0 < logged(one)[1, "reward"] < 1.0
    weights, others = learned(one), learned(two)
    assert all(np.abs(weights[name] - others[name]).mean() < 1e-5 for name in weights)


def test_a_signal_to_the_command_reaches_its_processes(prompts, tmp_path):
    given = words(prompts, tmp_path / "two", *SFT, "--processes", 2, "--updates", 99)
    said = []
    with subprocess.Popen(
        [sys.executable, "-m", "dipr1.cli", *map(str, given)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as command:
        for line in command.stderr:
            said.append(line)
            if "update 1 of" in line:
                command.send_signal(signal.SIGUSR1)
    assert command.returncode == ToBeContinued.CODE, "".join(said)
    assert any(line.startswith("SIGUSR1: leaving after this update") for line in said)
    assert "as SIGUSR1 says; the same command goes on from" in said[-1]
    [checkpoint] = (tmp_path / "two.parts").glob("checkpoint-*")
    assert (checkpoint / ALL_WROTE).is_file()
