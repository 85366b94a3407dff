"""Ticks and smoothing of the curves."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.report.curves import smooth, ticks


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
