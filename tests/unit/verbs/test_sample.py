"""Sampling and predicting through the command line."""

from __future__ import annotations

import sys

import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS, reworded
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from tests.unit.experiment import make_experiment

SHORT = ("--max-new-tokens", "20", "--threads", "1")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    """Prompts about three scenes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("base",), num_images=3, updates=1)
    return folder / "results/prompts/crowdscenes/validation.parquet"


def test_a_shard_is_sampled_and_its_parts_are_removed(prompts, tmp_path):
    output = tmp_path / "samples.parquet"
    words = ["--shard", "1/2", "--num-samples", "2", "--seed", "3", "--output", output]
    assert main(["sample", str(prompts), *map(str, words), *SHORT]) == 0
    assert SAMPLES.read(output)["image_id"].to_pylist() == ["1", "1", "2", "2"]
    assert list(tmp_path.iterdir()) == [output]
    made = read_made(output)
    assert (made.verb, made.seed, made.options["num_samples"]) == ("sample", 3, 2)


def test_predictions_are_one_greedy_sample_each(prompts, tmp_path):
    greedy = ["--num-samples", "1", "--temperature", "0", "--output"]
    predicted, sampled = tmp_path / "predicted.parquet", tmp_path / "sampled.parquet"
    assert main(["predict", str(prompts), "--output", str(predicted), *SHORT]) == 0
    assert main(["sample", str(prompts), *greedy, str(sampled), *SHORT]) == 0
    assert SAMPLES.read(predicted) == SAMPLES.read(sampled)
    assert len(SAMPLES.read(predicted)) == PROMPTS.read(prompts).num_rows


def test_other_files_are_not_taken_for_parts(prompts, tmp_path, capsys):
    thesis = tmp_path / "thesis.tex"
    thesis.touch()
    words = ["--parts", tmp_path, "--output", tmp_path / "samples.parquet", *SHORT]
    assert main(["sample", str(prompts), *map(str, words)]) == 1
    assert "holds other files" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == [thesis]


@pytest.mark.parametrize("verb", ["sample", "predict"])
def test_without_torch_one_line_says_what_to_install(prompts, tmp_path, monkeypatch, capsys, verb):
    monkeypatch.setitem(sys.modules, "torch", None)
    assert main([verb, str(prompts), "--output", str(tmp_path / "a.parquet"), *SHORT]) == 1
    told = f"dipr1 {verb}: needs torch; pip install 'dipr1[train]'"
    assert capsys.readouterr().err.splitlines()[-1] == told


def test_boxes_alone_can_be_asked_for(prompts, tmp_path):
    asked = PROMPTS.read(prompts)
    alone, usual = tmp_path / "alone.parquet", tmp_path / "usual.parquet"
    words = ["--form", "answer", "--output", str(alone)]
    assert main(["predict", str(prompts), *words, *SHORT]) == 0
    assert SAMPLES.read(alone)["form"].to_pylist() == ["answer"] * asked.num_rows
    assert read_made(alone).options["form"] == "answer"
    # the same as an artifact whose prompts say so
    question = reworded(asked, True, form="answer")
    assert question["prompt"][0].as_py()[0]["content"] == "Find every person. Boxes only."
    PROMPTS.write(question, tmp_path / "prompts.parquet")
    words = [str(tmp_path / "prompts.parquet"), "--output", str(usual)]
    assert main(["predict", *words, *SHORT]) == 0
    assert SAMPLES.read(alone)["text"] == SAMPLES.read(usual)["text"]
    assert "form" not in SAMPLES.read(usual).column_names
