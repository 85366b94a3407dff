"""Does looking help: areas, chance and calibration on cases worked by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipr1.evaluation.answers import judge
from dipr1.evaluation.looks import (
    Looked,
    chance,
    looked,
)

NONE = np.empty((0, 4))
SIZE = (10, 10)
# two people, one found exactly, one missed; one false box
PEOPLE = [[0, 0, 2, 2], [6, 6, 8, 8]]
ANSWER = [[0, 0, 2, 2], [3, 3, 5, 5]]


def look(boxes, answer=ANSWER, people=PEOPLE, size=SIZE) -> Looked:
    return looked(boxes, answer, people, judge(answer, people, [])[0], size)


def test_what_lies_in_the_look_regions():
    # the left half: the hit (1, 1) and the false box (4, 4); the missed one (7, 7) is outside
    left = look([[0, 0, 5, 10]])
    assert (left.share, left.hits, left.false, left.missed) == (0.5, 1, 1, 0)
    # 5 wide, so its left side lies in [0, 5]; it holds x = 4 from 0 to 4, x = 7 from 2 to 5
    assert left.by_chance == pytest.approx(4 / 5 + 3 / 5)


def test_looking_at_everything_catches_every_error_and_so_does_chance():
    everything = look([[-3, -3, 99, 99]])
    assert everything == Looked(share=1.0, hits=1, false=1, missed=1, by_chance=2.0)


@pytest.mark.parametrize("boxes", [NONE, [[20, 20, 30, 30]], [[5, 5, 5, 9]], [[np.nan] * 4]])
def test_looking_nowhere(boxes):
    assert look(boxes) == Looked(0.0, 0, 0, 0, 0.0)


def test_a_repeated_box_changes_nothing():
    assert look([[3, 3, 8, 8]] * 3) == look([[3, 3, 8, 8]])


def test_two_boxes_apart_add_up():
    both = look([[0, 0, 2, 10], [8, 0, 10, 10]])
    assert both.share == pytest.approx(0.4)
    # two columns of width 2, left sides in [0, 8]: each holds x = 4 and x = 7 from 2 of 8 places
    assert both.by_chance == pytest.approx(2 * (2 / 8 + 2 / 8))


def test_an_overlap_counts_once():
    # columns [0, 4] and [2, 6]: 60 of 80 units of area remain
    overlapping = look([[0, 0, 4, 10], [2, 0, 6, 10]])
    assert overlapping.share == pytest.approx(0.6)
    # width 4, left sides in [0, 6]: x = 4 from 0 to 4, x = 7 from 3 to 6
    assert overlapping.by_chance == pytest.approx(60 / 80 * 2 * (4 / 6 + 3 / 6))


def test_only_the_visible_part_of_a_box_has_a_place():
    # clipped to [0, 2] x [0, 2], centre (1, 1); whole, its centre would lie outside the image
    half_outside = look([[0, 0, 2, 2]], answer=[], people=[[-8, -8, 2, 2]])
    assert half_outside.missed == 1
    outside = look([[0, 0, 10, 10]], answer=[], people=[[20, 20, 30, 30]])
    assert (outside.missed, outside.by_chance) == (0, 0.0)


def test_a_false_box_without_an_area_lies_nowhere():
    answer = [[5, 5, 1, 1], [np.nan, 0, 1, 1]]
    assert look([[0, 0, 10, 10]], answer=answer, people=NONE) == Looked(1.0, 0, 0, 0, 0.0)


def test_ignored_boxes_are_no_errors():
    answer = [[3, 3, 5, 5]]
    found = looked([[0, 0, 10, 10]], answer, NONE, judge(answer, [], [[2, 2, 6, 6]])[0], SIZE)
    assert (found.false, found.by_chance) == (0, 0.0)


sides = st.tuples(st.integers(1, 9), st.integers(1, 11))


@given(sides, st.integers(0, 2**32 - 1))
def test_chance_is_the_share_of_places_that_hold_the_point(box, seed):
    rng = np.random.default_rng(seed)
    size = np.array([9.0, 11.0])
    box = np.array(box, float)
    point = rng.uniform([0, 0], size)
    corners = rng.uniform(0, 1, (20_000, 2)) * (size - box)
    held = ((corners <= point) & (point <= corners + box)).all(axis=1).mean()
    exact = chance(point[None], np.array([[0, 0, *box]]), box.prod(), tuple(size))
    assert exact[0] == pytest.approx(held, abs=0.02)


def test_the_mean_chance_over_the_image_is_the_share_of_its_area():
    xs = (np.arange(200) + 0.5) / 20
    points = np.array([[x, y] for x in xs for y in xs])
    boxes = np.array([[0.0, 0, 3, 4], [2, 2, 5, 9]])
    union = 12 + 21 - 2
    assert chance(points, boxes, union, SIZE).mean() == pytest.approx(union / 100, rel=1e-3)
