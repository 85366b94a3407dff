"""Several experiments in one folder: none overwrites another, and what is equal is made once."""

from __future__ import annotations

import csv
import shutil
from pathlib import Path

import pytest
import yaml

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.config import load
from dipr1.places import Places
from dipr1.resuming import FINISHED, claim
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
    ids=lambda value: "" if isinstance(value, set) else str(value),  # sets have no order
)
def test_what_is_equal_is_taken_over(workflow, undisturbed, another, changes, rules):
    rows = planned(workflow, undisturbed, another(**changes))
    assert {row["rule"] for row in rows} == rules
    assert overwritten(undisturbed, rows) == []


CORRECTED = """<annotations><image name="000001.jpg" width="192" height="144">
<box label="person" xtl="10" ytl="20" xbr="40" ybr="90"/></image></annotations>"""


def test_labels_are_corrected_on_their_way_and_the_wrong_ones_held_against_them(
    workflow, another, tmp_path
):
    (tmp_path / "corrected.xml").write_text(CORRECTED)
    images = {"num_images": 4, "seed": 2}
    mended = images | {"corrections": "corrected.xml"}
    scenes = {"format": "scenes", "style": "street"}
    configfile = another(
        datasets={
            "drawn": scenes | {"splits": {"validation": images}},
            "mended": scenes | {"splits": {"validation": mended}},
        },
        audit={"corrected": {"drawn.validation": "mended.validation"}},
    )
    target = "results/another/audit/drawn/validation.parquet"
    workflow.run(tmp_path, target, configfile=configfile)
    [path] = (tmp_path / "results/shared/annotations/mended").glob("*[0-9a-f].parquet")
    first, second, *_ = ANNOTATIONS.read(path).to_pylist()
    objects = [not ignored for ignored in second["ignore"]]
    assert len(first["boxes"]) > 1 and objects.count(True) == 1
    assert second["boxes"][objects.index(True)] == [10, 20, 40, 90]
    suspects = AUDIT.read(tmp_path / target).to_pylist()
    assert {row["confirmed"] for row in suspects if row["image_id"] != "2"} == {False}
    assert any(row["confirmed"] for row in suspects if row["image_id"] == "2")


def kept_work(folder: Path, made: str) -> Path:
    """A result that was kept in its work folder, as by a job whose end Snakemake did not see."""
    of_whom, kind = made.split("/")[1:3]
    work = folder / made.replace(f"/{of_whom}/", f"/{of_whom}/checkpoints/").removesuffix(
        ".parquet"
    )
    claim(work, {"kind": kind}, "*.parquet")
    (work / FINISHED).touch()
    return work


def test_a_run_clears_the_work_of_its_own_jobs_alone(workflow, undisturbed, another, tmp_path):
    folder = shutil.copytree(undisturbed, tmp_path / "folder")
    others = Places(load(another(sample={"temperature": 0.5})))
    answers = "predictions/{}/seed0/crowdscenes.validation.parquet"
    of_others = [
        kept_work(folder, others.path("samples", "crowdscenes", "train")),
        kept_work(folder, f"{others.own}/{answers.format('base')}"),
        kept_work(folder, f"{PLACES.own}/{answers.format('sft')}"),  # of no job of this run
    ]
    own = kept_work(folder, f"{PLACES.own}/{answers.format('base')}")
    metrics = f"{PLACES.own}/metrics/base/seed0/crowdscenes.validation.parquet"
    (folder / metrics).unlink()
    workflow.run(folder, metrics)
    assert all(map(Path.exists, of_others))
    assert not own.exists()


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
