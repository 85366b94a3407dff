"""Looking again through the command line, and what evaluation makes of it."""

from __future__ import annotations

import json
import sys

import pyarrow as pa
import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from tests.unit.experiment import make_experiment

SHORT = ("--max-new-tokens", "20", "--threads", "1")
RESULTS = "results/{}/crowdscenes/validation.parquet"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """The files of three scenes, answered by an arm that looks."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("dipr1",), num_images=3, updates=1)
    return folder


def answers(folder):
    return folder / "results/predictions/dipr1/seed0/crowdscenes.validation.parquet"


def words(experiment, output, *others) -> list[str]:
    files = [answers(experiment), "--prompts", experiment / RESULTS.format("prompts")]
    return ["inspect", *map(str, [*files, "--output", output, *others]), *SHORT]


def test_predictions_are_improved_and_measured(experiment, tmp_path, capsys):
    output = tmp_path / "again.parquet"
    assert main(words(experiment, output, "--source", "grid", "--max-regions", "2")) == 0
    assert list(tmp_path.iterdir()) == [output]
    made = read_made(output)
    assert (made.verb, made.arm, made.seed) == ("inspect", "dipr1+grid", 0)
    assert (made.options["source"], made.options["max_regions"]) == ("grid", 2)
    table = SAMPLES.read(output)
    assert table["num_crops"].to_pylist() == [2, 2, 2]
    assert table["text"] == SAMPLES.read(answers(experiment))["text"]
    assert "2.00 windows" in capsys.readouterr().err
    measure = ["evaluate", "--predictions", str(output), "--json", "--output"]
    measure += [str(tmp_path / "metrics.parquet")]
    for name in ("annotations", "prompts"):
        measure += [f"--{name}", str(experiment / RESULTS.format(name))]
    assert main(measure) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["mean_crops"] == 2
    assert values["mean_tokens"] == sum(table["num_tokens"].to_pylist()) / 3
    for name in ("again", "more"):
        assert main(words(experiment, tmp_path / f"{name}.parquet", "--source", "own")) == 0
    first, second = ((tmp_path / f"{name}.parquet").read_bytes() for name in ("again", "more"))
    assert first == second


def test_labels_are_those_of_the_merged_boxes(experiment, tmp_path, capsys):
    rows = SAMPLES.read(answers(experiment)).to_pylist()
    rows = [row | {"labels": ["rider"] * len(row["boxes"] or [])} for row in rows]
    path = tmp_path / "riders.parquet"
    table = pa.Table.from_pylist(rows, SAMPLES.schema_with(["labels"]))
    SAMPLES.write(table, path, read_made(answers(experiment)))
    measure = ["evaluate", "--predictions", str(path), "--json"]
    measure += ["--output", str(tmp_path / "metrics.parquet"), "--score", "constant"]
    for name in ("annotations", "prompts"):
        measure += [f"--{name}", str(experiment / RESULTS.format(name))]
    assert main(measure) == 0
    values = json.loads(capsys.readouterr().out)
    assert values["recall50"] == 0  # nobody asked for riders
    assert values["mean_crops"] is None


def test_predictions_of_other_images_are_refused(experiment, tmp_path, capsys):
    prompts = tmp_path / "prompts.parquet"
    PROMPTS.write(PROMPTS.read(experiment / RESULTS.format("prompts")).slice(0, 2), prompts)
    given = [str(answers(experiment)), "--prompts", str(prompts)]
    assert main(["inspect", *given, "--output", str(tmp_path / "a.parquet")]) == 1
    assert "image '2' is not in" in capsys.readouterr().err


def test_without_torch_one_line_says_what_to_install(experiment, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main(words(experiment, tmp_path / "a.parquet")) == 1
    told = "dipr1 inspect: needs torch; pip install 'dipr1[train]'"
    assert capsys.readouterr().err.splitlines()[-1] == told


def test_without_looks_no_policy_is_needed(experiment, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    first, rows = SAMPLES.read(answers(experiment)), tmp_path / "first.parquet"
    blind = first.set_column(
        first.schema.get_field_index("look_boxes"),
        first.schema.field("look_boxes"),
        pa.array([[], None, []], first.schema.field("look_boxes").type),
    )
    SAMPLES.write(blind, rows, read_made(answers(experiment)))
    output = tmp_path / "a.parquet"
    given = [str(rows), "--prompts", str(experiment / RESULTS.format("prompts"))]
    assert main(["inspect", *given, "--output", str(output)]) == 0
    again = SAMPLES.read(output)
    for name in SAMPLES.schema.names:
        assert again[name] == blind[name]
