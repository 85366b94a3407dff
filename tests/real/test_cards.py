"""Real annotations: the data card's totals, and that they leave as COCO and come back unchanged."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main
from dipr1.report.cards import sample_pictures
from dipr1.report.describing import describe

SETS = {
    "pennfudan": ("pennfudan/Annotation", "pennfudan/images"),
    "citypersons": ("citypersons/anno_val.mat", None),
    "coco": ("coco128/instances.json", "coco128/images"),
    "voc": ("voc", None),
}


@pytest.fixture(params=SETS)
def converted(request, shared_data, tmp_path) -> tuple[str, Path, str]:
    """A set's format, its artifact, and where to export it."""
    annotations, images = SETS[request.param]
    output = tmp_path / "a.parquet"
    flags = ["--format", request.param, "--annotations", str(shared_data / annotations)]
    flags += ["--images", str(shared_data / images)] if images else []
    assert main(["convert", *flags, "--output", str(output)]) == 0
    return request.param, output, str(tmp_path / "coco.json")


def test_there_and_back(converted, tmp_path):
    _, artifact, coco = converted
    back = tmp_path / "b.parquet"
    assert main(["export", str(artifact), "--output", coco]) == 0
    convert = ["convert", "--format", "coco", "--annotations", coco, "--output", str(back)]
    assert main([*convert, "--strict"]) == 0
    assert ANNOTATIONS.read(back).to_pylist() == ANNOTATIONS.read(artifact).to_pylist()


def test_the_card_counts_everything(converted):
    name, artifact, _ = converted
    table = ANNOTATIONS.read(artifact)
    card = describe(table, REJECTS.read(artifact.with_suffix(".rejects.parquet")))
    boxes = sum(map(len, table["boxes"].to_pylist()))
    assert (card.num_images, card.num_objects + card.num_ignored) == (table.num_rows, boxes)
    assert sum(card.labels.values()) == card.num_objects > 0
    if name == "citypersons":
        assert (card.num_images, boxes) == (500, 5795)
    expected = min(12, table.num_rows) if SETS[name][1] else 0
    assert len(sample_pictures(table)) == expected
