from __future__ import annotations

import itertools
from fractions import Fraction
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.boxes import area, as_boxes, clip, ioa, iou, match, overlapping, shared_areas, union_area
from tests.unit import random_boxes, reference
from tests.unit.random_boxes import INTEGER_KINDS, TOLERANCE, cases, clustered_boxes, some_boxes

INTEGER = st.integers(0, 12)
ANY_BOX = st.tuples(INTEGER, INTEGER, INTEGER, INTEGER)
BOX = st.tuples(INTEGER, INTEGER, st.integers(1, 8), st.integers(1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
UNUSABLE = [*random_boxes.UNUSABLE, [0, 0, 1e-200, 1e-200]]


def crowd(num: int, seed: int = 0, extent: float = 1000.0) -> np.ndarray:
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, extent, (num, 2))
    return np.hstack([corner, corner + rng.uniform(20, 120, (num, 2))])


def test_no_boxes():
    assert area([]).shape == (0,)
    assert iou([], []).shape == (0, 0)
    assert iou([], [[0, 0, 1, 1]]).shape == (0, 1)
    assert ioa([[0, 0, 1, 1]], []).shape == (1, 0)
    assert clip([], 5, 5).shape == (0, 4)
    assert union_area([]) == 0.0
    for predictions, targets in [([], []), ([[0, 0, 1, 1]], []), ([], [[0, 0, 1, 1]])]:
        assert [len(found) for found in match(predictions, targets)] == [0, 0, 0]


@pytest.mark.parametrize("boxes", [[1, 2, 3, 4], [[1, 2, 3]], [[1, 2, 3, 4, 5]] * 4])
def test_wrong_shape_is_named(boxes):
    with pytest.raises(ValueError, match=r"expected boxes of shape \(N, 4\) but got \("):
        as_boxes(boxes)


def test_overlaps_by_hand():
    a = [[0, 0, 4, 4], [0, 0, 2, 2]]
    b = [[2, 0, 6, 4], [4, 0, 8, 4], [0, 0, 4, 4]]
    assert area(a).tolist() == [16, 4]
    np.testing.assert_allclose(iou(a, b), [[8 / 24, 0, 1], [0, 0, 4 / 16]], rtol=1e-15)
    np.testing.assert_allclose(ioa(a, b), [[8 / 16, 0, 1], [0, 0, 1]], rtol=1e-15)


def test_float32_boxes_are_computed_in_float64():
    box = np.array([[1000.1, 1000.1, 1000.2, 1000.3]], dtype=np.float32)
    assert iou(box, box).dtype == np.float64
    assert area(box)[0] == (float(box[0, 2]) - float(box[0, 0])) * (
        float(box[0, 3]) - float(box[0, 1])
    )


@pytest.mark.parametrize("box", UNUSABLE, ids=str)
def test_a_box_without_area_overlaps_nothing(box):
    sound = [[0, 0, 4, 4], [-1e6, -1e6, 1e6, 1e6]]
    assert area([box]).tolist() == [0.0]
    assert not iou([box], [*sound, box]).any()
    assert not ioa([box], [*sound, box]).any()
    assert not ioa(sound, [box]).any()
    assert union_area([box, [0, 0, 4, 4]]) == 16.0
    for threshold in (0.5, 0.0):
        assert len(match([box], [*sound, box], threshold)[0]) == 0


def test_clip_to_the_frame():
    boxes = np.array([[-5.0, -5, 3, 3], [8, 8, 20, 20], [20, 20, 30, 30], [np.nan, 0, 1, 1]])
    clipped = clip(boxes, 10, 12)
    expected = [[0, 0, 3, 3], [8, 8, 10, 12], [10, 12, 10, 12], [np.nan, 0, 1, 1]]
    np.testing.assert_array_equal(clipped, expected)
    assert boxes[0, 0] == -5
    assert area(clipped).tolist() == [9, 8, 0, 0]


def test_union_by_hand():
    assert union_area([[0, 0, 4, 4], [2, 2, 6, 6]]) == 28
    assert union_area([[0, 0, 4, 4]] * 50) == 16
    assert union_area([[0, 0, 10, 10], [1, 1, 2, 2], [20, 0, 21, 1]]) == 101
    # A frame made of four bars: the hole is not covered.
    assert union_area([[0, 0, 9, 1], [0, 8, 9, 9], [0, 0, 1, 9], [8, 0, 9, 9]]) == 81 - 49


@given(st.lists(ANY_BOX, max_size=8))
def test_union_equals_counted_cells(boxes):
    assert union_area(boxes) == len(reference.cells(boxes))


def test_union_of_many_boxes_equals_shapely():
    shapely = pytest.importorskip("shapely")
    boxes = crowd(300)
    expected = shapely.unary_union([shapely.box(*box) for box in boxes]).area
    assert union_area(boxes) == pytest.approx(expected, rel=1e-12)


@given(st.lists(ANY_BOX, max_size=6), st.lists(ANY_BOX, max_size=6))
def test_overlaps_equal_the_reference(a, b):
    expected = [[float(reference.box_iou(p, q)) for q in b] for p in a]
    np.testing.assert_allclose(iou(a, b), np.reshape(expected, (len(a), len(b))), rtol=1e-15)
    expected = [[float(reference.box_ioa(p, q)) for q in b] for p in a]
    np.testing.assert_allclose(ioa(a, b), np.reshape(expected, (len(a), len(b))), rtol=1e-15)


def test_most_pairs_win_over_the_best_pair():
    # Greedy by IoU would take the pair of 1.0 and leave one box on each side alone.
    overlaps = np.array([[1.0, 0.6], [0.6, 0.1]])
    rows, columns, ious = match([[0, 0, 1, 1]] * 2, [[0, 0, 1, 1]] * 2, 0.5, overlaps)
    assert (rows.tolist(), columns.tolist(), ious.tolist()) == ([0, 1], [1, 0], [0.6, 0.6])


def test_total_iou_decides_between_equal_numbers():
    overlaps = np.array([[0.9, 0.8], [0.8, 0.6]])
    rows, columns, _ = match([[0, 0, 1, 1]] * 2, [[0, 0, 1, 1]] * 2, 0.5, overlaps)
    assert (rows.tolist(), columns.tolist()) == ([0, 1], [1, 0])


def test_the_threshold_belongs_to_the_pairs():
    assert len(match([[0, 0, 2, 2]], [[0, 0, 2, 4]], 0.5)[0]) == 1
    assert len(match([[0, 0, 2, 2]], [[0, 0, 2, 4.001]], 0.5)[0]) == 0


def test_each_box_is_matched_once():
    rows, columns, ious = match([[0, 0, 4, 4]] * 3, [[0, 0, 4, 4], [50, 50, 60, 60]])
    assert (len(rows), columns.tolist(), ious.tolist()) == (1, [0], [1.0])


def assert_best(overlaps: np.ndarray, threshold: float) -> None:
    num_rows, num_columns = overlaps.shape
    boxes = np.zeros((max(overlaps.shape, default=0), 4))
    rows, columns, ious = match(boxes[:num_rows], boxes[:num_columns], threshold, overlaps)
    best = reference.best_pairs(overlaps.tolist(), threshold)
    assert len(rows) == len(best)
    assert len(set(rows.tolist())) == len(set(columns.tolist())) == len(rows)
    assert rows.tolist() == sorted(rows.tolist())
    assert (ious >= threshold).all()
    np.testing.assert_array_equal(ious, overlaps[rows, columns])
    assert ious.sum() == pytest.approx(sum(overlaps[r, c] for r, c in best), abs=1e-12)


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(0, 5), st.integers(0, 5), st.sampled_from([0.0, 0.3, 0.5]))
def test_matching_equals_brute_force(data, num_rows, num_columns, threshold):
    value = st.one_of(st.just(0.0), st.sampled_from([0.3, 0.5, 0.75, 1.0]), st.floats(0, 1))
    overlaps = [[data.draw(value) for _ in range(num_columns)] for _ in range(num_rows)]
    assert_best(np.reshape(np.array(overlaps, dtype=float), (num_rows, num_columns)), threshold)


