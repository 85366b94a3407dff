"""The matching of all images at once, against loops over them."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from dipr1.boxes import ioa, iou
from dipr1.matching import (
    greedy,
    heaviest,
    inside_pairs,
    largest_ioa,
    overlapping_pairs,
    stack,
    strictly_inside,
    summed_ioa,
)
from tests.unit.evaluation.crowds import NONE, random_set


@pytest.mark.parametrize("threshold", [0.5, 0.7])
def test_overlapping_pairs_are_those_of_each_image(threshold):
    detections, people, _ = random_set(3)
    rows, columns, ious = overlapping_pairs(stack(detections), stack(people), threshold)
    first_row = first_column = 0
    expected = []
    for found, targets in zip(detections, people, strict=True):
        overlaps = iou(found[:, :4], targets)
        for row, column in np.argwhere(overlaps >= threshold):
            expected.append((first_row + row, first_column + column, overlaps[row, column]))
        first_row, first_column = first_row + len(found), first_column + len(targets)
    got = list(zip(rows.tolist(), columns.tolist(), ious.tolist(), strict=True))
    assert len(got) > 20
    assert sorted(got) == expected
    assert (np.diff(rows) >= 0).all()


def test_shares_of_areas_are_those_of_each_image():
    detections, _, ignore = random_set(4)
    found, areas = stack(detections), stack(ignore)
    shares = [ioa(boxes[:, :4], regions) for boxes, regions in zip(detections, ignore, strict=True)]
    largest = np.concatenate([share.max(axis=1, initial=0.0) for share in shares])
    np.testing.assert_array_equal(largest_ioa(found, areas), largest)
    summed = np.concatenate([share.sum(axis=1) for share in shares])
    np.testing.assert_allclose(summed_ioa(found, areas), summed, atol=1e-12)
    assert len(inside_pairs(found, areas, 0.5)[0]) == sum((s >= 0.5).sum() for s in shares)


def test_strictly_inside_touches_no_side():
    boxes = [np.array([[1.0, 1, 9, 9], [0, 1, 9, 9], [1, 1, 9, 10]]), np.array([[1.0, 1, 9, 9]])]
    regions = [np.array([[0.0, 0, 10, 10]]), NONE]
    assert strictly_inside(stack(boxes), stack(regions)).tolist() == [True, False, False, False]


@pytest.mark.parametrize("wrong", [[math.nan] * 4, [9, 9, 1, 1], [0, 0, math.inf, 5], [1e300] * 4])
def test_a_box_without_an_area_overlaps_nothing(wrong):
    boxes, everything = stack([np.array([wrong])]), stack([np.array([[-1e9, -1e9, 1e9, 1e9]])])
    assert len(overlapping_pairs(boxes, everything, 0.5)[0]) == 0
    assert len(overlapping_pairs(everything, boxes, 0.5)[0]) == 0
    assert largest_ioa(boxes, everything).tolist() == [0.0]


PAIRS = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), unique=True, max_size=30)


@given(PAIRS, st.lists(st.booleans(), min_size=8, max_size=8))
def test_greedy_takes_row_by_row(pairs, reusable):
    pairs = sorted(pairs, key=lambda pair: pair[0])
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    expected, gone = [-1] * 8, set()
    for row, column in pairs:
        if expected[row] < 0 and column not in gone:
            expected[row] = column
            if not reusable[column]:
                gone.add(column)
    assert greedy(rows, columns, 8, 8, np.array(reusable)).tolist() == expected


@given(PAIRS, st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None)
def test_heaviest_weighs_as_much_as_the_solver_finds(pairs, seed, equal):
    rows, columns = np.array(pairs, int).reshape(-1, 2).T
    rng = np.random.default_rng(seed)
    weights = rng.choice([0.6, 0.9], len(rows)) if equal else rng.uniform(0.5, 1.0, len(rows))
    chosen = heaviest(rows, columns, weights)
    assert len(set(rows[chosen].tolist())) == chosen.sum() == len(set(columns[chosen].tolist()))
    gain = np.zeros((8, 8))
    gain[rows, columns] = weights
    best = gain[linear_sum_assignment(gain, maximize=True)].sum()
    assert weights[chosen].sum() == pytest.approx(best, abs=1e-12)
