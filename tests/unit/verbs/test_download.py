"""The verb `download`: scenes, and flags that do not go together."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.writing import MARK
from dipr1.cli import main
from dipr1.demo.scenes import scene
from dipr1.provenance import file_digest

SCENES = shlex.split("download --format scenes --style street --num-images 6 --seed 1 --output")


CONVERT = shlex.split("convert --labels person --output a.parquet --rejects r.parquet --source")


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != MARK]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_the_note_of_scenes_says_what_their_images_are():
    assert main([*SCENES, "data/train"]) == 0
    note = json.loads(Path("data/train/source.json").read_text())
    assert note["images_seen"] == file_digest("data/train/images")


def test_scenes_are_generated_and_converted(capsys):
    assert main([*SCENES, "data/train"]) == 0
    assert len(list(Path("data/train/images").iterdir())) == 6
    assert main([*CONVERT, "data/train"]) == 0
    table = ANNOTATIONS.read("a.parquet")
    assert table["image"][2].as_py() == "data/train/images/000002.jpg"
    drawn = [scene(index, seed=1, style="street") for index in range(6)]
    for row, (boxes, expected) in enumerate(zip(box_arrays(table["boxes"]), drawn, strict=True)):
        wanted = [*expected.boxes.tolist(), *expected.ignore_boxes.tolist()]
        assert boxes.tolist() == wanted
        assert table["ignore"][row].as_py() == [False] * len(expected.boxes) + [True] * len(
            expected.ignore_boxes
        )
    assert "rejected 0" in capsys.readouterr().out


def test_the_same_seed_gives_the_same_folder():
    assert main([*SCENES, "a"]) == main([*SCENES, "b"]) == 0
    assert contents("a") == contents("b")
    assert main([*SCENES, "c", "--seed", "2"]) == 0
    assert contents("a") != contents("c")


def test_a_folder_of_ours_is_replaced_whole():
    assert main([*SCENES, "a", "--num-images", "7"]) == 0
    assert main([*SCENES, "a", "--num-images", "5"]) == 0
    assert len(list(Path("a/images").iterdir())) == 5
    assert sorted(path.name for path in Path().iterdir()) == ["a"]


def test_a_folder_with_other_files_is_left_alone(capsys):
    Path("data").mkdir()
    Path("data/archive.zip").write_text("fetched by hand")
    assert main([*SCENES, "data"]) == 1
    assert "data: is there already and does not say that dipr1 made it" in capsys.readouterr().err
    assert list(contents("data")) == ["archive.zip"]


@pytest.mark.parametrize(("flag", "value"), [("--num-images", "0"), ("--seed", "-1")])
def test_bounds_of_the_generator(flag, value, capsys):
    assert main([*SCENES, "a", flag, value]) == 1
    assert f"{flag}: found {value!r}; input should be greater" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


def test_a_path_that_is_not_given(capsys):
    assert main(["download", "--format", "coco", "--output", "data"]) == 1
    assert "--annotations: needed for format coco" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ("--source coco", "--source: no 'coco'; there are "),
        ("--source kitti --format coco", "--format: source kitti is of format kitti but got coco"),
        ("--source kitti --url http://a/b", "--url: give it or a source, not both"),
        ("--source kitti --images x", "--images: source kitti knows its own; leave one out"),
        ("--source kitti --sha256 " + 64 * "0", "--sha256: needs the url of an archive"),
        ("--source kitti --style night", "--style: means nothing for format kitti; leave it out"),
        ("--annotations nowhere.json", "--format: needed with --annotations"),
        (
            "--format scenes --annotations nowhere.json",
            "--annotations: means nothing for format scenes; leave it out",
        ),
        ("--format scenes --archives x", "--archives: means nothing without a source or a url"),
        (
            "--format coco --annotations a --images b --seed 3",
            "--seed: means nothing for format coco; leave it out",
        ),
    ],
)
def test_flags_that_contradict(flags, message, capsys):
    assert main(["download", "--output", "data", *shlex.split(flags)]) == 1
    assert message in capsys.readouterr().err