@settings(max_examples=100, deadline=None)
@given(st.lists(BOX, max_size=5), st.lists(BOX, max_size=5))
def test_matching_of_boxes_equals_brute_force(predictions, targets):
    rows, _, ious = match(predictions, targets)
    overlaps = [[reference.box_iou(p, t) for t in targets] for p in predictions]
    best = reference.best_pairs(overlaps) if targets else []
    assert len(rows) == len(best)
    assert ious.sum() == pytest.approx(float(sum(overlaps[r][c] for r, c in best)), abs=1e-12)


@pytest.mark.parametrize("seed", range(5))
def test_matching_in_a_crowd_cannot_be_improved(seed):
    scipy_optimize = pytest.importorskip("scipy.optimize")
    truth = crowd(150, seed, extent=300)
    predictions = truth + np.random.default_rng(seed).normal(0, 8, truth.shape)
    overlaps = iou(predictions, truth)
    gain = np.where(overlaps >= 0.5, 1000.0 + overlaps, 0.0)
    best = gain[scipy_optimize.linear_sum_assignment(gain, maximize=True)]
    rows, columns, ious = match(predictions, truth)
    assert len(rows) == (best > 0).sum()
    assert ious.sum() == pytest.approx((best[best > 0] - 1000).sum(), abs=1e-9)
    again = match(predictions, truth)
    assert all((a == b).all() for a, b in zip((rows, columns, ious), again, strict=True))


