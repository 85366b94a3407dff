"""What happens around a trainer: what is checked before, watched on the way and kept after it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dipr1.errors import UserError
from dipr1.resuming import claim
from dipr1.training.completions import FOLDER
from dipr1.training.running import (
    ALL_WROTE,
    check_enough,
    check_shared,
    log_table,
    make_way,
    newest_checkpoint,
)


def checkpoint(folder: Path, step: int, state: str | None = None) -> None:
    path = folder / f"checkpoint-{step}"
    path.mkdir()
    text = json.dumps({"global_step": step}) if state is None else state
    (path / "trainer_state.json").write_text(text)


def test_log_has_no_wall_clock():
    history = [
        {"step": 1, "loss": 0.5, "step_time": 1.2, "epoch": 0.1},
        {"step": 1, "train_runtime": 9.0, "train_loss": 0.5},
    ]
    assert log_table(history).to_pylist() == [{"step": 1, "name": "loss", "value": 0.5}]


def test_the_newest_checkpoint_is_that_of_the_most_updates(tmp_path):
    assert newest_checkpoint(tmp_path) is None
    for step in (9, 10):
        checkpoint(tmp_path, step)
    assert newest_checkpoint(tmp_path).name == "checkpoint-10"


@pytest.mark.parametrize("state", ["", '{"global_step": 1', "[]", "{}", '{"global_step": 9}'])
def test_a_damaged_checkpoint_is_passed_over_and_said(tmp_path, capsys, state):
    checkpoint(tmp_path, 2)
    checkpoint(tmp_path, 10, state)
    assert newest_checkpoint(tmp_path).name == "checkpoint-2"
    assert "checkpoint-10: its trainer_state.json is missing or damaged" in capsys.readouterr().err


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    (tmp_path / "checkpoint-10").mkdir()
    assert newest_checkpoint(tmp_path) is None
    checkpoint(tmp_path, 2)
    assert newest_checkpoint(tmp_path).name == "checkpoint-2"


@pytest.mark.parametrize(("keep_best", "begin"), [(False, "checkpoint-8"), (True, None)])
def test_a_shorter_run_begins_before_its_end_and_nothing_is_lost(
    tmp_path, capsys, keep_best, begin
):
    folder = tmp_path / "work"
    claim(folder, {"seed": 1}, "checkpoint-*")
    (folder / FOLDER).mkdir()
    for update in (4, 8, 10):
        checkpoint(folder, update)
        (folder / FOLDER / f"{update:08d}.parquet").touch()
    make_way(folder, 10, keep_best)
    assert newest_checkpoint(folder).name == "checkpoint-10"
    make_way(folder, 9, keep_best)
    newest = newest_checkpoint(folder)
    assert begin == (newest and newest.name)
    assert [int(file.stem) for file in sorted((folder / FOLDER).iterdir())] == [4, 8]
    aside = tmp_path / "work.set-aside-1"
    assert (
        f"its checkpoints are beyond --updates 9); set aside as {aside}" in capsys.readouterr().err
    )
    assert newest_checkpoint(aside).name == "checkpoint-10"
    for work in (folder, aside):
        claim(work, {"seed": 1}, "checkpoint-*")
        assert (work / FOLDER).exists()


def test_a_checkpoint_that_one_of_several_processes_has_not_written_is_passed_over(tmp_path):
    checkpoint(tmp_path, 2)
    checkpoint(tmp_path, 4)
    for process in (0, 1):
        (tmp_path / "checkpoint-4" / f"rng_state_{process}.pth").touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-2"
    (tmp_path / "checkpoint-4" / ALL_WROTE).touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-4"


def test_each_process_has_as_many_prompts():
    check_shared(6, 3)
    with pytest.raises(UserError, match="--prompts-per-update 6: cannot be shared by 4 processes"):
        check_shared(6, 4)


def test_too_few_prompts_are_refused():
    check_enough(2, 2)
    with pytest.raises(UserError, match="1 prompts are too few for --prompts-per-update 2"):
        check_enough(1, 2)
    with pytest.raises(UserError, match="2 x --updates-per-generation 3; give more images"):
        check_enough(5, 2, 3)
