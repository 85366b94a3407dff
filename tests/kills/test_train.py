"""A training that is killed, wherever it is, and started again ends as one that is left alone."""

from __future__ import annotations

import functools
import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1.artifacts.prompts import PROMPTS
from tests.unit.scenes import scene_prompts
from tests.unit.training.ranks import train

SFT = ("--method", "sft", "--micro-batch-size", 1)
GRPO = ("--method", "grpo", "--group-size", 2, "--micro-batch-size", 1)
GRPO += ("--rewards", json.dumps({"reasoning": 1}), "--max-completion-length", 40)
LORA = ("--lora-rank", 2)
UPDATES = 5  # of which two are a pass over the prompts


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("prompts")
    PROMPTS.write(scene_prompts(folder, 5), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def words(prompts: Path, output: Path, *more) -> list:
    given = ["train", "--arm", "one", "--prompts", prompts, "--threads", 1, "--updates", UPDATES]
    return [*given, "--prompts-per-update", 2, "--save-every", 1, "--output", output, *more]


def contents(folder: Path) -> dict[str, bytes]:
    """All files, but for the trainer's logs with their times."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    names = (str(path.relative_to(folder)) for path in paths)
    return {name: (folder / name).read_bytes() for name in names if "tensorboard" not in name}


def kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def killed_in_update(update: int) -> None:
    """When the weights have changed, and before the update's checkpoint is written."""
    from transformers import Trainer

    log = Trainer.log

    def log_or_die(trainer, *given, **named) -> None:
        log(trainer, *given, **named)
        if trainer.state.global_step == update:
            kill()

    Trainer.log = log_or_die


def killed_while_saving(update: int) -> None:
    """When weights, optimiser and random states are written, and half of the trainer's state."""
    from transformers import TrainerState

    save = TrainerState.save_to_json

    def save_half(state, path: str) -> None:
        save(state, path)
        if state.global_step == update:
            os.truncate(path, os.path.getsize(path) // 2)
            kill()

    TrainerState.save_to_json = save_half


def killed_while_saving_the_optimiser(update: int) -> None:
    """When half of the optimiser's state is written, and nothing after it."""
    import torch

    save = torch.save

    def save_half(state, path, *given, **named) -> None:
        save(state, path, *given, **named)
        if Path(path).parent.name == f"checkpoint-{update}" and Path(path).name == "optimizer.pt":
            os.truncate(path, os.path.getsize(path) // 2)
            kill()

    torch.save = save_half


def killed_while_publishing() -> None:
    from dipr1.verbs import train

    def save_nothing(trainer, weights, dtype, folder) -> None:
        folder.mkdir()
        kill()

    train.save = save_nothing


def killed_while_cleaning_up() -> None:
    from dipr1.verbs import train

    train.finish = lambda *_, **__: kill()


def nothing() -> None:
    pass


# who kills each start, and what that start goes on from
STARTS = [
    (functools.partial(killed_in_update, 1), ""),
    (functools.partial(killed_while_saving_the_optimiser, 2), ""),
    (functools.partial(killed_while_saving, 3), "resuming from checkpoint-1"),
    (functools.partial(killed_in_update, 4), "resuming from checkpoint-2"),
    (killed_while_publishing, "resuming from checkpoint-3"),
    (killed_while_cleaning_up, "checkpoint-5 is the last"),
    (nothing, "checkpoint-5 is the last"),
]


@pytest.mark.parametrize("count", [1, 2])
@pytest.mark.parametrize(
    "method", [SFT, GRPO, SFT + LORA, GRPO + LORA], ids=["sft", "grpo", "sft lora", "grpo lora"]
)
def test_killed_everywhere_it_ends_the_same(prompts, tmp_path, method, count):
    start = functools.partial(train, folder=tmp_path, count=count)
    codes, said = start(words(prompts, tmp_path / "undisturbed", *method), prepare=nothing)
    assert codes == [0] * count, said
    for die, goes_on_from in STARTS:
        codes, said = start(words(prompts, tmp_path / "killed", *method), prepare=die)
        assert goes_on_from in said
        assert codes[0] == (0 if die is nothing else -signal.SIGKILL), said
        assert (tmp_path / "killed.parts.lock").exists() == (die is not nothing)
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.glob("killed*")) == ["killed"]


def test_a_launcher_that_is_killed_takes_its_processes_with_it(prompts, tmp_path):
    """They finish their update, save and leave; who is started at once waits for that."""

    def start(output: str) -> subprocess.Popen:
        given = words(prompts, tmp_path / output, *GRPO, "--processes", 2)
        return subprocess.Popen(
            [sys.executable, "-m", "dipr1.cli", *map(str, given)],
            stderr=subprocess.PIPE,
            text=True,
            env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
        )

    def end(command: subprocess.Popen) -> str:
        said = command.communicate()[1]
        assert command.returncode == 0, said
        return said

    end(start("undisturbed"))
    with start("killed") as launcher:
        for line in launcher.stderr:
            if "update 1 of" in line:
                break
        launcher.kill()
        said = end(start("killed"))
    assert "resuming from checkpoint-" in said
    assert contents(tmp_path / "killed") == contents(tmp_path / "undisturbed")
    assert sorted(path.name for path in tmp_path.glob("killed*")) == ["killed"]
