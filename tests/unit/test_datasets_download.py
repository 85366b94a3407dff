"""The verb `download`: whole folders, the same bytes, and the hand-over to `convert`."""

from __future__ import annotations

import json
import shlex
import shutil
from pathlib import Path

import pytest
from PIL import Image

from dipr1.cli import main
from dipr1.scenes import scene
from dipr1.tables import box_arrays, read_table

SCENES = shlex.split("download --format scenes --style street --num-images 6 --seed 1 --output")
CONVERT = shlex.split("convert --labels person --output a.parquet --rejects r.parquet --source")


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


def test_scenes_are_generated_and_converted(capsys):
    assert main([*SCENES, "data/train"]) == 0
    assert len(list(Path("data/train/images").iterdir())) == 6
    assert main([*CONVERT, "data/train"]) == 0
    table = read_table("a.parquet", "annotations")
    assert table["image"][2].as_py() == "data/train/images/000002.jpg"
    drawn = [scene(index, seed=1) for index in range(6)]
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


def test_a_folder_that_exists_is_replaced_whole():
    Path("a").mkdir()
    Path("a/stale.txt").write_text("old")
    assert main([*SCENES, "a"]) == 0
    assert "stale.txt" not in contents("a")
    assert sorted(path.name for path in Path().iterdir()) == ["a"]


@pytest.mark.parametrize(("flag", "value"), [("--num-images", "0"), ("--seed", "-1")])
def test_bounds_of_the_generator(flag, value, capsys):
    assert main([*SCENES, "a", flag, value]) == 1
    assert f"{flag}: expected" in capsys.readouterr().err
    assert list(Path().iterdir()) == []


@pytest.fixture
def local() -> list[str]:
    """A COCO file of two images and the arguments that name it."""
    Path("pictures").mkdir()
    images = []
    for index in range(2):
        Image.new("RGB", (20, 10)).save(f"pictures/{index}.png")
        images.append({"id": index, "file_name": f"{index}.png"})
    annotations = [{"image_id": 0, "category_id": 1, "bbox": [1, 1, 5, 5]}]
    categories = [{"id": 1, "name": "person"}]
    document = {"images": images, "annotations": annotations, "categories": categories}
    Path("coco.json").write_text(json.dumps(document))
    return shlex.split(
        "download --format coco --annotations coco.json --images pictures --output data"
    )


def test_local_files_are_named_and_converted(local, capsys):
    assert main(local) == 0
    source = json.loads(Path("data/source.json").read_text())
    assert source["num_images"] == 2
    assert (source["annotations"], source["images"]) == ("coco.json", "pictures")
    assert contents("data").keys() == {"source.json"}
    assert main([*CONVERT, "data"]) == 0
    table = read_table("a.parquet", "annotations")
    assert table["image"].to_pylist() == ["pictures/0.png", "pictures/1.png"]
    assert capsys.readouterr().out.startswith("data: 2 images\n")


def test_missing_images_are_announced(local, capsys):
    Path("pictures/1.png").unlink()
    assert main(local) == 0
    assert "1 of 2 image files are missing" in capsys.readouterr().out


def test_a_folder_without_any_of_the_images_is_the_wrong_one(local, capsys):
    shutil.rmtree("pictures")
    Path("pictures").mkdir()
    assert main(local) == 1
    assert "none of the 2 images of coco.json is there" in capsys.readouterr().err
    assert not Path("data").exists()


@pytest.mark.parametrize(
    ("flag", "value", "message"),
    [
        ("--annotations", "missing.json", "--annotations: missing.json: no such file"),
        ("--images", "missing", "--images: missing: no such folder"),
    ],
)
def test_a_path_that_is_not_there(local, flag, value, message, capsys):
    assert main([*local, flag, value]) == 1
    assert message in capsys.readouterr().err


def test_a_path_that_is_not_given(capsys):
    assert main(["download", "--format", "coco", "--output", "data"]) == 1
    assert "--annotations: needed for format coco" in capsys.readouterr().err


def test_annotations_that_changed_since_are_refused(local, capsys):
    assert main(local) == 0
    Path("coco.json").write_text(Path("coco.json").read_text() + " ")
    assert main([*CONVERT, "data"]) == 1
    assert "coco.json: changed since `dipr1 download`" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "message"),
    [(None, "no such file"), ("{}", "not written by"), ("[]", "not written by"), ("", "not writ")],
)
def test_a_source_that_download_did_not_write(text, message, capsys):
    Path("data").mkdir()
    if text is not None:
        Path("data/source.json").write_text(text)
    assert main([*CONVERT, "data"]) == 1
    assert f"data/source.json: {message}" in capsys.readouterr().err
