"""The figures for papers."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.report.figures import RECALLS, interpolated_precision


def test_precision_is_interpolated_as_coco_does():
    rng = np.random.default_rng(0)
    hits, num_objects = rng.random(60) < 0.6, 50
    found = np.cumsum(hits)
    precision, recall = found / np.arange(1, 61), found / num_objects
    expected = [precision[recall >= at - 1e-12].max(initial=0.0) for at in RECALLS]
    assert interpolated_precision(hits, num_objects) == pytest.approx(expected)
    assert interpolated_precision(np.zeros(0, bool), 3).tolist() == [0.0] * 101
