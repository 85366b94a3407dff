"""Where answers err against what the base policy was unsure of, on cases worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipr1.evaluation.answers import judge
from dipr1.evaluation.calibration import auc, of_scores, regions_erred, reliability
from dipr1.evaluation.ranked import rank
from dipr1.evaluation.ranked_labels import RankedLabel

NONE = np.empty((0, 4))
SIZE = (10, 10)
# two people, one found exactly, one missed; one false box
PEOPLE = [[0, 0, 2, 2], [6, 6, 8, 8]]
ANSWER = [[0, 0, 2, 2], [3, 3, 5, 5]]


def test_regions_err_where_an_object_is_missed_or_a_phantom_is_answered():
    answer = [[0, 0, 2, 2], [3, 3, 5, 5]]
    judged = judge(answer, PEOPLE, [])[0]
    regions = [*PEOPLE, [3, 3, 5, 5.5], [3, 3, 5, 8], [0, 0, 2, 2]]
    index = np.array([0, 1, np.nan, np.nan, np.nan])
    # the last phantom lies on a hit, which is no error; the one before overlaps by 0.4
    erred = regions_erred(regions, index, answer, judged)
    assert erred.tolist() == [False, True, True, False, False]


def test_no_regions_and_no_answer():
    assert regions_erred(NONE, np.zeros(0), NONE, judge([], [], [])[0]).shape == (0,)
    missed = regions_erred([PEOPLE[0]], np.array([0.0]), NONE, judge([], [PEOPLE[0]], [])[0])
    assert missed.tolist() == [True]


def test_auc_by_hand():
    u = np.array([0.1, 0.4, 0.35, 0.8])
    assert auc(u, np.array([False, False, True, True])) == 0.75
    assert auc(u, np.array([True, True, False, False])) == 0.25
    assert auc(np.full(4, 0.5), np.array([True, False, True, False])) == 0.5


@pytest.mark.parametrize("erred", [[], [True], [False, False]])
def test_auc_of_one_kind_is_undefined(erred):
    assert math.isnan(auc(np.full(len(erred), 0.5), np.array(erred, bool)))


@given(st.lists(st.tuples(st.sampled_from([0.0, 0.2, 0.5, 0.7, 1.0]), st.booleans()), max_size=30))
def test_auc_is_the_share_of_pairs_in_order(regions):
    errors = [u for u, erred in regions if erred]
    right = [u for u, erred in regions if not erred]
    found = auc(np.array([u for u, _ in regions]), np.array([e for _, e in regions], bool))
    if errors and right:
        pairs = [(e > r) + (e == r) / 2 for e in errors for r in right]
        assert found == pytest.approx(np.mean(pairs))
    else:
        assert math.isnan(found)


def test_reliability_by_hand():
    u = np.array([0.0, 0.1, 0.25, 0.5, 1.0])
    erred = np.array([False, True, False, True, True])
    bins = reliability(u, erred, num_bins=4)
    assert bins.counts.tolist() == [2, 1, 1, 1]  # 0.25 and 0.5 open their bins, 1 closes its own
    assert bins.rate.tolist() == [0.5, 0.0, 1.0, 1.0]
    assert bins.mean.tolist() == [0.05, 0.25, 0.5, 1.0]
    assert bins.expected_error == pytest.approx((2 * 0.45 + 0.25 + 0.5 + 0.0) / 5)


def test_an_empty_bin_is_undefined_and_weighs_nothing():
    bins = reliability(np.array([0.9]), np.array([True]), num_bins=2)
    assert math.isnan(bins.rate[0])
    assert math.isnan(bins.mean[0])
    assert bins.expected_error == pytest.approx(0.1)


def test_reliability_of_nothing_is_undefined():
    assert math.isnan(reliability(np.zeros(0), np.zeros(0, bool)).expected_error)


def test_scores_are_held_against_how_often_boxes_are_right():
    image, objects = np.zeros(5, int), np.array([3])
    score = np.array([0.95, 0.95, 0.95, 0.35, 0.35])
    ranked = rank(image, score, np.array([1, 1, 0, 0, -1]), objects)
    other = rank(image[:1], np.array([0.35]), np.array([1]), objects)
    labels = [RankedLabel(one, [one], np.empty((1, 0))) for one in (ranked, other)]
    bins = of_scores(labels)
    assert bins.counts[[3, 9]].tolist() == [2, 3]  # the dropped one is in none
    assert bins.rate[[3, 9]] == pytest.approx([1 / 2, 2 / 3])
    assert bins.expected_error == pytest.approx((2 * 0.15 + 3 * (0.95 - 2 / 3)) / 5)
    assert math.isnan(of_scores([]).expected_error)
