"""`dipr1 provenance` walks from a file back to the downloads and says what has changed since."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from dipr1.cli import main

ANNOTATIONS = "results/annotations/crowd/train.parquet"
PROMPTS = "results/prompts/crowd/train.parquet"
DOWNLOAD = "results/download/crowd/train"


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """Scenes, downloaded and converted."""
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        words = ["--num-images", "2", "--dataset", "crowd", "--split", "train"]
        assert main(["download", *words, "--output", DOWNLOAD]) == 0
        words = ["--source", DOWNLOAD, "--labels", "person", "--prompts", PROMPTS]
        assert main(["convert", *words, "--output", ANNOTATIONS]) == 0
    return folder


@pytest.fixture
def here(made, tmp_path, monkeypatch) -> Path:
    shutil.copytree(made, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def provenance(capsys, *words: str) -> str:
    capsys.readouterr()
    assert main(["provenance", *words]) == 0
    return capsys.readouterr().out


def test_the_chain_ends_at_the_download(here, capsys):
    prompts, download = provenance(capsys, PROMPTS).split("\n\n")
    first, what, how, *inputs = prompts.splitlines()
    assert (first, what) == (PROMPTS, "  prompts of crowd.train")
    assert how.startswith("  made by convert, code ")
    assert inputs == [f"  from {DOWNLOAD} (download)", "  from tiny (policy)"]
    assert download.startswith(f"{DOWNLOAD}\n  download of crowd.train\n  made by download, code ")


def test_it_is_the_same_wherever_one_stands(here, capsys, monkeypatch):
    monkeypatch.chdir(here / "results/prompts")
    output = provenance(capsys, "crowd/train.parquet")
    assert "\n  from ../download/crowd/train (download)\n" in output


def test_what_is_no_longer_what_was_read_is_said(here, capsys):
    Path(DOWNLOAD, "source.json").write_text("{}")
    output = provenance(capsys, ANNOTATIONS)
    assert f"from {DOWNLOAD} (download): CHANGED\n" in output
    assert output.endswith("\ninputs that are gone: 0, that have changed since: 1\n")
    shutil.rmtree(DOWNLOAD)
    output = provenance(capsys, ANNOTATIONS)
    assert f"from {DOWNLOAD} (download): GONE\n" in output
    assert output.endswith("\ninputs that are gone: 1, that have changed since: 0\n")


def test_as_json_it_has_the_options_too(here, capsys):
    steps = json.loads(provenance(capsys, PROMPTS, "--json"))
    assert [step["path"] for step in steps] == [PROMPTS, DOWNLOAD]
    assert steps[0]["options"]["labels"] == ["person"]
    assert [one["state"] for one in steps[0]["inputs"]] == ["as read", "as read"]
    assert steps[1]["options"]["num_images"] == 2


def test_raw_files_are_read_and_named(here, capsys):
    words = ["--format", "coco", "--annotations", f"{DOWNLOAD}/annotations.json"]
    words += ["--images", f"{DOWNLOAD}/images", "--dataset", "own", "--split", "all"]
    assert main(["convert", *words, "--output", "own.parquet"]) == 0
    output = provenance(capsys, "own.parquet")
    assert output.splitlines()[1] == "  annotations of own.all"
    assert output.endswith(f"  from {DOWNLOAD}/annotations.json (no artifact of ours)\n")


@pytest.mark.parametrize(
    ("file", "message"),
    [
        ("absent.parquet", "absent.parquet: no such file"),
        ("raw.txt", "raw.txt: does not say what it was made from; another tool wrote it"),
    ],
)
def test_a_file_without_a_chain_is_one_line(here, capsys, file, message):
    Path("raw.txt").write_text("raw")
    assert main(["provenance", file]) == 1
    assert capsys.readouterr().err.endswith(f"dipr1 provenance: {message}\n")