@pytest.mark.parametrize("threshold", [0.0, 0.1, 0.3, 0.5, 0.9, 1.0])
@pytest.mark.parametrize("num", [3, 80])
def test_overlapping_pairs_are_those_of_the_full_table(num, threshold):
    rng = np.random.default_rng(num)
    # Sizes of 1 to 500, so that far corners and unequal sizes occur, and exact ties at 0.5.
    corner = rng.uniform(0, 500, (num, 2))
    a = np.hstack([corner, corner + np.exp(rng.uniform(0, 6, (num, 2)))])
    half = a * [1, 1, 1, 0] + np.outer((a[:, 1] + a[:, 3]) / 2, [0, 0, 0, 1])
    unusable = np.array(UNUSABLE, dtype=float)
    b = np.vstack([a + rng.normal(0, 10, a.shape), half, a, unusable, crowd(num, 1, 500)])
    a = np.vstack([unusable, a])
    overlaps = iou(a, b)
    expected = np.nonzero((overlaps >= threshold) & (overlaps > 0))
    rows, columns, ious = overlapping(a, b, threshold)
    order = np.lexsort((columns, rows))
    np.testing.assert_array_equal(rows, expected[0])
    np.testing.assert_array_equal(columns[order], expected[1])
    np.testing.assert_array_equal(ious[order], overlaps[expected])
    assert len(rows) > 0


def test_overlapping_pairs_of_identical_boxes():
    boxes = [[0, 0, 10, 10]] * 100
    rows, columns, ious = overlapping(boxes, boxes, 1.0)
    assert len(rows) == 100 * 100
    assert len(match(boxes, boxes)[0]) == 100


def test_the_order_of_the_boxes_does_not_change_the_value():
    targets = np.array([[0, 0, 10, 10], [2, 0, 12, 10], [4, 0, 14, 10]])
    values = {
        (len(ious), round(float(ious.sum()), 12))
        for order in itertools.permutations([[1, 0, 11, 10], [3, 0, 13, 10], [0, 0, 9, 10]])
        for ious in [match(order, targets)[2]]
    }
    assert len(values) == 1


# --- against slow exact references, on thousands of random cases -----------------------------


def test_areas_and_overlaps():
    for random in cases("overlaps", 3000):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        expected = [float(reference.box_area(p)) for p in a]
        np.testing.assert_allclose(area(a), expected, rtol=0, atol=TOLERANCE)
        for function, exact in ((iou, reference.box_iou), (ioa, reference.box_ioa)):
            expected = np.reshape([float(exact(p, q)) for p in a for q in b], (len(a), len(b)))
            np.testing.assert_allclose(function(a, b), expected, rtol=0, atol=TOLERANCE)


