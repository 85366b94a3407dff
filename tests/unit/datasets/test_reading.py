"""What readers share: which files of a folder they take."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.datasets.reading import annotation_files, visible_files
from dipr1.errors import UserError

NAMES = ["a.xml", "B.XML", "city/c.xml", ".git/d.xml", "city/.cache/e.xml", "._a.xml", "readme.txt"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in NAMES:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_files_are_taken_by_their_suffix_in_any_case_and_hidden_ones_are_not(folder):
    assert annotation_files(str(folder), ".xml") == [
        ("B", str(folder / "B.XML")),
        ("a", str(folder / "a.xml")),
        ("city/c", str(folder / "city" / "c.xml")),
    ]


def test_a_folder_may_itself_be_hidden(folder):
    assert annotation_files(str(folder / ".git"), ".xml") == [("d", str(folder / ".git/d.xml"))]


def test_two_files_of_one_name_are_both_there(folder):
    (folder / "a.XML").touch()
    names = [name for name, _ in annotation_files(str(folder), ".xml")]
    assert names == ["B", "a", "a", "city/c"]


def test_a_file_alone_is_taken_whatever_its_name(folder):
    path = str(folder / "readme.txt")
    assert annotation_files(path, ".xml") == [("readme", path)]


def test_a_folder_without_any(folder):
    with pytest.raises(UserError, match="no .json file in this folder"):
        annotation_files(str(folder), ".json")
    with pytest.raises(
        UserError, match="no such file or folder; give the folder of the .xml files"
    ):
        annotation_files(str(folder / "missing"), ".xml")


def test_visible_files_are_relative_to_the_folder(folder):
    files = sorted(file.as_posix() for file in visible_files(str(folder)))
    assert files == ["B.XML", "a.xml", "city/c.xml", "readme.txt"]
