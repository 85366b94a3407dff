"""What the curves show, and how."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dipr1.report.curves import MAIN, logged, panels, smooth, ticks
from dipr1.report.results import LOGS
from tests.unit.report.reporting import results_of


@pytest.mark.parametrize(
    ("low", "high"), [(0, 1), (-0.3, 0.02), (5, 5), (0, 0), (1e-9, 3e-9), (1, 123456), (-7, -7)]
)
def test_ticks_hold_the_values_between_them(low, high):
    found = ticks(low, high, 5)
    assert found[0] <= low
    assert found[-1] >= high
    assert 2 <= len(found) <= 8


def test_smoothing_keeps_a_constant():
    assert smooth(np.full(7, 2.5), 5) == pytest.approx(np.full(7, 2.5))


def test_a_run_is_drawn_where_it_has_several_finite_values():
    loss = next(quantity for quantity in MAIN if quantity.name == "loss")
    values = {"sft": [3.0, None, 1.0], "grpo": [0.5, float("nan"), None], "dipr1": [4.0, 2.0, 6.0]}
    rows = [
        (arm, 0, step, "loss", value)
        for arm, of_arm in values.items()
        for step, value in enumerate(of_arm)
    ]
    logs = pl.DataFrame(rows, LOGS, orient="row")
    results = replace(results_of(dict.fromkeys(values, 0.5)), logs=logs)
    runs = logged(loss, results)
    assert {arm: of_arm["value"].to_list() for arm, of_arm in runs.items()} == {
        "sft": [3.0, 1.0],
        "dipr1": [4.0, 2.0, 6.0],
    }
    [panel] = panels(MAIN, results)
    assert panel.ends == [("sft", 1.0), ("dipr1", 6.0)]
