"""The formats as a whole: every module of the folder is one, and nothing else knows their names."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from importlib import import_module
from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.datasets import formats
from dipr1.datasets.options import Dataset
from dipr1.errors import UserError


def test_the_configuration_knows_the_formats():
    known = Dataset.model_fields["format"].annotation.__args__
    assert list(known) == ["scenes", *formats.NAMES]


@pytest.mark.parametrize("name", formats.NAMES)
def test_what_is_said_without_importing_a_format_is_so(name):
    module = import_module(f"dipr1.datasets.formats.{name}")
    assert module.__doc__.startswith(formats.summary(name) + "\n\n")
    assert formats.summary(name).endswith(".")
    assert formats.boxes(name) == tuple(getattr(module, "BOXES", ("full",)))
    assert formats.boxes(name)[0] == formats.FULL


def test_a_box_that_a_format_does_not_have_is_refused(tmp_path):
    with pytest.raises(UserError, match="--box: format coco has no head boxes; it has full"):
        formats.read("coco", str(tmp_path), box="head")


def test_knowing_the_names_imports_no_format_and_no_heavy_package():
    code = (
        "import sys; import dipr1.datasets.options;"
        "heavy = {'numpy', 'scipy', 'pyarrow'} | {f'dipr1.datasets.formats.{name}'"
        " for name in dipr1.datasets.formats.NAMES};"
        "sys.exit(str(heavy & set(sys.modules)) if heavy & set(sys.modules) else 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def guide(root: Path) -> str:
    """The module that the contributors' guide shows."""
    text = (root / "CONTRIBUTING.md").read_text(encoding="utf-8")
    section = text[text.index("## A new annotation format") :]
    return section.split("```python\n")[1].split("```")[0]


def test_a_file_more_is_a_format_more(root, guide, tmp_path):
    """The guide's module, put into the folder and nothing else, can be converted."""
    shutil.copytree(
        root / "dipr1", tmp_path / "dipr1", ignore=shutil.ignore_patterns("checkpoint", "*.pyc")
    )
    (tmp_path / "dipr1/datasets/formats/table.py").write_text(guide)
    (tmp_path / "a.csv").write_text("a.jpg,person,1,2,3,4\na.jpg,dog,5,6,7,8\nb.jpg,person,1,2,3\n")
    (tmp_path / "sizes.json").write_text('{"a.jpg": [10, 20]}')
    files = "--annotations a.csv --sizes sizes.json --output a.parquet --labels person"
    done = subprocess.run(
        [sys.executable, "-m", "dipr1.cli", "convert", "--format", "table", *files.split()],
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    assert done.stdout.splitlines() == [
        "rows in 4 = kept 2 + rejected 1 + other labels 1",
        "  images in 1 = kept 1 + rejected 0",
        "  boxes in 3 = kept 1 + rejected 1 + other labels 1",
        "  rejected 1: not image,label and four numbers",
    ]
    assert ANNOTATIONS.read(tmp_path / "a.parquet")["boxes"].to_pylist() == [[[1, 2, 3, 4]]]
