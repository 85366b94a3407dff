"""The verb `answer`: what a perception engineer tries first."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from dipr1.cli import main
from dipr1.demo.scenes import scene


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pictures")
    scene(5, seed=1).image.save(folder / "b.PNG")
    (folder / "notes.txt").write_text("no picture")
    return folder


def test_boxes_as_json_and_pictures_with_them_drawn(folder, tmp_path, capsys):
    written, shown = tmp_path / "a.json", tmp_path / "shown"
    command = ["answer", str(folder), "--look-again", "--max-regions", "1"]
    command += ["--output", str(written), "--pictures", str(shown)]
    for _ in range(2):  # what it made it may make again
        assert main(command) == 0
    (one,) = json.loads(written.read_text())["images"]
    assert one["image"] == str(folder / "b.PNG")
    assert {"box", "label", "confidence", "view"} == one["boxes"][0].keys()
    assert len(one["windows"]) == 1
    with Image.open(shown / "0001_b.png") as picture:
        assert picture.width > 2 * one["width"]
    assert f"{len(one['boxes'])} boxes in 1 images" in capsys.readouterr().err


def test_json_goes_to_standard_output(folder, capsys):
    assert main(["answer", str(folder / "b.PNG"), "--form", "answer"]) == 0
    (one,) = json.loads(capsys.readouterr().out)["images"]
    assert not one["looks"]


@pytest.mark.parametrize("name", ["empty", "missing.jpg"])
def test_what_is_not_there_is_one_line(tmp_path, name, capsys):
    (tmp_path / "empty").mkdir()
    assert main(["answer", str(tmp_path / name)]) == 1
    assert capsys.readouterr().err.count("\n") == 1
