"""What is kept of a training run."""

from __future__ import annotations

from dipr1.training.running import log_table, newest_checkpoint


def test_log_has_no_wall_clock():
    history = [
        {"step": 1, "loss": 0.5, "step_time": 1.2, "epoch": 0.1},
        {"step": 1, "train_runtime": 9.0, "train_loss": 0.5},
    ]
    assert log_table(history).to_pylist() == [{"step": 1, "name": "loss", "value": 0.5}]


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-2" / "trainer_state.json").touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-2"
    (tmp_path / "checkpoint-10" / "trainer_state.json").touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-10"
    assert newest_checkpoint(tmp_path / "none") is None
