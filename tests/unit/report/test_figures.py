"""The figures for papers show the numbers of the artifacts."""

from __future__ import annotations

import pytest

from dipr1.report.figures import precision_recall
from dipr1.report.results import read_results, with_intervals
from tests.unit.experiment import make_experiment
from tests.unit.report.reporting import evaluate_all, image_files, metric_files


def test_each_curve_of_precision_has_the_mean_ap50(tmp_path):
    make_experiment(tmp_path, arms=("base", "dipr1"), seeds=(0, 1), num_images=6)
    evaluate_all(tmp_path)
    results = with_intervals(
        read_results(metric_files(tmp_path), []), image_files(tmp_path), None, resamples=2
    )
    axes = precision_recall(results).axes[0]
    means = {line.get_label(): line.get_ydata().mean() for line in axes.get_lines()}
    expected = {
        arm: results.mean(arm, "crowdscenes.validation", "AP50").value for arm in results.arms
    }
    assert means == pytest.approx(expected, abs=1e-12)