def test_clipping():
    for random in cases("clip", 1000):
        boxes = some_boxes(random, 6)
        width, height = random.randint(1, 12), random.uniform(1, 12)
        expected = [reference.clipped(box, width, height) for box in boxes]
        np.testing.assert_array_equal(clip(boxes, width, height), np.reshape(expected, (-1, 4)))


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_overlapping_pairs(threshold):
    for random in cases("pairs", 500):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        rows, columns, ious = overlapping(a, b, threshold)
        exact = {(i, j): reference.box_iou(p, q) for i, p in enumerate(a) for j, q in enumerate(b)}
        expected = {pair for pair, value in exact.items() if value >= threshold and value > 0}
        found = list(zip(rows.tolist(), columns.tolist(), strict=True))
        assert len(found) == len(expected) and set(found) == expected
        assert all(abs(v - exact[p]) < TOLERANCE for p, v in zip(found, ious, strict=True))


def test_unions_equal_counted_cells():
    for random in cases("unions", 2000):
        boxes = some_boxes(random, 8, INTEGER_KINDS)
        assert abs(union_area(boxes) - len(reference.cells(boxes))) < TOLERANCE


def test_shared_areas_by_hand():
    look, region = [0, 0, 4, 4], [2, 0, 6, 4]
    total, within, shared = shared_areas([look], [region])
    assert (total, within.tolist(), shared) == (16, [8], 8)
    # of two looks where one region is, one shares nothing; where two are, both do
    total, within, shared = shared_areas([look, look], [region])
    assert (total, within.tolist(), shared) == (32, [8], 8)
    total, within, shared = shared_areas([look, look], [region, region, [0, 0, 1, 1]])
    assert (total, within.tolist(), shared) == (32, [8, 8, 1], 17)
    total, within, shared = shared_areas([], [region])
    assert (total, within.tolist(), shared) == (0, [0], 0)
    total, within, shared = shared_areas([look, [3, 3, 1, 1], [np.nan, 0, 1, 1]], [])
    assert (total, within.tolist(), shared) == (16, [], 0)


def test_shared_areas_equal_counted_cells():
    for random in cases("shared", 2000):
        boxes, regions = some_boxes(random, 8, INTEGER_KINDS), some_boxes(random, 5, INTEGER_KINDS)
        total, within, shared = shared_areas(boxes, regions)
        held, wanted = reference.counted_cells(boxes), reference.counted_cells(regions)
        assert abs(total - held.total()) < TOLERANCE
        assert abs(shared - (held & wanted).total()) < TOLERANCE
        covered = [len(reference.cells([region]) & held.keys()) for region in regions]
        np.testing.assert_allclose(within, covered, rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("num", [30, 41, 100, 300, 1000, 3000])
@pytest.mark.parametrize("largest", [3, 40, 400])
def test_shared_areas_of_many_boxes(num, largest):
    rng = np.random.default_rng(num + largest)
    corners = rng.integers(0, 400, (num + 5, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, largest + 1, (num + 5, 2))])
    looks, regions = boxes[5:], boxes[:5]
    held, wanted = np.zeros((2, 800, 800), dtype=int)
    for grid, chosen in ((held, looks), (wanted, regions)):
        for x1, y1, x2, y2 in chosen:
            grid[x1:x2, y1:y2] += 1
    for scale in (1, 7):
        total, within, shared = shared_areas(looks / scale, regions / scale)
        assert total * scale**2 == pytest.approx(held.sum(), rel=1e-11)
        assert shared * scale**2 == pytest.approx(np.minimum(held, wanted).sum(), rel=1e-9)
        covered = [(held[x1:x2, y1:y2] > 0).sum() for x1, y1, x2, y2 in regions]
        np.testing.assert_allclose(within * scale**2, covered, rtol=1e-9)


