"""Errors planted in labels, and what is told from them."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.boxes import iou, stacked
from dipr1.planting import Known, are_errors, differences, error_shares, plant

SIZES = np.array([[400, 300], [200, 500], [100, 100]])


@pytest.fixture
def labels() -> tuple[np.ndarray, np.ndarray]:
    """300 labels of two images; the third has none."""
    rng = np.random.default_rng(0)
    image = np.repeat([0, 1], [180, 120])
    sides = rng.uniform(5, 40, (300, 2))
    corners = rng.uniform(0, 1, (300, 2)) * (SIZES[image] - sides)
    return np.concatenate([corners, corners + sides], axis=1).astype(np.float32), image


def test_a_third_each_is_removed_moved_and_added(labels):
    boxes, image = labels
    planted = plant(boxes, image, SIZES, 0.1, seed=3)
    assert (planted.count, planted.num_moved) == (30, 10)
    assert len(planted.boxes) == 300 and planted.boxes.dtype == boxes.dtype
    assert (np.diff(planted.image) >= 0).all()
    # what is not wrong is as it was, in its order
    unchanged = planted.boxes[~planted.wrong]
    places = [np.flatnonzero((boxes == box).all(axis=1))[0] for box in unchanged]
    assert len(places) == 280 and (np.diff(places) > 0).all()
    left = np.setdiff1d(np.arange(300), places)
    assert (boxes[left] == planted.lost).all() and (image[left] == planted.lost_image).all()
    # a moved box overlaps its old place, but is no match
    near = [
        iou([box], planted.lost[planted.lost_image == k]).max()
        for box, k in zip(planted.boxes[planted.wrong], planted.image[planted.wrong], strict=True)
    ]
    assert sum(0.05 < value < 0.55 for value in near) >= 10
    again = plant(boxes, image, SIZES, 0.1, seed=3)
    assert (again.boxes == planted.boxes).all()
    assert (plant(boxes, image, SIZES, 0.1, seed=4).boxes != planted.boxes).any()


def test_added_labels_lie_inside_their_image(labels):
    planted = plant(*labels, SIZES, 0.5, seed=0)
    last = [planted.boxes[(planted.image == k) & planted.wrong] for k in (0, 1)]
    inside = [
        (boxes[:, :2] >= 0).all(axis=1) & (boxes[:, 2:] <= SIZES[k] + 1e-3).all(axis=1)
        for k, boxes in enumerate(last)
    ]
    assert sum(map(np.sum, inside)) >= 50


@pytest.mark.parametrize("share", [0.0, 0.009])
def test_too_few_labels_are_left_as_they_are(labels, share):
    boxes, image = labels
    planted = plant(boxes, image, SIZES, share, seed=0)
    assert planted.count == 0 and (planted.boxes == boxes).all()
    none = plant(boxes[:0], image[:0], SIZES, 0.5, seed=0)
    assert none.count == 0 and not len(none.boxes)


def test_a_suspect_is_planted_where_its_label_or_its_place_is(labels):
    planted = plant(*labels, SIZES, 0.1, seed=3)
    first = np.searchsorted(planted.image, [0, 1])
    wrong = np.flatnonzero(planted.wrong)
    image = planted.image[wrong]
    them = are_errors(planted, image, wrong - first[image], planted.boxes[wrong])
    assert them.all()
    right = np.flatnonzero(~planted.wrong)[:50]
    image = planted.image[right]
    assert not are_errors(planted, image, right - first[image], planted.boxes[right]).any()
    # a place without a label, in whatever order; in another image it is none
    nobody, places = np.full(20, -1), planted.lost[::-1]
    assert are_errors(planted, planted.lost_image[::-1], nobody, places).all()
    assert not are_errors(planted, np.full(20, 2), nobody, places).any()


def test_the_errors_of_corrected_labels_are_those_that_were_planted(labels):
    boxes, image = labels
    planted = plant(boxes, image, SIZES, 0.1, seed=3)
    # in another order and, as from another tool, rounded
    order = np.random.default_rng(0).permutation(300)
    order = order[np.argsort(image[order], kind="stable")]
    right = stacked(boxes[order].round(1), image[order])
    found = differences(stacked(planted.boxes, planted.image), right)
    assert (found.wrong == planted.wrong).all() and (found.image == planted.image).all()
    lost = sorted(map(tuple, planted.lost.round(1).tolist()))
    assert sorted(map(tuple, found.lost.astype(np.float32).tolist())) == lost


def test_a_label_that_was_drawn_twice_is_an_error_and_two_people_in_one_place_are_none():
    one, two, other = [10, 10, 30, 60], [10, 10, 31, 61], [60, 10, 80, 60]
    image = np.array([0, 0, 0, 1, 1])
    labels = stacked(np.array([one, two, other, one, two], float), image)
    right = stacked(np.array([two, other, two, one], float), image[[0, 0, 3, 3]])
    found = differences(labels, right)
    assert found.wrong.tolist() == [True, True, False, False, False]
    assert len(found.lost) == 0
    # one of them twice, and the other not at all
    right = stacked(np.array([one, two, one], float), image[:3])
    found = differences(stacked(np.array([two, other], float), image[:2]), right)
    assert found.wrong.tolist() == [False, True] and len(found.lost) == 2


def test_a_fourth_each_where_labels_have_several_names(labels):
    boxes, image = labels
    names = np.random.default_rng(1).choice(3, 300, p=[0.7, 0.2, 0.1])
    planted = plant(boxes, image, SIZES, 0.12, seed=3, names=names)
    assert (planted.count, planted.num_moved) == (36, 9)
    there = planted.source >= 0
    was = names[planted.source[there]]
    swapped = there.copy()
    swapped[there] = planted.names[there] != was
    assert swapped.sum() == 9 and planted.wrong[swapped].all()
    assert (planted.boxes[swapped] == boxes[planted.source[swapped]]).all()
    # the corrected labels tell the same
    found = differences(
        stacked(planted.boxes, planted.image), stacked(boxes, image), (planted.names, names)
    )
    assert (found.wrong == planted.wrong).all() and len(found.lost) == len(planted.lost)
    unnamed = differences(stacked(planted.boxes, planted.image), stacked(boxes, image))
    assert (unnamed.wrong == planted.wrong & ~swapped).all()


def test_shares_rise_with_the_score_and_are_of_the_kind():
    kind, score = np.array([0, 0, 0, 0, 1]), np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    known = Known(kind, score, np.array([True, False, True, False, True]), 3)
    # the two of kind 0 that were not planted are the two of the labels, whose scores are higher
    shares = error_shares(known, np.array([0, 1, 0, 2]), np.array([0.99, 0.3, 0.95, 0.9]))
    np.testing.assert_allclose(shares, [0.5, 1.0, 0.0, np.nan])


def test_shares_do_not_depend_on_how_planting_moves_the_scores():
    rng = np.random.default_rng(0)
    kind, score = np.zeros(400, int), rng.uniform(0.3, 1.0, 400)
    known = Known(kind, score * 0.9, rng.uniform(size=400) < score**2, 100)
    asked = score[~known.planted]
    shares = error_shares(known, kind[: len(asked)], asked)
    unmoved = error_shares(Known(kind, score, known.planted, 100), kind[: len(asked)], asked)
    np.testing.assert_allclose(shares, unmoved)
    assert (np.diff(shares[np.argsort(asked)]) >= 0).all() and np.ptp(shares) > 0.5


def test_of_equal_scores_the_order_does_not_matter():
    score, them = np.full(5, 0.5), np.array([True, False, False, False, False])
    for planted in (them, them[::-1]):
        known = Known(np.zeros(5, int), score, planted, 1)
        np.testing.assert_allclose(error_shares(known, np.zeros(2, int), np.array([0.5, 0.9])), 0.2)


def test_copies_are_counted_together():
    kind = np.zeros(2, int)
    one = Known(kind, np.array([0.9, 0.1]), np.array([True, False]), 4)
    other = Known(kind, np.array([0.8, 0.7]), np.array([False, True]), 4)
    both = Known.of_copies([one, other])
    assert (both.count, both.copies) == (8, 2)
    assert both.score.tolist() == [0.9, 0.8, 0.7, 0.1]
    assert both.precision(1) == 0.5 and both.precision(20) == 0.5
    assert np.isnan(Known.of_copies([]).precision(20))
