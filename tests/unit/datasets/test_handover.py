"""What `download` writes down is what `convert` reads, or is refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.datasets.handover import note, read_note, write_note
from dipr1.errors import UserError


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_annotations_that_changed_since_are_refused():
    Path("coco.json").write_text("[]")
    write_note(Path("data"), note("coco", "coco.json", "images", 0, ""))
    assert read_note(Path("data"))["annotations"] == "coco.json"
    Path("coco.json").write_text("[] ")
    with pytest.raises(UserError, match="^coco.json: changed since `dipr1 download`"):
        read_note(Path("data"))


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such file"), ("{}", "not written by"), ("[]", "not written by"), ("", "not writ")],
)
def test_a_source_that_download_did_not_write(text, message):
    Path("data").mkdir()
    if text is not None:
        Path("data/source.json").write_text(text)
    with pytest.raises(UserError, match=f"^data/source.json: {message}"):
        read_note(Path("data"))


def test_a_folder_that_holds_its_files_can_be_moved():
    Path("a").mkdir()
    Path("a/coco.json").write_text("[]")
    write_note(Path("a"), note("coco", "a/coco.json", "a/images", 0, "", below=Path("a")))
    Path("a").rename("b")
    content = read_note(Path("b"))
    assert (content["annotations"], content["images"]) == ("b/coco.json", "b/images")


def test_a_format_that_is_not_known():
    Path("data").mkdir()
    Path("coco.json").write_text("[]")
    write_note(Path("data"), note("cocoa", "coco.json", "images", 0, ""))
    with pytest.raises(UserError, match="data/source.json: unknown format 'cocoa'; known: "):
        read_note(Path("data"))
