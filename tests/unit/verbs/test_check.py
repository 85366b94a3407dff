"""Checking through the command line, with the tiny policy and drawn scenes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.config import load
from dipr1.places import Places
from dipr1.policies.generated import Generated
from dipr1.policies.sampling import sample_row
from dipr1.prompts import render_response
from tests.unit.scenes import scene_prompts


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """An experiment whose prompts are made."""
    pytest.importorskip("transformers")
    monkeypatch.chdir(tmp_path)
    values = {
        "datasets": {
            "crowdscenes": {"format": "scenes", "splits": {"train": {"num_images": 3, "seed": 1}}}
        },
        "sample": {"max_new_tokens": 100, "num_samples": 3},
        "arms": {"dipr1": {"method": "grpo", "rewards": {"looking": 1, "accuracy": 2}}},
        "evaluation": {"sets": ["crowdscenes.train"]},
    }
    Path("config.yaml").write_text(yaml.safe_dump(values))
    path("prompts").parent.mkdir(parents=True)
    PROMPTS.write(scene_prompts(tmp_path, 3), path("prompts"))
    return tmp_path


def path(kind: str) -> Path:
    """Where a kind of results of the split lies."""
    return Path(Places(load("config.yaml")).path(kind, "crowdscenes", "train"))


def write_samples(texts) -> None:
    """As samples of each image the texts that `texts` gives for its row."""
    rows = []
    for row in PROMPTS.read(path("prompts")).to_pylist():
        for number, text in enumerate(texts(row)):
            rows.append(sample_row(row, number, Generated(text, 1, [len(text)], [1.0])))
    path("samples").parent.mkdir(parents=True, exist_ok=True)
    table = pa.Table.from_pylist(rows, SAMPLES.schema)
    SAMPLES.write(table, path("samples"))


def answer(boxes: list) -> str:
    return render_response("A street.", boxes[:1], boxes, ["person"] * len(boxes))


def test_samples_that_are_there_are_read(folder, capsys):
    write_samples(lambda row: [answer(row["gt_boxes"]), answer(row["gt_boxes"][:1]), answer([])])
    assert main(["check", "config.yaml", "--images", "2"]) == 0
    shown = capsys.readouterr()
    assert "reading the samples in results/shared/samples/crowdscenes/train-" in shown.err
    lines = shown.out.splitlines()
    assert [line.partition(":")[0].split(maxsplit=1)[1] for line in lines] == [
        "image files",
        "frame",
        "length of the truth (steps; max_completion_length)",
        "readable samples of the base",
        "base's coordinates",
        "dipr1, reward of the truth",
        "dipr1, reward of the base",
        "dipr1, reward of shuffled boxes",
        "dipr1, groups with reward variance",
    ]
    assert {line.split()[0] for line in lines} == {"fine"}
    assert "image files: 2 of 2" in lines[0]
    assert "9 of 9 (100%)" in lines[3]


def test_a_pointless_training_is_told_by_the_exit_code(folder, capsys):
    write_samples(lambda row: ["I see a street."] * 3)
    assert main(["check", "config.yaml"]) == 1
    shown = capsys.readouterr()
    assert "wrong    readable samples of the base: 0 of 9 (0%)" in shown.out
    line = shown.err.splitlines()[-1]
    assert line.startswith("dipr1 check: config.yaml: do not train yet: readable samples of the")
    assert "dipr1, groups with reward variance" in line


def test_without_samples_a_few_images_are_sampled(folder, capsys):
    pytest.importorskip("torch")
    main(["check", "config.yaml", "--images", "2", "--threads", "1"])
    shown = capsys.readouterr()
    assert "sampling 2 images" in shown.err
    assert " of 6 (" in shown.out
    assert sorted(path.name for path in folder.iterdir() if path.is_dir()) == ["results"]


def test_prompts_have_to_be_made_first(folder, capsys):
    path("prompts").unlink()
    assert main(["check", "config.yaml"]) == 1
    message = capsys.readouterr().err
    assert "not there yet; make it, which needs no GPU: snakemake --cores all" in message
    assert message.endswith(" --configfile config.yaml\n")
