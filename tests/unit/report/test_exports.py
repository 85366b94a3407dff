"""The figures as a paper prints them."""

from __future__ import annotations

import csv
import io

import pytest

from dipr1.artifacts.comparison import COMPARISON
from dipr1.evaluation.catalogue import METRICS
from dipr1.evaluation.comparison import Compared
from dipr1.report.exports import csv_text, latex, markdown, write_exports
from dipr1.report.results import read_results
from tests.unit.report.reporting import SETS, metric_files

SET = {"set": "town_hall.test", "in_domain": True, "num_images": 40}


def row(arm: str, metric: str, value: float | None, seeds: int = 3, **more) -> Compared:
    low, high = (None, None) if value is None else (value - 0.1, value + 0.1)
    score = "confidence" if metric in ("AP", "MR") else None
    return Compared(
        **SET, arm=arm, metric=metric, score=score, value=value, low=low, high=high,
        num_seeds=seeds, **more,
    )  # fmt: skip


def effect(arm: str, metric: str, value: float, difference: float, **more) -> Compared:
    ends = {"difference_low": difference - 0.05, "difference_high": difference + 0.05}
    return row(arm, metric, value, baseline="base", difference=difference, p=0.25, **ends, **more)


ROWS = [
    row("base", "AP", 0.5, seeds=1),
    row("base", "MR", 0.75, seeds=1),
    row("base", "f1_50", None, seeds=1),
    row("dip_r1", "AP", 0.625),
    effect("dip_r1", "AP", 0.625, 0.125),
    row("dip_r1", "MR", 0.8125),
    effect("dip_r1", "MR", 0.8125, 0.03),
    row("dip_r1", "f1_50", 0.25),
]


def test_markdown_by_hand():
    assert (
        markdown(ROWS)
        == """\
Values on town_hall.test, in domain; bold: best; 95 % bootstrap intervals over 3 seeds and 40 \
images. Boxes ranked by confidence.

| arm | AP ↑ | MR⁻² ↓ | F1 ↑ |
|---|---|---|---|
| base | 0.500 [0.400, 0.600] | **0.750** [0.650, 0.850] | – |
| dip\\_r1 | **0.625** [0.525, 0.725] | 0.812 [0.713, 0.912] | 0.250 [0.150, 0.350] |

Differences to base on town_hall.test, in domain; bold: the interval leaves out 0; 95 % bootstrap \
intervals over 3 seeds and 40 images. Boxes ranked by confidence.

| arm | AP ↑ | MR⁻² ↓ |
|---|---|---|
| dip\\_r1 | **+0.125** [+0.075, +0.175] | +0.030 [-0.020, +0.080] |
"""
    )


def test_latex_by_hand():
    text = latex(ROWS)
    assert text.count(r"\begin{tabular}") == text.count(r"\end{tabular}") == 2
    lines = text.splitlines()
    assert r"\begin{tabular}{lccc}" in lines
    assert r"base & 0.500 & \textbf{0.750} & -- \\" in lines
    assert r"dip\_r1 & \textbf{0.625} & 0.812 & 0.250 \\" in lines
    assert r" & {\scriptsize [0.400, 0.600]} & {\scriptsize [0.650, 0.850]} &  \\" in lines
    assert r" & {\scriptsize [+0.075, +0.175]} & {\scriptsize [$-$0.020, +0.080]} \\" in lines
    assert r"town\_hall.test" in text
    assert r"95 \% bootstrap" in text


def test_one_seed_is_said():
    text = markdown(ROWS[:2])
    assert "intervals over 40 images; one seed, so not over trainings." in text
    assert "**" not in text  # the only arm is not the best one


def test_csv_has_every_row_and_field():
    read = list(csv.DictReader(io.StringIO(csv_text(ROWS))))
    assert len(read) == len(ROWS)
    assert read[2]["value"] == read[0]["baseline"] == ""
    assert read[4]["difference_low"] == "0.075000"
    assert (read[4]["set"], read[4]["num_seeds"], read[4]["p"]) == (
        "town_hall.test",
        "3",
        "0.250000",
    )


def test_the_same_rows_give_the_same_files(tmp_path):
    paths = write_exports(ROWS, tmp_path)
    assert [path.name for path in paths] == [
        f"comparison.{suffix}" for suffix in ("parquet", "md", "csv", "tex")
    ]
    first = [path.read_bytes() for path in paths]
    assert [path.read_bytes() for path in write_exports(ROWS, tmp_path)] == first
    table = COMPARISON.read(paths[0])
    assert [Compared(**row) for row in table.to_pylist()] == ROWS


@pytest.mark.parametrize("form", [markdown, latex])
def test_nothing_to_print(form):
    assert form([]).strip() == ""


def test_the_summary_has_a_row_per_metric_and_the_best_in_bold(experiment, page):
    summary = (experiment / "page/summary.md").read_text(encoding="utf-8")
    assert summary.count("| AP |") == len(SETS)
    header, row = (
        next(line for line in summary.splitlines() if line.startswith(start)).split("|")[1:-1]
        for start in ("| metric |", "| F1 |")
    )
    results = read_results(metric_files(experiment), [])
    best = results.best("crowdscenes.validation", METRICS["f1_50"])
    bold = [arm.strip() for arm, cell in zip(header, row, strict=True) if "**" in cell]
    assert bold == best
