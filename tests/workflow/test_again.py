"""What was deleted comes back as it was, and nothing after it is done again."""

from __future__ import annotations

import shutil

import pytest

from tests.workflow.conftest import PLACES, jobs
from tests.workflow.test_pipeline import same_bytes

SET = ("crowdscenes", "train")
METRICS = f"{PLACES.own}/metrics/base/seed0/crowdscenes.validation.parquet"


@pytest.fixture
def finished(undisturbed, tmp_path):
    return shutil.copytree(undisturbed, tmp_path / "finished")


@pytest.mark.parametrize(
    ("rule", "path"),
    [
        *(("download", PLACES.path("download", *SET)), ("convert", PLACES.path("prompts", *SET))),
        *(("variance", PLACES.path("variance", *SET)), ("evaluate", METRICS)),
        ("train", f"{PLACES.own}/policies/sft/seed0/model.safetensors"),
        ("report", f"{PLACES.own}/report/comparison.md"),
    ],
)
def test_a_plain_run_makes_it_again_and_nothing_after_it(
    workflow, undisturbed, finished, rule, path
):
    lost = finished / path
    shutil.rmtree(lost.parent) if rule in ("download", "train") else lost.unlink()
    assert jobs(workflow.run(finished)) == {rule: 1, "all": 1, "total": 2}
    same_bytes(undisturbed, finished, [path])
    assert "Nothing to be done" in workflow.run(finished)


def test_what_was_begun_in_shards_is_completed_and_the_same(workflow, undisturbed, finished):
    path = f"{PLACES.own}/predictions/base/seed0/crowdscenes.validation.parquet"
    (finished / path).unlink()
    shard = path.replace(".parquet", ".0of2.parquet")
    workflow.run(finished, shard, "--config", "evaluation={num_shards: 2}")
    output = workflow.run(finished, "--config", "evaluation={num_shards: 3}")
    assert jobs(output) == {"predict": 1, "join": 1, "all": 1, "total": 3}
    same_bytes(undisturbed, finished, [path])
    assert not (finished / shard).exists()
    assert "Nothing to be done" in workflow.run(finished)


def test_the_earliest_of_what_was_deleted_comes_first(workflow, finished):
    for path in (METRICS, PLACES.path("variance", *SET)):
        (finished / path).unlink()
    output = workflow.run(finished, "--dry-run")
    assert jobs(output) == {"variance": 1, "all": 1, "total": 2}
    assert "Making 1 of 2 deleted files again" in output


def test_what_is_shared_comes_back_at_once(workflow, finished):
    shutil.rmtree(finished / PLACES.shared)
    planned = jobs(workflow.run(finished, "--dry-run"))
    assert {"download", "convert", "sample", "variance"} <= set(planned)
    assert not {"train", "predict", "evaluate", "audit", "report"} & set(planned)


def test_after_a_run_that_failed_everything_is_wanted(workflow, finished, tmp_path):
    # Snakemake has a record of what a failed job did not make, as of what was made and deleted
    (finished / METRICS).unlink()
    failing = "import sys\nif 'evaluate' in sys.orig_argv: sys.exit('no')\n"
    failed = workflow.try_run(finished, environment=workflow.started_with(failing, tmp_path))
    assert "Error in rule evaluate" in failed.stdout
    planned = jobs(workflow.run(finished, "--dry-run"))
    assert planned == {"evaluate": 1, "report": 1, "all": 1, "total": 3}


def test_what_was_never_made_is_not_taken_for_deleted(workflow, finished):
    (finished / METRICS).unlink()
    planned = jobs(workflow.run(finished, "--dry-run", "--config", "arms={new: {method: sft}}"))
    counts = {"train": 1, "predict": 1, "evaluate": 2, "report": 1}
    assert planned == counts | {"all": 1, "total": 6}


def test_without_the_report_everything_is_wanted(workflow, finished):
    shutil.rmtree(finished / PLACES.own / "report")
    (finished / METRICS).unlink()
    planned = jobs(workflow.run(finished, "--dry-run"))
    assert planned == {"evaluate": 1, "report": 1, "all": 1, "total": 3}
