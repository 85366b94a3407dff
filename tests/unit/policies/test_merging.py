"""What is not merged; what becomes of an adapter is in tests/unit/training/test_adapters.py."""

from __future__ import annotations

import pytest

from dipr1.cli import main


def test_a_whole_checkpoint_is_left_alone(tmp_path, capsys):
    pytest.importorskip("torch")
    assert main(["export", "tiny", "--merge", "--output", str(tmp_path / "merged")]) == 1
    assert "tiny: is a whole checkpoint; --merge takes the folder of an" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_file_is_not_replaced_by_a_folder(tmp_path, capsys):
    (tmp_path / "merged").write_text("mine")
    assert main(["export", "tiny", "--merge", "--output", str(tmp_path / "merged")]) == 1
    assert "a file is there, but a folder is to be written" in capsys.readouterr().err
