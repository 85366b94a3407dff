"""The verb `export`: which labels it numbers."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import Made
from dipr1.cli import main


def categories(folder: Path, labels: list[str], known: list[str] | None, *flags: str) -> dict | int:
    """Name -> id, of an image with `labels` in an artifact that knows `known`; or the exit code."""
    count = len(labels)
    row = {"image_id": "a", "image": "a.jpg", "width": 9, "height": 9, "labels": labels}
    row |= {
        "boxes": [[1, 1, 2, 2]] * count,
        "ignore": [False] * count,
        "visibility": [None] * count,
    }
    made = Made(options={"labels": known}) if known else None
    ANNOTATIONS.write(pa.Table.from_pylist([row], ANNOTATIONS.schema), folder / "a.parquet", made)
    command = ["export", str(folder / "a.parquet"), "--output", str(folder / "a.json"), *flags]
    if code := main(command):
        return code
    written = json.loads((folder / "a.json").read_text())["categories"]
    return {category["name"]: category["id"] for category in written}


def test_labels_that_the_artifact_knows(tmp_path):
    assert categories(tmp_path, ["b"], ["c", "b", "a"]) == {"a": 1, "b": 2, "c": 3}
    assert categories(tmp_path, [], ["b", "a"]) == {"a": 1, "b": 2}


def test_labels_in_the_order_of_the_flag(tmp_path):
    assert categories(tmp_path, ["b"], ["b", "a"], "--labels", "b", "a") == {"b": 1, "a": 2}


def test_where_they_are_not_known_those_that_occur_are_numbered_and_it_says_so(tmp_path, capsys):
    assert categories(tmp_path, ["b"], None) == {"b": 1}
    assert "does not say its labels" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("labels", "flags", "message"),
    [([], [], "--labels: needed"), (["b"], ["--labels", "a"], "'b' occurs in the annotations")],
)
def test_without_the_labels_nothing_is_written(tmp_path, labels, flags, message, capsys):
    assert categories(tmp_path, labels, None, *flags) == 1
    assert message in capsys.readouterr().err
    assert not (tmp_path / "a.json").exists()
