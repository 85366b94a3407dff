"""The one list of metrics: what is in it is measured, compared and shown."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator

import polars as pl
import pytest

from dipr1.evaluation.catalogue import GROUPS, METRICS, by_group, shown
from dipr1.rewards import REWARDS
from tests.unit.experiment import make_experiment
from tests.unit.report.reporting import FLAGS, evaluate_all, report

MODULE = '''
"""Two more metrics, as somebody would write them."""

from dipr1.evaluation.catalogue import AS_IT_IS, METRICS, RANKED, Ranking, Ratio, mean_of


def tallest(image):
    """Height of the tallest answered box, as a share of the image's; None without a box."""
    heights = image.boxes[:, 3] - image.boxes[:, 1]
    return float(heights.max() / image.size[1]) if len(heights) else None


METRICS["tallest"] = Ratio(
    "tallest", "Tallest box", "Of each answer.", AS_IT_IS, mean_of("tallest"), figure=tallest
)
METRICS["AP90"] = Ranking(
    "AP90", "AP90", "Average precision at overlap 0.90.", RANKED, lambda label: label.coco_ap(8)
)
'''


@pytest.fixture
def registered(tmp_path) -> Iterator[list[str]]:
    """The metrics that a module of somebody else adds while a test runs."""
    (tmp_path / "more_metrics.py").write_text(MODULE)
    spec = importlib.util.spec_from_file_location("more_metrics", tmp_path / "more_metrics.py")
    before = dict(METRICS)
    spec.loader.exec_module(importlib.util.module_from_spec(spec))
    yield [name for name in METRICS if name not in before]
    METRICS.clear()
    METRICS.update(before)


def test_a_metric_that_is_registered_is_measured_compared_and_shown(tmp_path, registered):
    assert registered == ["tallest", "AP90"]
    make_experiment(tmp_path, arms=("base", "dipr1"), num_images=8)
    evaluate_all(tmp_path)
    images = tmp_path / "results/metrics/base/seed0/crowdscenes.validation.images.parquet"
    heights = pl.read_parquet(images)["tallest"]
    assert heights.null_count() < len(heights)
    assert heights.drop_nulls().is_between(0.1, 1.1).all()
    metrics = pl.read_parquet(str(images).replace(".images", ""))
    rows = {name: (value, score) for name, value, score in metrics.iter_rows()}
    assert rows["tallest"] == (pytest.approx(heights.mean()), None)
    assert 0.0 <= rows["AP90"][0] <= rows["AP75"][0]
    assert rows["AP90"][1] == "confidence"
    assert report(tmp_path, *FLAGS) == 0
    page = tmp_path / "page/index.html"
    compared = pl.read_parquet(page.with_name("comparison.parquet"))
    for name, title in (("tallest", "Tallest box"), ("AP90", "AP90")):
        assert compared.filter(metric=name, arm="dipr1")["baseline"].to_list() == [None, "base"]
        assert title in page.read_text()
        assert f"| {title} |" in page.with_name("summary.md").read_text()


def test_every_metric_can_be_shown():
    for name, metric in METRICS.items():
        assert metric.name == name
        assert metric.better in ("higher", "lower", "")
        assert format(0.5, metric.form)
        assert metric.meaning.format(one="person", many="people")
    assert [metric for metric in METRICS.values() if metric not in shown()] == [
        METRICS["num_images"],
        METRICS["num_objects"],
    ]
    assert all(by_group()[group] for group in GROUPS)


def test_every_reward_is_a_metric():
    assert [name for name in METRICS if name.startswith("reward_")] == [
        f"reward_{name}" for name in REWARDS
    ]
    assert METRICS["reward_looking"].needs_variance
    assert not METRICS["reward_accuracy"].needs_variance
