"""The real workflow, run whole, run again and run with another seed."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pyarrow.parquet as pq
import pytest

from dipr1.artifacts import artifact_named
from dipr1.artifacts.made import read_made
from dipr1.cli import main
from dipr1.places import Places
from tests.workflow.conftest import PLACES

DATASET = "crowdscenes"
SPLITS = ("train", "validation")
TRAINED = ("sft", "dipr1")
ARMS = ("base", *TRAINED, "dipr1+own")

STATISTICS = [
    name
    for split in SPLITS
    for name in (
        PLACES.path("annotations", DATASET, split),
        PLACES.path("rejects", DATASET, split),
        PLACES.path("prompts", DATASET, split),
        PLACES.path("samples", DATASET, split),
        PLACES.path("variance", DATASET, split),
    )
]
LOGS = [f"{PLACES.own}/policies/{arm}/seed0/training_log.parquet" for arm in ("sft", "dipr1")]
SCORES = [
    f"{PLACES.own}/{kind}/{arm}/seed0/{DATASET}.validation.parquet"
    for kind in ("predictions", "metrics")
    for arm in ARMS
]


def same_bytes(first: Path, second: Path, names: list[str]) -> None:
    """Check that both folders hold the same files, byte for byte."""
    different = [
        name for name in names if (first / name).read_bytes() != (second / name).read_bytes()
    ]
    assert different == []


def schema_of(name: str) -> str:
    """Which artifact a file under results/ is."""
    if name.endswith(".rejects.parquet"):
        return "rejects"
    if name.endswith("training_log.parquet"):
        return "training_log"
    kind = name.split("/")[2]
    return "samples" if kind == "predictions" else kind


@pytest.mark.parametrize("name", STATISTICS + LOGS + SCORES)
def test_every_artifact_is_there_and_fits_its_schema(undisturbed, name):
    there, artifact = pq.read_schema(undisturbed / name), artifact_named(schema_of(name))
    looked = "+own" in name and "predictions" in name
    names = [name for name in artifact.optional.names if name != "form"] if looked else []
    assert there.equals(artifact.schema_with(names))


@pytest.mark.parametrize("name", STATISTICS + LOGS + SCORES)
def test_every_artifact_says_what_it_is_about(undisturbed, name):
    made = read_made(undisturbed / name)
    split = "validation" if "validation" in name else "train"
    about = (made.artifact, made.dataset, made.split)
    assert about == (schema_of(name), DATASET, split)
    arm = next((part for part in name.split("/") if part in ARMS), None)
    assert made.arm == arm
    assert made.seed == (0 if arm or "/samples/" in name else None)


def test_a_figure_is_traced_back_to_the_downloads(undisturbed, monkeypatch, capsys):
    monkeypatch.chdir(undisturbed)
    metrics = f"{PLACES.own}/metrics/dipr1/seed0/{DATASET}.validation.parquet"
    assert main(["provenance", metrics, "--json"]) == 0
    steps = {step["path"]: step for step in json.loads(capsys.readouterr().out)}
    inputs = [one for step in steps.values() for one in step["inputs"]]
    assert {one["state"] for one in inputs} == {"as read"}
    # every input is a step itself, but for the policy that is shipped
    assert {one["path"] for one in inputs} - set(steps) == {"tiny"}
    assert [path for path in steps if steps[path]["verb"] == "download"] == [
        str(Path(PLACES.path("download", DATASET, split)).parent)
        for split in ("validation", "train")
    ]
    assert set(STATISTICS) - set(steps) == {name for name in STATISTICS if "rejects" in name}
    policy = steps[f"{PLACES.own}/policies/dipr1/seed0"]
    assert (policy["options"]["method"], policy["split"]) == ("grpo", "train")


def test_the_comparison_says_which_runs_it_compares(undisturbed):
    made = read_made(undisturbed / f"{PLACES.own}/report/comparison.parquet")
    compared = [read_made(one.path) for one in made.inputs]
    assert [(one.artifact, one.arm) for one in compared] == [
        *(("images", arm) for arm in ARMS),
        *(("training_log", arm) for arm in TRAINED),
    ]


def test_the_artifacts_hold_what_was_asked_for(undisturbed):
    def rows(kind: str, split: str) -> pl.DataFrame:
        return pl.read_parquet(undisturbed / PLACES.path(kind, DATASET, split))

    def own(name: str) -> pl.DataFrame:
        return pl.read_parquet(undisturbed / PLACES.own / name)

    for split, num_images in zip(SPLITS, (16, 12), strict=True):
        annotations = rows("annotations", split)
        assert annotations.height == rows("prompts", split).height == num_images
        samples = rows("samples", split)
        assert samples.height == num_images * 3
        assert set(samples["image_id"]) == set(annotations["image_id"])
        objects = rows("variance", split).filter(pl.col("kind") == "object")
        people = annotations["ignore"].explode().not_().sum()
        assert objects.height == people > 0
    for arm in ARMS:
        predictions = own(f"predictions/{arm}/seed0/{DATASET}.validation.parquet")
        assert predictions["image_id"].n_unique() == predictions.height == 12
    for arm in ("sft", "dipr1"):
        log = own(f"policies/{arm}/seed0/training_log.parquet").filter(pl.col("name") == "loss")
        assert log["step"].to_list() == [1, 2, 3]


def test_training_moves_the_policy(undisturbed):
    weights = [
        (undisturbed / f"{PLACES.own}/policies/{arm}/seed0/model.safetensors").read_bytes()
        for arm in ("sft", "dipr1")
    ]
    assert weights[0] != weights[1]


def test_the_page_is_there_and_self_contained(undisturbed):
    page = (undisturbed / f"{PLACES.own}/report/index.html").read_text(encoding="utf-8")
    for arm in ARMS:
        assert arm in page
    assert 'src="http' not in page
    assert '<link rel="stylesheet" href' not in page


def test_nothing_is_left_to_resume_from(undisturbed):
    folders = (undisturbed / "results").glob("*/checkpoints")
    left = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    assert left == []


def test_a_second_run_does_nothing(workflow, undisturbed):
    assert "Nothing to be done" in workflow.run(undisturbed)


def test_the_same_seed_gives_the_same_numbers(workflow, undisturbed, tmp_path):
    statistics = [name for name in STATISTICS if "validation" not in name]
    log = f"{PLACES.own}/policies/dipr1/seed0/training_log.parquet"
    workflow.run(tmp_path, *statistics, str(Path(log).parent))
    same_bytes(undisturbed, tmp_path, [*statistics, log])


def test_another_seed_gives_other_numbers(workflow, undisturbed, tmp_path):
    others = Places(PLACES.experiment.model_copy(update={"seeds": [1]}))
    place, other_place = (one.path("samples", DATASET, "validation") for one in (PLACES, others))
    workflow.run(tmp_path, other_place, "--config", "seeds=[1]")
    same, other = pl.read_parquet(undisturbed / place), pl.read_parquet(tmp_path / other_place)
    assert same["image_id"].equals(other["image_id"])
    assert not same["text"].equals(other["text"])
