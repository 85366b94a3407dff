"""Loggers by name: what is not installed is told before anything is done."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from dipr1.errors import UserError
from dipr1.training.loggers import keep_logs, reporting
from dipr1.training.options import SftArm


def test_by_default_files_for_tensorboard_lie_in_the_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TENSORBOARD_LOGGING_DIR", "")
    assert reporting(SftArm(method="sft"), tmp_path) == {"report_to": ["tensorboard"]}
    assert list(tmp_path.iterdir()) == []


def test_nothing_may_be_reported(tmp_path):
    arguments = reporting(SftArm(method="sft", report_to=[]), tmp_path / "mine" / "seed0")
    assert (arguments["report_to"], arguments["run_name"]) == ([], "mine/seed0")


@pytest.mark.skipif(find_spec("wandb") is not None, reason="it is installed")
def test_a_logger_that_is_not_installed_is_named(tmp_path):
    with pytest.raises(UserError, match="report_to: wandb is not installed; `pip install wandb`"):
        reporting(SftArm(method="sft", report_to=["wandb"]), tmp_path)


def test_what_loggers_wrote_is_kept(tmp_path):
    (tmp_path / "parts" / "tensorboard" / "run").mkdir(parents=True)
    (tmp_path / "parts" / "tensorboard" / "run" / "events").write_text("a")
    keep_logs(SftArm(method="sft"), tmp_path / "parts", tmp_path / "policy")
    assert [path.name for path in (tmp_path / "policy").rglob("*")] == [
        "tensorboard",
        "run",
        "events",
    ]
    keep_logs(SftArm(method="sft", report_to=[]), tmp_path / "nothing", tmp_path / "other")
    assert not (tmp_path / "other").exists()
