"""What the tests of the report share: a made-up experiment and its page."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.rejects import REJECTS
from tests.unit.experiment import made_of_set, make_experiment
from tests.unit.report.reporting import ARMS, FLAGS, KINDS, SETS, evaluate_all, report, write_audit


@pytest.fixture(scope="session")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, sets=SETS, seeds=(0, 1), arms=ARMS, num_images=8, updates=20)
    evaluate_all(folder)
    write_audit(folder, KINDS)
    annotations = folder / "results/annotations/crowdscenes"
    table = ANNOTATIONS.read(annotations / "validation.parquet")
    ANNOTATIONS.write(table, annotations / "train.parquet", made_of_set("crowdscenes.train"))
    rejects = [
        {"source": "a.json", "record": str(number), "reason": "no area <0>", "raw": ""}
        for number in range(3)
    ]
    REJECTS.write(
        pa.Table.from_pylist(rejects, REJECTS.schema),
        annotations / "validation.rejects.parquet",
        made_of_set(SETS[0][0]),
    )
    return folder


@pytest.fixture(scope="session")
def page(experiment) -> str:
    assert report(experiment, *FLAGS) == 0
    return (experiment / "page/index.html").read_text(encoding="utf-8")


@pytest.fixture
def blank(tmp_path) -> str:
    Image.new("RGB", (192, 144)).save(tmp_path / "0.png")
    return str(tmp_path / "0.png")