def test_strips_of_a_large_grid_add_up():
    rng = np.random.default_rng(0)
    corners = rng.uniform(0, 100, (2500, 2))
    looks = np.hstack([corners, corners + rng.uniform(0.1, 9, (2500, 2))])
    regions = np.array([[0, 0, 60, 50], [30.5, 20, 99, 98.7]])
    _, within, shared = shared_areas(looks, regions)
    halves = [
        shared_areas(clip(looks - [x, 0] * 2, 50, 120), clip(regions - [x, 0] * 2, 50, 120))
        for x in (0, 50)
    ]
    np.testing.assert_allclose(within, halves[0][1] + halves[1][1], rtol=1e-11)
    assert shared == pytest.approx(halves[0][2] + halves[1][2], rel=1e-11)


def test_unions_of_decimals():
    for random in cases("decimal unions", 300):
        boxes = some_boxes(random, 6)
        assert abs(union_area(boxes) - float(reference.union_area(boxes))) < 1e-9


@pytest.mark.parametrize("num", [30, 100, 300, 1000, 3000])
@pytest.mark.parametrize("largest", [3, 40, 400])
def test_unions_of_many_boxes(num, largest):
    rng = np.random.default_rng(num + largest)
    corners = rng.integers(0, 400, (num, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, largest + 1, (num, 2))])
    painted = np.zeros((800, 800), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        painted[x1:x2, y1:y2] = True
    assert union_area(boxes) == pytest.approx(painted.sum(), rel=1e-12)
    # Scaled down they are decimals that binary numbers do not hold.
    assert union_area(boxes / 7) == pytest.approx(painted.sum() / 49, rel=1e-11)


def check_matching(found, a, b, threshold, num_pairs, total) -> None:
    rows, columns, ious = found
    assert len(rows) == num_pairs
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == num_pairs
    exact = [reference.box_iou(a[i], b[j]) for i, j in zip(rows, columns, strict=True)]
    assert all(value >= threshold and value > 0 for value in exact)
    assert all(abs(value - v) < TOLERANCE for value, v in zip(exact, ious, strict=True))
    # Exact: of equally many pairs none with a larger total may exist, however little larger.
    assert sum(exact) == total


def test_matching():
    for random in cases("matching", 3000):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        if random.random() < 0.5:
            b = [[side + random.choice((0, 0, 1)) for side in box] for box in a[:4]] + b[:2]
        threshold = random.choice((0.0, 0.25, 0.5, 0.5, 0.5, 0.75, 1.0))
        overlaps = [[reference.box_iou(p, q) for q in b] for p in a]
        best = reference.best_matchings(overlaps, threshold)[0]
        total = sum(overlaps[i][j] for i, j in best)
        check_matching(match(a, b, threshold), a, b, threshold, len(best), total)


@pytest.mark.parametrize("num_groups", [10, 40, 120])
def test_matching_in_a_crowd_of_groups(num_groups):
    # Groups that lie far apart, so that each can be matched alone, shuffled into one crowd.
    random = Random(num_groups)
    a, b, num_pairs, total = [], [], 0, Fraction(0)
    for group in range(num_groups):
        far = group * 100
        boxes = clustered_boxes(random, random.randint(0, 5))
        jittered = [[s + random.choice((0, 0, 1, -1)) for s in box] for box in boxes]
        boxes, jittered = boxes[: random.randint(0, 5)], jittered[: random.randint(0, 5)]
        boxes, jittered = ([[s + far for s in box] for box in side] for side in (boxes, jittered))
        overlaps = [[reference.box_iou(p, q) for q in jittered] for p in boxes]
        best = reference.best_matchings(overlaps)[0]
        num_pairs += len(best)
        total += sum(overlaps[i][j] for i, j in best)
        a, b = a + boxes, b + jittered
    random.shuffle(a)
    random.shuffle(b)
    found = match(a, b)
    assert len(found[0]) == num_pairs > num_groups / 2
    assert found[2].sum() == pytest.approx(float(total), abs=TOLERANCE)
