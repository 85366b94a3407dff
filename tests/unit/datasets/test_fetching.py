"""Data sets that are checked where they lie, fetched or unpacked, and then converted."""

from __future__ import annotations

import functools
import hashlib
import json
import shlex
import shutil
import threading
import zipfile
from collections.abc import Iterator
from http.server import HTTPServer, SimpleHTTPRequestHandler
from pathlib import Path

import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.writing import MARK
from dipr1.cli import main
from dipr1.datasets.sources import SOURCES

CONVERT = shlex.split("convert --labels person --output a.parquet --rejects r.parquet --source")


@pytest.fixture(autouse=True)
def working_directory(tmp_path: Path, monkeypatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def contents(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file() and path.name != MARK]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


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
    assert contents("data").keys() == {"source.json", "dipr1.json"}
    assert main([*CONVERT, "data"]) == 0
    table = ANNOTATIONS.read("a.parquet")
    assert table["image"].to_pylist() == ["pictures/0.png", "pictures/1.png"]
    assert capsys.readouterr().out.startswith("data: 2 images\n")


def test_the_note_is_another_where_an_image_is(local):
    # it is what `convert` and all that reads the images depend on
    notes = []
    for width in (20, 20, 40):
        Image.new("RGB", (width, 10)).save("pictures/1.png")
        assert main(local) == 0
        notes.append(Path("data/source.json").read_bytes())
    assert notes[0] == notes[1] != notes[2]
    Path("pictures/1.png").unlink()
    assert main(local) == 0
    assert Path("data/source.json").read_bytes() not in notes


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
        ("--annotations", "missing.json", "--annotations: missing.json: no such file or folder"),
        ("--images", "missing", "--images: missing: no such folder"),
    ],
)
def test_a_path_that_is_not_there(local, flag, value, message, capsys):
    assert main([*local, flag, value]) == 1
    assert message in capsys.readouterr().err


# --- sets that are fetched ------------------------------------------------------------------------


