"""The readers on real annotation files."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.cli import main
from dipr1.tables import box_arrays, read_table


@pytest.fixture(scope="module")
def coco128(shared_data: Path) -> Path:
    folder = shared_data / "coco128"
    if not folder.is_dir():
        pytest.skip("coco128 is not among the real data")
    return folder


def test_coco128_is_read_to_the_last_box(coco128, tmp_path, capsys):
    output = tmp_path / "a.parquet"
    files = ["--annotations", str(coco128 / "instances.json"), "--images", str(coco128 / "images")]
    outputs = ["--output", str(output), "--rejects", str(tmp_path / "r.parquet")]
    command = ["convert", "--format", "coco", *files, *outputs, "--labels", "person", "--json"]
    assert main([*command, "--strict"]) == 0
    counts = json.loads(capsys.readouterr().out)

    document = json.loads((coco128 / "instances.json").read_text())
    people = [a for a in document["annotations"] if a["category_id"] == 1]
    assert counts["images"]["kept"] == len(document["images"])
    assert counts["boxes"]["kept"] == len(people)
    assert counts["boxes"]["other_labels"] == len(document["annotations"]) - len(people)

    table = read_table(output, "annotations")
    for row, boxes in zip(table.to_pylist(), box_arrays(table["boxes"]), strict=True):
        own = [a["bbox"] for a in people if str(a["image_id"]) == row["image_id"]]
        expected = np.array(own, np.float64).reshape(-1, 4)
        expected[:, 2:] += expected[:, :2]
        np.testing.assert_allclose(boxes, expected, atol=0.02)  # clipped by rounding at most
        with Image.open(row["image"]) as image:
            assert image.size == (row["width"], row["height"])
