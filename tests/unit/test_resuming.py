"""Interrupted work is continued only where it is the same work, and nothing else is removed."""

from __future__ import annotations

import json

import pytest

from dipr1.errors import UserError
from dipr1.resuming import MARK, claim

WORK = {"verb": "sample", "options": {"temperature": 1.0, "shard": (0, 2)}, "seed": 0}


def claimed(folder, work=WORK) -> None:
    claim(folder, work, "*.parquet")


def test_the_same_work_goes_on(tmp_path):
    folder = tmp_path / "parts"
    claimed(folder)
    (folder / "000000.parquet").touch()
    claimed(folder)
    assert (folder / "000000.parquet").exists()


def test_what_is_finished_of_other_work_is_left_alone(tmp_path):
    claimed(tmp_path)
    (tmp_path / "000000.parquet").touch()
    other = WORK | {"options": {"temperature": 0.5, "shard": [0, 2]}, "seed": 1}
    with pytest.raises(UserError, match=r"temperature was 1.0, now 0.5; seed was 0, now 1; delete"):
        claimed(tmp_path, other)
    many = {"options": dict.fromkeys("abcd")}
    with pytest.raises(UserError, match="seed was 0, now None and 1 more; delete"):
        claimed(tmp_path, many)
    claimed(tmp_path)
    assert (tmp_path / "000000.parquet").exists()


@pytest.mark.parametrize("mark", ["0123456789abcdef", "1234567890123456", ""])
def test_a_mark_of_an_earlier_version_is_another_s(tmp_path, mark):
    (tmp_path / MARK).write_text(mark)
    (tmp_path / "000000.parquet").touch()
    with pytest.raises(UserError, match="its mark is of another version"):
        claimed(tmp_path)


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
