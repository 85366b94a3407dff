"""Interrupted work is continued only where it is the same work, and nothing else is removed."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.resuming import MARK, claim


def test_work_under_another_mark_is_not_continued(tmp_path):
    folder = tmp_path / "parts"
    claim(folder, "a")
    (folder / "000000.parquet").touch()
    claim(folder, "a")
    assert (folder / "000000.parquet").exists()
    claim(folder, "b")
    assert not (folder / "000000.parquet").exists()
    assert (folder / MARK).read_text() == "b"


def test_files_of_others_are_never_removed(tmp_path):
    thesis = tmp_path / "thesis.tex"
    thesis.touch()
    with pytest.raises(UserError, match="holds other files"):
        claim(tmp_path, "a")
    assert thesis.exists()
