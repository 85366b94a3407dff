"""Annotations leave as COCO JSON and come back as they were; other tools open the artifacts."""

from __future__ import annotations

import json
import string
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts import artifact_named
from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.prompts import prompt_rows
from dipr1.cli import main
from dipr1.datasets.exporting import coco_document
from dipr1.errors import UserError
from dipr1.frames import PolicyFrames

TEXT = st.text(string.ascii_letters + string.digits + ",/ é人", min_size=1, max_size=8)
LABELS = ["person", "rider", "Auto ü"]


@st.composite
def boxes_in(draw, width: int, height: int) -> list[float]:
    """Corners that are float32 and leave an area, however small."""
    sides = []
    for size in (width, height):
        side = st.floats(0, size, width=32)
        low, high = draw(st.tuples(side, side).filter(lambda pair: pair[0] != pair[1]).map(sorted))
        sides.append((low, high))
    (x1, x2), (y1, y2) = sides
    return [x1, y1, x2, y2]


@st.composite
def rows(draw, image_id: str) -> dict:
    width, height = draw(st.integers(1, 10_000)), draw(st.integers(1, 10_000))
    boxes = draw(st.lists(boxes_in(width, height), max_size=5))
    count = len(boxes)
    share = st.none() | st.floats(0, 1, width=32)
    labels = draw(st.lists(st.sampled_from([*LABELS, ANY_LABEL]), min_size=count, max_size=count))
    return {
        "image_id": image_id,
        "image": draw(TEXT),
        "width": width,
        "height": height,
        "boxes": boxes,
        "labels": labels,
        "ignore": [label == ANY_LABEL or draw(st.booleans()) for label in labels],
        "visibility": draw(st.lists(share, min_size=count, max_size=count)),
    }


@st.composite
def artifacts(draw) -> pa.Table:
    identifier = draw(st.sampled_from([TEXT, st.integers(0, 10**12).map(str)]))
    ids = sorted(draw(st.sets(identifier, min_size=1, max_size=4)))
    found = [draw(rows(image_id)) for image_id in ids]
    return pa.Table.from_pylist(found, ANNOTATIONS.schema)


def there_and_back(table: pa.Table, folder: Path, *flags: str) -> pa.Table:
    first, second, coco = (str(folder / name) for name in ("a.parquet", "b.parquet", "coco.json"))
    ANNOTATIONS.write(table, first)
    assert main(["export", first, "--output", coco, *flags]) == 0
    convert = ["convert", "--format", "coco", "--annotations", coco, "--output", second, "--strict"]
    assert main(convert) == 0
    return ANNOTATIONS.read(second)


@given(table=artifacts())
@settings(deadline=None, max_examples=60)
def test_what_leaves_comes_back(table):
    with TemporaryDirectory() as folder:
        back = there_and_back(table, Path(folder), "--labels", *LABELS)
        assert back.to_pylist() == table.to_pylist()


def one(**changes) -> pa.Table:
    row = {
        "image_id": "x",
        "image": "data/images/x.jpg",
        "width": 100,
        "height": 50,
        "boxes": [[0.1, 0.2, 99.7, 50], [1, 2, 3, 4]],
        "labels": ["rider", "person"],
        "ignore": [False, True],
        "visibility": [0.3, None],
    }
    return pa.Table.from_pylist([row | changes], ANNOTATIONS.schema)


def test_numbers_and_order_that_float32_makes_awkward():
    """Tiny boxes far from the origin, where width and corner lose each other's digits."""
    far = np.float32(9999.999)
    near = np.nextafter(far, np.float32(np.inf))
    boxes = [[float(far), 1e-38, float(near), 3e-38], [0, 0, float(near), 1e-45]]
    table = one(width=20_000, boxes=boxes)
    with TemporaryDirectory() as folder:
        assert there_and_back(table, Path(folder)).to_pylist() == table.to_pylist()


def test_the_document_is_what_coco_tools_expect():
    document = coco_document(one())
    assert document["categories"] == [{"id": 1, "name": "person"}, {"id": 2, "name": "rider"}]
    assert document["images"] == [
        {"id": "x", "file_name": "data/images/x.jpg", "width": 100, "height": 50}
    ]
    first, second = document["annotations"]
    assert second == {
        "id": 2,
        "image_id": "x",
        "category_id": 1,
        "bbox": [1, 2, 2, 2],
        "area": 4,
        "iscrowd": 1,
        "ignore": 1,
    }
    assert first["visibility"] == np.float32(0.3)
    assert (first["iscrowd"], first["ignore"]) == (0, 0)


def test_an_area_for_all_labels_is_one_per_category_there_and_one_here():
    table = one(labels=["rider", ANY_LABEL])
    document = coco_document(table, labels=["rider", "person"])
    copies = [
        (entry["id"], entry["category_id"], entry.get("all_labels"))
        for entry in document["annotations"]
    ]
    assert copies == [(1, 1, None), (2, 1, 2), (3, 2, 2)]
    with TemporaryDirectory() as folder:
        back = there_and_back(table, Path(folder), "--labels", "rider", "person")
    assert back.to_pylist() == table.to_pylist()


