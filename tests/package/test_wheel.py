"""The wheel: all of the package is in it, and it works where nothing but its dependencies is.

`make test-python PYTHON=...` runs this, since it installs packages; `make test` does not.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

LARGEST = 7_000_000  # bytes; most of it is the built-in policy


def run(*words: object, cwd: Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "VIRTUAL_ENV")}
    done = subprocess.run(
        list(map(str, words)), cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == code, done.stderr
    return done


@pytest.fixture(scope="module")
def wheel(root, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    run(
        sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "-w", folder, root, cwd=folder
    )
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def dipr1(wheel, tmp_path_factory) -> Path:
    """The command of a fresh environment that the wheel was installed into, without extras."""
    folder = tmp_path_factory.mktemp("fresh")
    run(sys.executable, "-m", "venv", folder, cwd=folder)
    run(folder / "bin" / "pip", "install", "--quiet", wheel, cwd=folder)
    return folder / "bin" / "dipr1"


def test_all_of_the_package_is_in_it_and_nothing_else(root, wheel):
    tracked = run("git", "ls-files", "dipr1", cwd=root).stdout.split()
    packed = [name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name]
    assert sorted(packed) == sorted(tracked)
    assert "dipr1/demo/checkpoint/model.safetensors" in packed
    assert "dipr1/report/page.html.j2" in packed
    assert wheel.stat().st_size < LARGEST


@pytest.mark.parametrize("verb", ["convert", "describe", "evaluate", "official", "report", "train"])
def test_a_verb_explains_itself(dipr1, tmp_path, verb):
    assert f"usage: dipr1 {verb}" in run(dipr1, verb, "--help", cwd=tmp_path).stdout


def test_from_scenes_to_official_figures(dipr1, tmp_path):
    def call(line: str) -> str:
        return run(dipr1, *line.split(), cwd=tmp_path).stdout

    call("download --format scenes --num-images 2 --output scenes")
    call("convert --source scenes --policy tiny --output a.parquet --prompts p.parquet")
    assert "images" in call("describe a.parquet")
    call("export a.parquet --output truth.json")
    truth = json.loads((tmp_path / "truth.json").read_text())
    names = ("image_id", "category_id", "bbox")
    found = [{name: box[name] for name in names} | {"score": 1} for box in truth["annotations"]]
    (tmp_path / "found.json").write_text(json.dumps(found))
    figures = call("official coco --ground-truth truth.json --detections found.json --json")
    assert json.loads(figures)["AP50"] == pytest.approx(1.0)


def test_what_needs_the_extra_says_so(dipr1, tmp_path):
    line = "answer picture.png"
    from PIL import Image

    Image.new("RGB", (64, 64)).save(tmp_path / "picture.png")
    told = run(dipr1, *line.split(), cwd=tmp_path, code=1).stderr
    assert told.count("\n") == 1
    assert "pip install 'dipr1[train]'" in told