@pytest.fixture
def website(tmp_path: Path, monkeypatch) -> Iterator[str]:
    """The address of a server of the folder `website`."""
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Path("website").mkdir()

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *arguments) -> None:
            pass

    handler = functools.partial(Quiet, directory=str(tmp_path / "website"))
    server = HTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def packed(path: str, **files: bytes | str) -> str:
    """A zip; returns its SHA-256. Keys are names with `__` for `/`."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(path, "w") as archive:
        for name, data in files.items():
            archive.writestr(name.replace("__", "/"), data)
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()


def picture() -> bytes:
    Image.new("RGB", (20, 10)).save("picture.png")
    data = Path("picture.png").read_bytes()
    Path("picture.png").unlink()
    return data


COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "1.png"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [1, 1, 5, 5]}],
        "categories": [{"id": 1, "name": "person"}],
    }
)


@pytest.fixture
def own(website: str) -> list[str]:
    """The flags that fetch an archive with a set one folder down and things nobody asked for."""
    files = {"my-set__train__1.png": picture(), "my-set__train.json": COCO, "my-set__junk": b"x"}
    digest = packed("website/my set.zip", **files)
    return shlex.split(
        f"download --url '{website}/my%20set.zip' --sha256 {digest} --format coco"
        " --annotations train.json --images train --output data/train"
    )


def test_an_own_archive_is_fetched_unpacked_and_converted(own, capsys):
    assert main(own) == 0
    assert contents("data/train").keys() == {
        "source.json",
        "dipr1.json",
        "my-set/train.json",
        "my-set/train/1.png",
    }
    assert main([*CONVERT, "data/train"]) == 0
    table = ANNOTATIONS.read("a.parquet")
    assert table["image"].to_pylist() == ["data/train/my-set/train/1.png"]
    assert capsys.readouterr().out.startswith("data/train: 1 images\n")


def test_a_second_split_takes_the_archive_that_is_there(own, website):
    assert main(own) == 0
    Path("website/my set.zip").unlink()
    assert main([*own, "--output", "data/again"]) == 0
    assert contents("data/again") == contents("data/train")


def test_what_was_fetched_is_written_down(own):
    assert main(own) == 0
    source = json.loads(Path("data/train/source.json").read_text())["source"]
    archive = Path("data/archives/my set.zip")
    assert source["files"] == [
        {
            "name": "my set.zip",
            "size": archive.stat().st_size,
            "sha256": own[own.index("--sha256") + 1],
        }
    ]


def without_checksum(flags: list[str]) -> list[str]:
    at = flags.index("--sha256")
    return flags[:at] + flags[at + 2 :]


def damaged(path: Path) -> bytes:
    """Its first bytes, and what unpacking gives of it is half a set."""
    data = bytearray(path.read_bytes())
    data[data.index(b"train.json") + 20] ^= 1
    path.write_bytes(data)
    return bytes(data)


def test_a_stored_archive_that_is_broken_is_fetched_again(own, capsys):
    assert main(own) == 0
    first = contents("data/train")
    damaged(Path("data/archives/my set.zip"))
    assert main([*without_checksum(own), "--output", "data/again"]) == 0
    error = capsys.readouterr().err
    assert "data/archives/my set.zip: cannot be unpacked (Bad CRC" in error
    assert "); fetching it again\n" in error
    assert contents("data/again").keys() == first.keys()
    assert main([*own, "--output", "data/third"]) == 0  # it is whole now
    assert "again" not in capsys.readouterr().err


def test_an_archive_that_is_broken_where_it_comes_from_is_fetched_once(own, website, capsys):
    damaged(Path("website/my set.zip"))
    assert main(without_checksum(own)) == 1
    first = capsys.readouterr().err
    assert "cannot be unpacked (Bad CRC" in first and "fetching it again" not in first
    assert main(without_checksum(own)) == 1  # nor is it refused for ever
    assert capsys.readouterr().err.count("fetching it again\n") == 1


def test_nothing_that_is_said_names_the_temporary_folder(own, capsys):
    own[own.index("--images") + 1] = "elsewhere"
    assert main(own) == 1
    assert "data/train: no elsewhere in it" in capsys.readouterr().err


def test_nor_does_what_is_said_of_missing_images(website, capsys):
    document = json.loads(COCO)
    document["images"].append({"id": 2, "file_name": "2.png"})
    packed("website/a.zip", **{"train__1.png": picture(), "train.json": json.dumps(document)})
    get = f"download --url {website}/a.zip --format coco --annotations train.json --images train"
    assert main(shlex.split(f"{get} --output out")) == 0
    said = "1 of 2 image files are missing and will be rejected, for example out/train/2.png"
    assert said in capsys.readouterr().out


def test_nor_does_what_a_reader_says_of_the_annotations(website, capsys):
    packed("website/a.zip", **{"train__1.png": picture(), "train.json": "[1, "})
    get = f"download --url {website}/a.zip --format coco --annotations train.json --images train"
    assert main(shlex.split(f"{get} --output out")) == 1
    assert "out/train.json: not JSON" in capsys.readouterr().err


def test_a_wrong_checksum_leaves_nothing(own, capsys):
    own[own.index("--sha256") + 1] = "0" * 64
    assert main(own) == 1
    assert "expected SHA-256 0000" in capsys.readouterr().err
    assert not Path("data/train").exists()
    assert list(Path("data/archives").glob("[!.]*")) == []


def test_an_archive_without_what_was_named(own, capsys):
    own[own.index("--images") + 1] = "elsewhere"
    assert main(own) == 1
    assert "no elsewhere in it" in capsys.readouterr().err
    assert not Path("data/train").exists()


@pytest.mark.parametrize("flag", ["--format", "--annotations", "--images"])
def test_an_own_archive_must_be_explained(own, flag, capsys):
    at = own.index(flag)
    assert main(own[:at] + own[at + 2 :]) == 1
    assert f"{flag}: needed " in capsys.readouterr().err


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("ftp://host/a.zip", "--url: found 'ftp://host/a.zip'; string should match"),
        ("file:///etc/passwd", "--url: found 'file:///etc/passwd'; string should match"),
        ("http://host/", "--url: expected http(s)://host/.../file"),
        ("http://host/%2e%2e", "--url: expected http(s)://host/.../file"),
    ],
)
def test_an_address_that_is_none(url, message, capsys):
    flags = "--format coco --annotations a --images b --output data"
    assert main(["download", "--url", url, *shlex.split(flags)]) == 1
    assert message in capsys.readouterr().err


# --- sets that are put there by hand --------------------------------------------------------------


BY_HAND = [
    name
    for name, source in SOURCES.items()
    if not all(archive.url for archive in source.archives) or not source.archives
]


@pytest.mark.parametrize("name", BY_HAND)
def test_one_message_says_where_to_get_what_and_where_to_put_it(name, capsys):
    source = SOURCES[name]
    wanted = [archive.name for archive in source.archives]
    assert main(["download", "--source", name, "--output", "data"]) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2  # the licence, and what to do
    assert "licence" in error[0]
    for text in (*wanted, source.page, "data/archives", source.annotations, source.images):
        assert text in error[1]
    assert not Path("data").exists()


def person(index: str) -> str:
    boxes = {"fbox": [1, 1, 8, 8], "vbox": [1, 1, 8, 8], "hbox": [1, 1, 2, 2]}
    return json.dumps({"ID": index, "gtboxes": [{"tag": "person", **boxes}]}) + "\n"


def test_archives_put_by_hand(capsys):
    Image.new("RGB", (20, 10)).save("1.jpg")
    packed(
        "data/archives/CrowdHuman_val.zip",
        Images__1=b"",
        **{"Images__a,1.jpg": Path("1.jpg").read_bytes()},
    )
    get = shlex.split("download --source crowdhuman.val --output out")
    assert main(get) == 1
    error = capsys.readouterr().err
    assert "get annotation_val.odgt from https://www.crowdhuman.org" in error
    assert "CrowdHuman_val.zip" not in error
    Path("data/archives/annotation_val.odgt").write_text(person("a,1"))
    assert main(get) == 0
    assert main([*CONVERT, "out"]) == 0
    table = ANNOTATIONS.read("a.parquet")
    assert table["image"].to_pylist() == ["out/Images/a,1.jpg"]
    assert box_arrays(table["boxes"])[0].tolist() == [[1, 1, 9, 9]]


def test_an_archive_put_by_hand_is_verified(capsys):
    packed("data/archives/data_object_label_2.zip", a="not KITTI's")
    packed("data/archives/data_object_image_2.zip", a="not KITTI's")
    assert main(shlex.split("download --source kitti --output out")) == 1
    error = capsys.readouterr().err
    assert "data/archives/data_object_label_2.zip: expected 5601213 bytes but got" in error
    assert "; delete it and get it again from its makers\n" in error


def test_a_web_page_saved_as_an_archive(capsys):
    Path("data/archives").mkdir(parents=True)
    Path("data/archives/annotation_val.odgt").write_text(person("a,1"))
    Path("data/archives/CrowdHuman_val.zip").write_text("<!DOCTYPE html>")
    assert main(shlex.split("download --source crowdhuman.val --output out")) == 1
    error = capsys.readouterr().err.splitlines()
    assert len(error) == 2  # the licence, and what to do
    assert "data/archives/CrowdHuman_val.zip: is a web page and not the file" in error[1]


def test_a_web_page_saved_as_annotations(capsys):
    packed("data/archives/CrowdHuman_val.zip", **{"Images__a.jpg": b"x"})
    Path("data/archives/annotation_val.odgt").write_text("<html>")
    assert main(shlex.split("download --source crowdhuman.val --output out")) == 1
    assert "annotation_val.odgt: is a web page and not the file" in capsys.readouterr().err


def test_a_set_that_is_unpacked_already_is_used_where_it_lies(capsys):
    folder = Path("data/archives/wider.val/val_set")
    (folder / "val").mkdir(parents=True)
    Image.new("RGB", (20, 10)).save(folder / "val" / "img00001.jpg")
    (folder / "val_annotations.txt").write_text("img00001.jpg 1 2 2 5 5\n")
    assert main(shlex.split("download --source wider.val --output out")) == 0
    assert contents("out").keys() == {"source.json", "dipr1.json"}
    assert main(["convert", "--source", "out", "--output", "a.parquet"]) == 0
    image = ANNOTATIONS.read("a.parquet")["image"][0].as_py()
    assert image == "data/archives/wider.val/val_set/val/img00001.jpg"


def test_an_unpacked_set_that_lacks_something(capsys):
    Path("data/archives/crowdhuman.val/Images").mkdir(parents=True)
    assert main(shlex.split("download --source crowdhuman.val --output out")) == 1
    assert "data/archives/crowdhuman.val: no annotation_val.odgt in it" in capsys.readouterr().err


def test_a_folder_of_annotations_is_local_data_too():
    Path("set/Annotation").mkdir(parents=True)
    Path("set/PNGImages").mkdir()
    Image.new("RGB", (20, 10)).save("set/PNGImages/a.png")
    Path("set/Annotation/a.txt").write_text(
        'Image filename : "set/PNGImages/a.png"\nImage size (X x Y x C) : 20 x 10 x 3\n'
        'Objects with ground truth : 1 { "PASpersonWalking" }\n'
        'Bounding box for object 1 "PASpersonWalking" (Xmin, Ymin) - (Xmax, Ymax)'
        " : (2, 2) - (5, 9)\n"
    )
    get = (
        "download --format pennfudan --annotations set/Annotation --images set/PNGImages --output o"
    )
    assert main(shlex.split(get)) == 0
    assert main([*CONVERT, "o"]) == 0
    assert box_arrays(ANNOTATIONS.read("a.parquet")["boxes"])[0].tolist() == [[1, 1, 5, 9]]
