"""Responses in training on the page, and what went wrong there."""

from __future__ import annotations

import polars as pl
import pyarrow as pa
import pytest

from dipr1.artifacts.completions import COMPLETIONS
from dipr1.artifacts.made import Made
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.report.completions import LONGEST_TEXT, shown_completions, symptoms
from dipr1.report.results import FIGURES, LOGS, Results
from tests.unit.report.reporting import FLAGS, report

BOX = [10.0, 10.0, 40.0, 100.0]


def row(picture, step, sample, reward, **changes) -> dict:
    return {
        "step": step,
        "image_id": "a",
        "sample": sample,
        "text": "<answer>",
        "num_tokens": 9,
        "reward": reward,
        "advantage": 0.0,
        "rewards": [{"name": "accuracy", "value": reward}, {"name": "looking", "value": None}],
        "image": picture,
        "width": 192,
        "height": 144,
        "labels": ["person"],
        "boxes": [BOX, [100, 10, 900, 100], [0, 0, float("nan"), 9], [1, 130, 8, 140]],
        "look_boxes": [[20, 20, 60, 60]],
        "gt_boxes": [BOX, [60, 10, 90, 100]],
        "ignore_boxes": [[0, 120, 192, 144]],
    } | changes


def table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, COMPLETIONS.schema_with(rows[0]))


def test_a_response_is_drawn_by_what_its_boxes_are(blank):
    [one] = shown_completions({"mine": table([row(blank, 1, 0, 0.5)])})["mine"]
    assert one.boxes == [
        ("ignore", 0.0, 120.0, 192.0, 24.0),
        ("missed", 60.0, 10.0, 30.0, 90.0),
        ("look", 20.0, 20.0, 40.0, 40.0),
        ("skipped", 1.0, 130.0, 7.0, 10.0),
        ("false", 100.0, 10.0, 92.0, 90.0),  # as far as the picture goes
        ("hit", 10.0, 10.0, 30.0, 90.0),
    ]
    assert (one.rank, one.rewards, one.size) == ("best", {"accuracy": 0.5}, (192, 144))


def test_the_best_and_the_worst_of_some_updates_are_chosen(blank):
    rows = [
        row(blank, step, sample, reward, image_id=image)
        for step in range(1, 9)
        for image in "abc"
        for sample, reward in enumerate((0.2, 0.9, None, 0.1))
    ]
    shown = shown_completions({"mine": table(rows)})["mine"]
    assert [(one.step, one.image_id, one.rank, one.reward) for one in shown] == [
        (step, image, *which)
        for step in (1, 3, 6, 8)
        for image in "ab"
        for which in (("best", 0.9), ("worst", 0.1))
    ]


def test_what_could_not_be_judged_or_read(blank):
    nothing = {"boxes": None, "look_boxes": None, "text": "x" * 9000}
    [one] = shown_completions({"mine": table([row(blank, 1, 0, 0.0, **nothing)])})["mine"]
    assert [kind for kind, *_ in one.boxes] == ["ignore", "missed", "missed"]
    assert len(one.text) == LONGEST_TEXT
    assert shown_completions({"mine": table([row(blank, 1, 0, None)])}) == {"mine": []}


def test_a_window_is_shown_alone(blank):
    window = {"window": [10, 20, 110, 70], "width": 100, "height": 50}
    [one] = shown_completions({"mine": table([row(blank, 1, 0, 0.5, **window)])})["mine"]
    assert one.size == (100, 50)


@pytest.fixture
def cut() -> Results:
    """Two seeds, one of whose responses are cut."""
    rows = [
        {"arm": "mine", "seed": seed, "step": step, "name": name, "value": value}
        for seed, share in ((0, 0.0), (1, 0.5))
        for step in range(1, 13)
        for name, value in (("loss", 1.0), ("completions/clipped_ratio", share))
    ]
    figures = [{"arm": "mine", "seed": 0, "set": "a.b", "name": "AP", "value": 1.0}]
    return Results(pl.DataFrame(figures, FIGURES), pl.DataFrame(rows, LOGS))


def test_what_went_wrong_is_told_of_each_seed(cut):
    [(arm, seed, words)] = symptoms(cut)
    assert (arm, seed) == ("mine", 1)
    assert words.startswith("50% of the responses are cut")


def test_the_page_shows_them_escaped(experiment, blank, tmp_path):
    file = tmp_path / "completions.parquet"
    text = row(blank, 3, 0, 0.5, text="<script>alert(1)</script>")
    COMPLETIONS.write(table([text]), file, Made(arm="dipr1", seed=0))
    output = tmp_path / "index.html"
    log = tmp_path / "training_log.parquet"
    rewards = [{"step": 1, "name": "reward", "value": 0.5}]
    TRAINING_LOG.write(pa.Table.from_pylist(rewards), log, Made(arm="dipr1", seed=0))
    assert report(experiment, *FLAGS, "--training-logs", str(log), "--output", str(output)) == 0
    page = output.read_text(encoding="utf-8")
    assert "What they answered in training" in page
    assert "update 3, best" in page
    assert "&lt;script&gt;alert(1)" in page
