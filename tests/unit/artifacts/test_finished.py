"""A result is kept beside what it was published as, and given again where that was deleted."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dipr1.artifacts.finished import finish, finished, give_again
from dipr1.artifacts.writing import whole
from dipr1.resuming import MARK, claim, clear


@pytest.fixture
def folder(tmp_path) -> Path:
    folder = tmp_path / "work" / "parts"
    claim(folder, {"seed": 0}, "*.pt")
    (folder / "one.pt").touch()
    (folder / "checkpoint-1").mkdir()
    return folder


def policy(path: Path) -> Path:
    with whole(path) as part:
        (part / "adapter").mkdir(parents=True)
        (part / "adapter" / "weights").write_bytes(b"weights")
        (part / "config.json").write_text("{}")
    return path


def files(path: Path) -> dict[str, bytes]:
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def test_parts_are_removed_where_nothing_is_to_be_kept(folder, tmp_path):
    finish(folder, policy(tmp_path / "policy"), keep=False)
    assert not folder.exists()


def test_a_deleted_folder_is_given_again(folder, tmp_path):
    output = policy(tmp_path / "policy")
    before = files(output)
    finish(folder, output, keep=True, kind="-3")
    assert {path.name for path in folder.iterdir()} == {MARK, "finished-3"}
    shutil.rmtree(output)
    assert finished(folder, "-4") is None
    give_again(finished(folder, "-3"), output)
    assert files(output) == before
    assert (output / "config.json").samefile(folder / "finished-3" / "config.json")


def test_a_deleted_file_is_given_again(folder, tmp_path):
    output = tmp_path / "a.json"
    output.write_text(json.dumps({"AP": 1}))
    finish(folder, output, keep=True)
    output.unlink()
    give_again(finished(folder), output)
    assert json.loads(output.read_text()) == {"AP": 1}


def test_what_is_there_is_left_as_it_is(folder, tmp_path):
    """Snakemake puts a file of its own into a folder; a folder with it may not be replaced."""
    output = policy(tmp_path / "policy")
    finish(folder, output, keep=True)
    (output / ".snakemake_timestamp").touch()
    give_again(finished(folder), output)
    assert (output / ".snakemake_timestamp").exists()


def test_the_workflow_clears_what_is_finished_and_free(folder, tmp_path, capsys):
    at_work, half = (folder.with_name(name) for name in ("at_work", "half"))
    shutil.copytree(folder, half)
    finish(folder, policy(tmp_path / "policy"), keep=True)
    shutil.copytree(folder, at_work)
    at_work.with_name("at_work.lock").touch()
    for work in (folder, at_work, half, tmp_path / "none"):
        clear(work)
    assert not folder.exists()
    assert at_work.exists() and (half / "one.pt").exists()


def test_other_work_does_not_find_it(folder, tmp_path):
    finish(folder, policy(tmp_path / "policy"), keep=True)
    claim(folder, {"seed": 1}, "*.pt")
    assert finished(folder) is None
    assert list(tmp_path.glob("work/*")) == [folder]
