"""The matching of all images at once, against loops over them."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from dipr1.boxes import ioa, iou, match, stacked
from dipr1.evaluation.answers import judge
from dipr1.evaluation.stacks import stack
from dipr1.matching import (
    greedy,
    heaviest,
    inside_pairs,
    largest_ioa,
    match_pairs,
    match_pairs_of_images,
    overlapping_pairs,
    strictly_inside,
    summed_ioa,
)
from dipr1.regions import box_variance
from dipr1.rewards import AccuracyReward
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


# --- one kernel for variance, metrics and rewards -------------------------------------------------


def awkward_set(seed: int, num_images: int = 60) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Answers and people of images: crowds with copies, ties, and boxes that are none."""
    rng = np.random.default_rng(seed)
    answers, truth = [], []
    for _ in range(num_images):
        corners = rng.integers(-40, 60, (rng.integers(0, 14), 2))
        people = np.hstack([corners, corners + rng.integers(10, 60, corners.shape)]).astype(float)
        found = people.repeat(2, axis=0)[rng.random(2 * len(people)) < 0.7]
        moved = found + rng.integers(-4, 5, found.shape)
        wrong = np.array([[math.nan] * 4, [9, 9, 1, 1], [0, 0, math.inf, 5], [1e300] * 4])
        answers.append(rng.permutation(np.vstack([found, moved, wrong])))
        truth.append(people)
    return answers, truth


@pytest.mark.parametrize("seed", range(4))
def test_the_images_together_have_the_pairs_of_each_by_itself(seed):
    answers, truth = awkward_set(seed)
    boxes, targets = stack(answers), stack(truth)
    rows, columns, ious = overlapping_pairs(boxes, targets, 0.5)
    chosen = match_pairs_of_images(rows, columns, ious, boxes.image[rows])
    together = list(zip(rows[chosen].tolist(), columns[chosen].tolist(), strict=True))
    one_by_one, first_row, first_column = [], 0, 0
    for answer, people in zip(answers, truth, strict=True):
        row, column, _ = match(answer, people)
        one_by_one += zip((row + first_row).tolist(), (column + first_column).tolist(), strict=True)
        first_row, first_column = first_row + len(answer), first_column + len(people)
    assert together == one_by_one
    assert len(together) > 100


@pytest.mark.parametrize("seed", range(4))
def test_variance_metrics_and_rewards_find_the_same_people(seed):
    recall = AccuracyReward(quality="hard", aggregate="recall", lam=0.0)
    for answer, people in zip(*awkward_set(seed), strict=True):
        by_metrics = judge(answer, people, [])[0].found
        regions = box_variance([answer], people)[: len(people)]
        assert by_metrics.tolist() == [region.support == 1.0 for region in regions]
        # Of copies the reward pairs none with a neighbour, which is its own rule.
        boxes = np.unique(answer[np.isfinite(answer).all(axis=1)], axis=0)
        items = [{"bbox_2d": box, "label": "person"} for box in boxes.tolist()]
        [share] = recall([f"<answer>{json.dumps(items)}</answer>"], gt_boxes=[people.tolist()])
        if len(people):
            assert share == pytest.approx(judge(boxes, people, [])[0].found.mean(), abs=1e-15)


@given(PAIRS, PAIRS, st.integers(0, 2**32 - 1), st.booleans())
@settings(deadline=None)
def test_matching_of_two_images_equals_each_by_itself(first, second, seed, equal):
    rng = np.random.default_rng(seed)
    images = []
    for pairs in (first, second):
        rows, columns = np.array(sorted(pairs), int).reshape(-1, 2).T
        ious = rng.choice([0.6, 0.9], len(rows)) if equal else rng.uniform(0.5, 1.0, len(rows))
        images.append((rows, columns, ious))
    expected = [match_pairs(*pairs) for pairs in images]
    rows, columns, ious = (np.concatenate(part) for part in zip(*images, strict=True))
    image = np.repeat([0, 1], [len(pairs[0]) for pairs in images])
    chosen = match_pairs_of_images(rows + 8 * image, columns + 8 * image, ious, image)
    assert rows[chosen].tolist() == np.concatenate([pairs[0] for pairs in expected]).tolist()
    assert columns[chosen].tolist() == np.concatenate([pairs[1] for pairs in expected]).tolist()


def test_the_size_of_the_blocks_does_not_matter(monkeypatch):
    detections, people, ignore = random_set(5)
    found, targets, areas = stack(detections), stack(people), stack(ignore)
    whole = [*overlapping_pairs(found, targets, 0.3), *inside_pairs(found, areas, 0.5)]
    monkeypatch.setattr("dipr1.matching.PAIRS_AT_ONCE", 3)
    blocks = [*overlapping_pairs(found, targets, 0.3), *inside_pairs(found, areas, 0.5)]
    for one, other in zip(whole, blocks, strict=True):
        np.testing.assert_array_equal(one, other)


def test_one_box_far_away_hides_no_pair():
    # Cells of equal width between the farthest boxes would hold all others in one.
    boxes = np.array([[-1e99, 0.0, 1e99, 10], [-3, 0, 3, 9], [0.0, 0, 5, 9], [-0.0, 0, 5, 9]])
    image = np.array([1, 0, 1, 1])
    rows, columns, ious = overlapping_pairs(stacked(boxes, image), stacked(boxes, image), 1e-3)
    expected = iou(boxes, boxes) * (image[:, None] == image) >= 1e-3
    order = np.lexsort((columns, rows))
    assert np.argwhere(expected).tolist() == np.stack([rows, columns], axis=1)[order].tolist()
    assert len(ious) == 1 + 1 + 4
