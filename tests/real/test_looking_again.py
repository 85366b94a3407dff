"""Photographs that are looked at again: whatever was answered, and at whatever border."""

from __future__ import annotations

from itertools import cycle
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.prompts import PROMPTS, window_row
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.policies.families import read_policy_frames
from dipr1.policies.generated import Generated
from dipr1.policies.load import image_source, load_image
from dipr1.policies.sampling import sample_row
from dipr1.prompts import render_response

PERSON = [[30, 30, 60, 100]]
ANSWERS = {
    "a look at the border": render_response("x", [[100, 100, 128, 128]], PERSON, ["person"]),
    "300 looks": render_response("x", [[k % 90, 10, k % 90 + 9, 50] for k in range(300)], [], []),
    "looks outside": render_response("x", [[500, 500, 900, 900]], PERSON, ["person"]),
    "the whole image": render_response("x", [[0, 0, 128, 128]], PERSON, ["person"]),
    "nothing": render_response("x", [], [], []),
    "no form at all": "a crowd",
}
WINDOWS = (1, 4, 0, 0, 0, 0)


@pytest.fixture(scope="module")
def photographs(shared_data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the prompts about photographs, and first views of every kind."""
    source = shared_data / "coco128"
    if not source.is_dir():
        pytest.skip("the COCO images are not here (../shared/data/coco128)")
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("photographs")
    words = ["--annotations", source / "instances.json", "--images", source / "images"]
    words += ["--labels", "person", "--policy", "tiny", "--output", folder / "annotations.parquet"]
    words += ["--rejects", folder / "rejects.parquet", "--prompts", folder / "prompts.parquet"]
    assert main(["convert", "--format", "coco", *map(str, words)]) == 0
    rows = []
    for prompt, text in zip(read(folder).to_pylist(), cycle(ANSWERS.values()), strict=False):
        ends = np.arange(1, len(text) + 1)
        rows.append(sample_row(prompt, 0, Generated(text, 9, ends, np.full(len(text), 0.5))))
    table = pa.Table.from_pylist(rows, SAMPLES.schema)
    SAMPLES.write(table, folder / "predictions.parquet")
    return folder


def read(folder: Path) -> pa.Table:
    return PROMPTS.read(folder / "prompts.parquet")


@pytest.mark.parametrize("source", ["own", "random", "grid", "oracle"])
def test_whatever_was_answered_is_looked_at_again(photographs, tmp_path, source):
    output = tmp_path / "again.parquet"
    files = [photographs / "predictions.parquet", "--prompts", photographs / "prompts.parquet"]
    words = [*files, "--source", source, "--max-new-tokens", 4, "--output", output]
    assert main(["inspect", *map(str, words)]) == 0
    first = SAMPLES.read(photographs / "predictions.parquet").to_pylist()
    again = SAMPLES.read(output).to_pylist()
    assert [row["image_id"] for row in again] == [row["image_id"] for row in first]
    for row, before, prompt in zip(again, first, read(photographs).to_pylist(), strict=True):
        windows = np.reshape(row["windows"], (-1, 4))
        assert len(windows) == row["num_crops"] == len(row["crop_texts"]) <= 4
        assert (windows >= 0).all()
        assert (windows[:, 2:] <= (prompt["width"], prompt["height"])).all()
        if not len(windows):
            assert {name: row[name] for name in before} == before
    if source in ("own", "random"):
        counts = [row["num_crops"] for row in again]
        assert counts == [count for count, _ in zip(cycle(WINDOWS), again, strict=False)]


def test_a_window_shows_the_pixels_of_the_photograph(photographs):
    frames = read_policy_frames("tiny")
    for row in read(photographs).to_pylist():
        size = np.tile([row["width"], row["height"]], 2)
        window = window_row(row, size * [0.6, 0.5, 1.0, 0.9], frames)
        with Image.open(row["image"]) as image:
            part = image.convert("RGB").crop([int(side) for side in window["window"]])
        expected = part.resize((128, 128), Image.Resampling.BICUBIC)
        np.testing.assert_array_equal(load_image(*image_source(window)), np.asarray(expected))
