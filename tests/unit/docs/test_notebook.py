"""The notebook: kept without outputs, its commands exist. `make notebook` runs it."""

from __future__ import annotations

import shlex

import nbformat
import pytest

from dipr1.cli import parser_for


@pytest.fixture
def cells(root) -> list:
    """Its cells of code."""
    notebook = nbformat.read(root / "notebooks/first_boxes.ipynb", as_version=4)
    nbformat.validate(notebook)
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def test_it_is_kept_without_outputs(cells):
    assert not any(cell.outputs or cell.execution_count for cell in cells)


def test_its_commands_exist(cells, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    lines = "\n".join(cell.source for cell in cells).replace("\\\n", " ").splitlines()
    calls = [shlex.split(line.removeprefix("!dipr1 ")) for line in lines if line.startswith("!")]
    for words in calls:
        assert parser_for(words[0]).parse_args(words).verb == words[0]
    every = ["download", "convert", "sample", "variance", "audit"]
    assert list(dict.fromkeys(words[0] for words in calls)) == every
