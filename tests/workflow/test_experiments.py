"""Several experiments in one folder: none overwrites another, and what is equal is made once."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
import yaml

from tests.workflow.conftest import PLACES, SHORT, Workflow


@pytest.fixture
def another(root, tmp_path):
    """Writes the short experiment, changed, as `another.yaml`."""

    def write(**changes) -> Path:
        values = yaml.safe_load((root / SHORT).read_text())
        for name, change in changes.items():
            values[name] = values.get(name, {}) | change
        (tmp_path / "another.yaml").write_text(yaml.safe_dump(values))
        return tmp_path / "another.yaml"

    return write


def planned(workflow: Workflow, folder: Path, configfile: str | Path) -> list[dict[str, str]]:
    """What a run would make: rows with `rule`, `output_file` and `log-file(s)`."""
    output = workflow.run(folder, "--summary", configfile=configfile)
    rows = csv.DictReader(output[output.index("output_file\t") :].splitlines(), delimiter="\t")
    return [row for row in rows if row["plan"] != "no update"]


def overwritten(folder: Path, rows: list[dict[str, str]]) -> list[str]:
    """Those files of a plan that are there."""
    names = [row[column] for row in rows for column in ("output_file", "log-file(s)")]
    return [name for name in names if name and (folder / name).exists()]


def test_the_demo_overwrites_nothing_of_the_short_experiment(workflow, undisturbed):
    rows = planned(workflow, undisturbed, "config.yaml")
    assert overwritten(undisturbed, rows) == []
    assert {row["rule"] for row in rows} >= {"download", "convert", "sample", "train", "report"}


OWN = {"audit", "train", "predict", "inspect", "evaluate", "report"}


@pytest.mark.parametrize(
    ("changes", "rules"),
    [
        ({}, OWN),
        ({"training": {"updates": 4}}, OWN),
        ({"variance": {"v0": 0.02}}, OWN | {"variance"}),
        ({"sample": {"temperature": 0.5}}, OWN | {"sample", "join", "variance"}),
        ({"policy": {"max_pixels": 90000}}, OWN | {"convert", "sample", "join", "variance"}),
    ],
    ids=str,
)
def test_what_is_equal_is_taken_over(workflow, undisturbed, another, changes, rules):
    rows = planned(workflow, undisturbed, another(**changes))
    assert {row["rule"] for row in rows} == rules
    assert overwritten(undisturbed, rows) == []


def test_a_path_of_earlier_versions_is_refused_with_the_one_of_now(workflow, tmp_path):
    for before, now in {
        "results/report/index.html": f"{PLACES.own}/report/index.html",
        "results/variance/crowdscenes/train.parquet": PLACES.path(
            "variance", "crowdscenes", "train"
        ),
    }.items():
        done = workflow.try_run(tmp_path, "--dry-run", before)
        assert done.returncode == 1
        [line] = [line for line in done.stdout.splitlines() if before in line]
        assert line.startswith(f"{before}: ")
        assert line.endswith(now)
        assert "Traceback" not in done.stdout


def test_digits_of_other_options_have_no_rule(workflow, tmp_path):
    path = PLACES.path("variance", "crowdscenes", "train")
    digest = PLACES.digest("variance", "crowdscenes", "train")
    other = PLACES.digest("samples", "crowdscenes", "train")
    done = workflow.try_run(tmp_path, "--dry-run", path.replace(digest, other))
    assert done.returncode == 1
    assert "MissingRuleException" in done.stdout
