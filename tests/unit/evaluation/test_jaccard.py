"""CrowdHuman's Jaccard index by hand-worked cases and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import plain_evaluators
from dipr1.evaluation.jaccard import SCORE_THRESHOLDS, jaccard_counts
from dipr1.metrics import (
    jaccard_index,
)
from tests.unit.evaluation.crowds import NO_DETECTION, NONE, PERSON, random_set, scored


def test_jaccard_index_takes_boxes_strictly_above_the_score_threshold():
    # at threshold 0.8 only the first box is left
    twice = scored([0, 0, 10, 10, 0.9], [0, 0, 10, 9, 0.8])
    assert jaccard_index([twice], [PERSON], [NONE]) == 1.0


def test_a_missed_person_in_an_ignore_area_leaves_the_jaccard_index():
    people = np.vstack([PERSON, [[41, 41, 49, 49]]])
    found = scored([0, 0, 10, 10, 0.5])
    assert jaccard_index([found], [people], [np.array([[40.0, 40, 50, 50]])]) == 1.0
    assert jaccard_index([found], [people], [NONE]) == 0.5


def test_jaccard_index_takes_the_best_threshold_for_all_images_together():
    sure = scored([0, 0, 10, 10, 0.95], [50, 50, 60, 60, 0.15])
    unsure = scored([0, 0, 10, 10, 0.15])
    # above 0.0 and 0.1: (1/2 + 1) / 2; above 0.2 ... 0.9: (1 + 0) / 2
    assert jaccard_index([sure, unsure], [PERSON, PERSON], [NONE, NONE]) == pytest.approx(0.75)


def test_jaccard_index_leaves_out_images_with_nobody_and_nothing():
    found = scored([0, 0, 10, 10, 0.5])
    assert jaccard_index([found, NO_DETECTION], [PERSON, NONE], [NONE, NONE]) == 1.0


@pytest.mark.parametrize("seed", range(3))
def test_jaccard_index_equals_plain_loops(seed):
    pytest.importorskip("networkx", reason="the plain loops match with networkx")
    boxes = [*random_set(seed, 20), np.tile([[280.0, 290.0]], (20, 1))]
    expected = plain_evaluators.crowdhuman_ji(*boxes)
    assert jaccard_index(*boxes) == pytest.approx(expected, abs=1e-12)


def test_jaccard_index_leaves_out_images_where_all_is_ignored():
    inside = np.array([[41.0, 41, 49, 49]])
    area = np.array([[40.0, 40, 50, 50]])
    found = scored([0, 0, 10, 10, 0.5])
    assert jaccard_index([found, NO_DETECTION], [PERSON, inside], [NONE, area]) == 1.0
    assert math.isnan(jaccard_index([NO_DETECTION], [inside], [area]))


def test_jaccard_counts_by_hand():
    people = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    found = scored([0, 0, 10, 9, 0.95], [20, 0, 30, 9, 0.35], [50, 50, 60, 60, 0.15])
    counts = jaccard_counts([found], [people], [NONE])
    assert counts.pairs[:, 0].tolist() == [2, 2, 2, 2, 1, 1, 1, 1, 1, 1]
    assert counts.boxes[:, 0].tolist() == [3, 3, 2, 2, 1, 1, 1, 1, 1, 1]
    assert counts.objects[:, 0].tolist() == [2] * len(SCORE_THRESHOLDS)