def test_the_labels_of_the_data_set_are_numbered():
    document = coco_document(one(), labels=["rider", "car", "person"])
    assert document["categories"] == [
        {"id": 1, "name": "rider"},
        {"id": 2, "name": "car"},
        {"id": 3, "name": "person"},
    ]
    assert [annotation["category_id"] for annotation in document["annotations"]] == [1, 3]
    with pytest.raises(UserError, match="--labels: 'person' occurs in the annotations; add it"):
        coco_document(one(), labels=["rider"])


def test_pycocotools_reads_it(tmp_path, capsys):
    coco = pytest.importorskip("pycocotools.coco")
    with TemporaryDirectory() as folder:
        there_and_back(one(), Path(folder), "--number-ids")
        index = coco.COCO(f"{folder}/coco.json")
    assert index.getAnnIds(imgIds=[1], iscrowd=False) == [1]
    assert index.loadImgs([1])[0]["image_id"] == "x"


def test_numbered_images_keep_their_boxes():
    with TemporaryDirectory() as folder:
        back = there_and_back(one(), Path(folder), "--number-ids")
    assert back.drop(["image_id"]).to_pylist() == one().drop(["image_id"]).to_pylist()
    assert back["image_id"].to_pylist() == ["1"]


def test_file_names_relative_to_a_folder():
    document = coco_document(one(), "data")
    assert document["images"][0]["file_name"] == "images/x.jpg"
    with pytest.raises(UserError, match="--images: data/images/x.jpg does not lie in other"):
        coco_document(one(), "other")


def test_no_images_and_no_boxes():
    assert coco_document(ANNOTATIONS.schema.empty_table())["images"] == []
    empty = one(boxes=[], labels=[], ignore=[], visibility=[])
    assert coco_document(empty)["annotations"] == []


def test_the_same_artifact_is_the_same_file(tmp_path):
    ANNOTATIONS.write(one(), tmp_path / "a.parquet")
    for name in ("a.json", "b.json"):
        assert main(["export", str(tmp_path / "a.parquet"), "--output", str(tmp_path / name)]) == 0
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()
    assert json.loads((tmp_path / "a.json").read_text()) == coco_document(one())


def test_what_is_no_artifact(tmp_path, capsys):
    assert main(["export", str(tmp_path / "a.parquet"), "--output", str(tmp_path / "a.json")]) == 1
    assert "no such file" in capsys.readouterr().err


# --- other tools ----------------------------------------------------------------------------------


@pytest.fixture(params=["annotations", "prompts"])
def artifact(request, tmp_path) -> tuple[str, list[dict]]:
    """A written artifact, and its rows in Python's own types."""
    annotations = pa.concat_tables(
        [one(), one(image_id="y", boxes=[], labels=[], ignore=[], visibility=[])]
    )
    table = annotations
    if request.param == "prompts":
        table = prompt_rows(annotations, ["person", "rider"], PolicyFrames("thousandths"))
    path = str(tmp_path / "artifact.parquet")
    artifact_named(request.param).write(table, path)
    return path, table.to_pylist()


def test_polars_opens_it(artifact):
    polars = pytest.importorskip("polars")
    path, expected = artifact
    found = polars.read_parquet(path)
    # a fixed-size list is an Array there, whose items come as Series
    assert found.to_arrow().to_pylist() == expected


def test_pandas_opens_it(artifact):
    pandas = pytest.importorskip("pandas")
    path, expected = artifact
    found = pandas.read_parquet(path)
    assert list(found.columns) == list(expected[0])
    for name in ("boxes", "gt_boxes"):
        if name in found:
            boxes = [np.stack(row).tolist() if len(row) else [] for row in found[name]]
            assert boxes == [row[name] for row in expected]


def test_duckdb_opens_it(artifact):
    duckdb = pytest.importorskip("duckdb")
    path, expected = artifact
    found = duckdb.sql(f"SELECT * FROM '{path}'")
    rows = [dict(zip(found.columns, row, strict=True)) for row in found.fetchall()]
    for row in rows:
        for name in ("boxes", "gt_boxes", "ignore_boxes"):
            if name in row:
                row[name] = [list(box) for box in row[name]]
    assert rows == expected


def test_hugging_face_datasets_open_it(artifact, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    datasets = pytest.importorskip("datasets")
    path, expected = artifact
    datasets.disable_progress_bars()
    loaded = datasets.load_dataset(
        "parquet", data_files=path, split="train", cache_dir=str(tmp_path / "cache")
    )
    assert loaded.to_list() == expected


def test_an_area_ignored_whatever_is_asked_for_is_written_for_every_category():
    row = {"image_id": "1", "image": "a.jpg", "width": 9, "height": 9}
    row |= {"boxes": [[0, 0, 2, 2], [1, 1, 3, 3], [4, 4, 9, 9]], "labels": ["b", "a", ""]}
    row |= {"ignore": [False, False, True], "visibility": [None] * 3}
    document = coco_document(pa.Table.from_pylist([row], ANNOTATIONS.schema))
    assert [entry["name"] for entry in document["categories"]] == ["a", "b"]
    written = [(entry["category_id"], entry["iscrowd"]) for entry in document["annotations"]]
    assert written == [(2, 0), (1, 0), (1, 1), (2, 1)]
    assert [entry["id"] for entry in document["annotations"]] == [1, 2, 3, 4]
