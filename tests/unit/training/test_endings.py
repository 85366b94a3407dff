"""A training that cannot go on ends with one line, and nothing half-written is left."""

from __future__ import annotations

import errno
import json
import types

import pytest

from dipr1.errors import UserError
from dipr1.training.endings import ended, told_of

TRAINER = types.SimpleNamespace(state=types.SimpleNamespace(global_step=6))


@pytest.fixture
def folder(tmp_path):
    """Of two whole checkpoints and one that was being written."""
    for step in (2, 10, 12):
        (tmp_path / f"checkpoint-{step}").mkdir()
    for step in (2, 10):
        state = tmp_path / f"checkpoint-{step}" / "trainer_state.json"
        state.write_text(json.dumps({"global_step": step}))
    return tmp_path


@pytest.mark.parametrize(
    ("fault", "said"),
    [
        (OSError(errno.ENOSPC, "No space left on device", "a"), "cannot be written"),
        (RuntimeError("[enforce fail] PytorchStreamWriter failed writing"), "cannot be written"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory has run out"),
        (RuntimeError("CUDA out of memory. Tried to allocate\n20 MiB"), "memory has run out"),
        (MemoryError(), "memory has run out"),
    ],
)
def test_a_fault_of_the_machine_is_one_line(folder, fault, said):
    with pytest.raises(UserError, match=f"update 7: {said}") as told, ended(TRAINER, folder):
        raise fault
    assert str(told.value).endswith(f"the same command goes on from {folder / 'checkpoint-10'}")
    assert "\n" not in str(told.value)
    assert sorted(path.name for path in folder.iterdir()) == ["checkpoint-10", "checkpoint-2"]


def test_without_a_checkpoint_it_begins_anew(tmp_path):
    with pytest.raises(UserError, match="begins anew"), ended(TRAINER, tmp_path):
        raise MemoryError


def test_a_mistake_of_ours_is_none_of_the_machine(tmp_path):
    for mistake in (ValueError("wrong"), FileNotFoundError(errno.ENOENT, "gone", "a")):
        with pytest.raises(type(mistake)), ended(TRAINER, tmp_path):
            raise mistake


def test_a_lost_process_is_said_where_there_are_several(tmp_path, monkeypatch):
    lost = RuntimeError("[gloo/transport/tcp/pair.cc:547] Connection closed by peer")
    with pytest.raises(RuntimeError, match="gloo"), ended(TRAINER, tmp_path):
        raise lost
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UserError, match="another process has ended"), ended(TRAINER, tmp_path):
        raise lost


def test_a_reward_that_raises_is_named():
    told = pytest.raises(UserError, match="my_reward: raised KeyError .* in .*_endings.py line")
    with told, told_of("my_reward"):
        raise KeyError("gt_boxes")
    with pytest.raises(UserError, match="^as it is$"), told_of("my_reward"):
        raise UserError("as it is")
