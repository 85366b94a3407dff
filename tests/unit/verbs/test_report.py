"""The verb `report`: its files, and what it says of wrong ones."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.samples import SAMPLES
from tests.unit.experiment import files, make_experiment
from tests.unit.report.reporting import (
    SETS,
    evaluate_all,
    image_files,
    metric_files,
    report,
    write_audit,
)

ARMS = ("base", "dipr1")
FLAGS = ("--num-images", "2", "--resamples", "100")


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, sets=SETS, arms=ARMS, num_images=4, updates=5)
    evaluate_all(folder)
    write_audit(folder, {1: "missing_label", 2: "loose_label"})
    assert report(folder, *FLAGS) == 0
    return folder


def test_what_lies_beside_the_page(experiment):
    folder = experiment / "page"
    assert sorted(path.name for path in folder.iterdir()) == [
        "comparison.csv",
        "comparison.md",
        "comparison.parquet",
        "comparison.tex",
        "figures",
        "index.html",
        "summary.md",
    ]
    assert sorted(path.name for path in (folder / "figures").iterdir()) == [
        ".dipr1",
        *(
            f"{name}.{suffix}"
            for name in ("comparison", "precision_recall", "training")
            for suffix in ("pdf", "png", "svg")
        ),
    ]


def test_the_same_input_gives_the_same_bytes(experiment):
    before = {path: path.read_bytes() for path in (experiment / "page").rglob("*.*")}
    assert report(experiment, *FLAGS) == 0
    assert {path: path.read_bytes() for path in (experiment / "page").rglob("*.*")} == before


@pytest.mark.parametrize(
    ("kind", "change", "message"),
    [
        ("metrics", lambda names: ["m.parquet"], "m.parquet: no such file"),
        ("metrics", lambda names: names[:-1], "has no metrics of"),
        ("images", lambda names: names[1:], "are missing; give their file too, or none at all"),
        ("predictions", lambda names: names[:-1], "are missing; give their file too"),
        ("annotations", lambda names: names[:1], "are missing; give its file too"),
        ("training_logs", lambda names: ["a/seed0/training_log.parquet"], "no such file"),
        ("audit", lambda names: ["a/b.parquet"], "no such file"),
    ],
)
def test_a_wrong_file_is_named(experiment, capsys, kind, change, message):
    of_kind = {"metrics": metric_files, "images": image_files}
    folder = {"training_logs": "policies"}.get(kind, kind)
    names = change(of_kind[kind](experiment) if kind in of_kind else files(experiment, folder))
    if kind == "predictions":
        # the first seed of the last arm is what the viewer shows
        names = [name for name in files(experiment, kind) if "dipr1/seed0" not in name]
    assert report(experiment, **{kind: names}) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert message in error


def test_an_image_that_is_gone_is_named(tmp_path, capsys):
    make_experiment(tmp_path, arms=("base",), num_images=2)
    evaluate_all(tmp_path)
    gone = next(tmp_path.rglob("*.jpg"))
    gone.unlink()
    assert report(tmp_path, training_logs=[]) == 1
    assert str(gone) in capsys.readouterr().err


def test_a_missing_answer_is_named(experiment, tmp_path, capsys):
    [base, *others] = files(experiment, "predictions")
    fewer = str(tmp_path / "fewer.parquet")
    SAMPLES.write(SAMPLES.read(base).slice(1), fewer, read_made(base))
    assert report(experiment, predictions=[fewer, *others]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"{fewer}: image '0' of " in line
    assert "is missing" in line


def test_a_file_that_does_not_say_what_it_is_about_is_named(experiment, tmp_path, capsys):
    foreign = tmp_path / "validation.parquet"
    ANNOTATIONS.write(ANNOTATIONS.read(files(experiment, "annotations")[0]), foreign)
    assert report(experiment, annotations=[str(foreign)]) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert f"{foreign}: does not say its dataset; make it again" in line


def test_the_names_of_the_files_do_not_matter(experiment, tmp_path):
    before = (experiment / "page/summary.md").read_bytes()
    named = {"metrics": metric_files(experiment), "images": image_files(experiment)}
    moved = {
        kind: [str(shutil.copy(name, tmp_path / f"{kind}{at}")) for at, name in enumerate(names)]
        for kind, names in named.items()
    }
    (experiment / "page/summary.md").unlink()
    assert report(experiment, *FLAGS, **moved) == 0
    assert (experiment / "page/summary.md").read_bytes() == before
