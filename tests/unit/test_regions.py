from __future__ import annotations

import math
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.boxes import area
from dipr1.regions import Region, box_variance, look_targets, target_values
from tests.unit import reference
from tests.unit.random_boxes import (
    TOLERANCE,
    cases,
    jittered,
    level,
    sixteenths,
    some_boxes,
    upright_boxes,
)
from tests.unit.sampled_splits import noisy_samples

PERSON = [10.0, 20.0, 30.0, 60.0]


def rows(regions: list[Region]) -> list[tuple]:
    return [
        (r.gt_index, r.box, r.hull, r.support, r.existence_variance, r.box_variance, r.uncertainty)
        for r in regions
    ]


def assert_equal_rows(found: list[tuple], expected: list[tuple]) -> None:
    assert [row[0] for row in found] == [row[0] for row in expected]
    for row, other in zip(found, expected, strict=True):
        for value, wanted in zip(row[1:], other[1:], strict=True):
            assert (value is None) == (wanted is None)
            if wanted is not None:
                np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


# --- one image -----------------------------------------------------------------------------------


def test_nothing_to_find_and_nothing_found():
    assert box_variance([[], []], []) == []
    assert box_variance([np.empty((0, 4))] * 3, [], []) == []


def test_no_samples():
    with pytest.raises(ValueError, match="at least one sample"):
        box_variance([], [PERSON])


def test_a_person_never_found():
    [region] = box_variance([[]] * 8, [PERSON])
    q = 0.5 / 9
    assert (region.kind, region.gt_index, region.support, region.num_samples) == ("object", 0, 0, 8)
    assert region.box.tolist() == region.hull.tolist() == PERSON
    assert region.box_variance is None
    assert region.existence_variance == region.uncertainty == pytest.approx(4 * q * (1 - q))


def test_a_person_always_found_at_the_same_place():
    [region] = box_variance([[PERSON]] * 8, [PERSON])
    q = 8.5 / 9
    assert (region.support, region.box_variance) == (1.0, 0.0)
    assert region.uncertainty == region.existence_variance == pytest.approx(4 * q * (1 - q))


def test_a_person_found_in_half_of_the_samples():
    [region] = box_variance([[PERSON], []] * 4, [PERSON])
    assert region.support == 0.5
    assert region.existence_variance == region.uncertainty == 1.0


def test_borders_that_move_by_hand():
    # Right borders 28 and 32: variance 8, over a mean width of 20 squared; the other sides rest.
    members = [[10, 20, 28, 60], [10, 20, 32, 60]]
    [region] = box_variance([[box] for box in members], [PERSON])
    v = 8 / 20**2 / 4
    q = 2.5 / 3
    e = 4 * q * (1 - q)
    assert region.box_variance == pytest.approx(v, rel=1e-15)
    assert region.uncertainty == pytest.approx(1 - (1 - e) * math.exp(-v / 0.01), rel=1e-15)
    assert region.hull.tolist() == [10, 20, 32, 60]
    assert region.box.tolist() == PERSON
    [sharper] = box_variance([[box] for box in members], [PERSON], v0=0.001)
    assert sharper.uncertainty > region.uncertainty


def test_heights_are_measured_by_height():
    members = [[10, 20, 30, 58], [10, 20, 30, 62]]
    [region] = box_variance([[box] for box in members], [PERSON])
    assert region.box_variance == pytest.approx(8 / 40**2 / 4, rel=1e-15)


def test_a_phantom_is_the_mean_of_its_members():
    samples = [[[0, 0, 10, 10]], [], [[0, 0, 12, 10]]]
    [region] = box_variance(samples, [])
    assert (region.kind, region.gt_index) == ("phantom", None)
    assert region.support == pytest.approx(2 / 3)
    assert region.box.tolist() == [0, 0, 11, 10]
    assert region.hull.tolist() == [0, 0, 12, 10]


def test_a_phantom_follows_its_members():
    # Each box overlaps the mean of those before by more than half, but not the first one.
    drift = [[x, 0, x + 100, 10] for x in (0, 30, 45, 52)]
    assert [r.support for r in box_variance([[box] for box in drift], [])] == [1.0]
    assert reference.box_iou(drift[0], drift[3]) < 0.5


def test_a_ground_truth_anchor_does_not_move():
    drift = [[x, 0, x + 100, 10] for x in (0, 30, 45, 52)]
    object_, phantom = box_variance([[box] for box in drift], drift[:1])
    assert (object_.support, phantom.support) == (0.5, 0.5)
    assert object_.box.tolist() == drift[0]


def test_a_repeated_box_is_a_phantom():
    object_, phantom = box_variance([[PERSON, PERSON]] * 2, [PERSON])
    assert (object_.support, phantom.support) == (1.0, 1.0)
    assert (object_.kind, phantom.kind) == ("object", "phantom")


def test_phantoms_come_in_order_of_appearance():
    a, b, c = ([x, 0, x + 10, 10] for x in (0, 100, 200))
    regions = box_variance([[b], [c, a], [a, b]], [])
    assert [r.box.tolist() for r in regions] == [b, c, a]


def test_boxes_in_ignore_regions_start_no_phantom():
    ignore = [[0, 0, 50, 50]]
    inside, out = [10, 10, 20, 20], [40, 10, 61, 20]
    assert box_variance([[inside]] * 2, [], ignore) == []
    assert len(box_variance([[out]] * 2, [], ignore)) == 1
    [region] = box_variance([[inside]] * 2, [inside], ignore)
    assert region.support == 1.0


def test_boxes_in_ignore_regions_join_no_phantom():
    # The second box lies in the ignore region and would fit the phantom that the first started.
    outside, inside = [40, 0, 61, 10], [35, 0, 56, 10]
    [phantom] = box_variance([[outside], [inside]], [], [[0, 0, 50, 50]])
    assert phantom.support == 0.5
    assert phantom.box.tolist() == outside


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 9, 1, 1], [np.nan] * 4, [0, 0, np.inf, 1]])
def test_boxes_without_area_are_dropped(box):
    [region] = box_variance([[box, PERSON], [box]], [PERSON])
    assert region.support == 0.5


def test_arguments_are_not_changed():
    samples = [np.array([PERSON, [0, 0, 5, 5]]), np.array([[0, 0, 5, 6.0]])]
    gt, copies = np.array([PERSON]), [sample.copy() for sample in samples]
    box_variance(samples, gt)
    assert gt.tolist() == [PERSON]
    for sample, copy in zip(samples, copies, strict=True):
        np.testing.assert_array_equal(sample, copy)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 6), st.booleans())
def test_regions_equal_the_reference(seed, num_people, num_samples, with_ignore):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (num_people, 2))
    truth = np.hstack([corner, corner + rng.uniform(20, 40, (num_people, 2))])
    samples = noisy_samples(rng, truth, num_samples)
    ignore = [[0.0, 0.0, 30.0, 60.0]] if with_ignore else []
    found = rows(box_variance(samples, truth, ignore))
    expected = reference.regions([s.tolist() for s in samples], truth.tolist(), ignore)
    assert_equal_rows(found, expected)
    for row in found:
        assert 0.0 < row[4] <= 1.0 and 0.0 < row[6] <= 1.0


def test_found_and_missed_equally_often_are_equally_uncertain():
    box = [0, 0, 9, 9]
    for num_found in range(9):
        found = box_variance([[box]] * num_found + [[]] * (8 - num_found), [box])
        missed = box_variance([[]] * num_found + [[box]] * (8 - num_found), [box])
        assert found[0].uncertainty == missed[0].uncertainty


def test_hulls_hold_their_boxes():
    rng = np.random.default_rng(1)
    truth = np.array([PERSON, [50.0, 0.0, 70.0, 30.0]])
    for region in box_variance(noisy_samples(rng, truth, 8), truth):
        assert (region.hull[:2] <= region.box[:2]).all()
        assert (region.hull[2:] >= region.box[2:]).all()
        assert area([region.hull])[0] > 0


# --- look targets --------------------------------------------------------------------------------


def test_no_look_targets():
    assert look_targets([], []).tolist() == []
    assert look_targets([[0, 0, 1, 1]], [0.499]).tolist() == []
    assert look_targets([[0, 0, 0, 1]], [0.9]).tolist() == []


def test_look_targets_in_order():
    hulls = [[0, 0, side, 1] for side in (1, 2, 3, 3, 9, 5)]
    uncertainty = [0.7, 0.9, 0.7, 0.7, 0.2, 0.5]
    apart = [[x1, 2 * k, x2, 2 * k + 1] for k, (x1, _, x2, _) in enumerate(hulls)]
    assert look_targets(apart, uncertainty).tolist() == [1, 2, 3, 0]
    assert look_targets(apart, uncertainty, max_regions=9).tolist() == [1, 2, 3, 0, 5]
    assert look_targets(apart, uncertainty, max_regions=3).tolist() == [1, 2, 3]
    assert look_targets(apart, uncertainty, threshold=0.8).tolist() == [1]
    # 2 of its 3 lie in the first, then 2 of 5
    assert look_targets(hulls, uncertainty, max_regions=3).tolist() == [1, 5]


def test_a_region_half_of_which_is_seen_already_is_no_look_target():
    first, half, less = [0, 0, 10, 10], [5, 0, 15, 10], [5.1, 0, 15.1, 10]
    assert look_targets([first, half], [0.9, 0.8]).tolist() == [0]
    assert look_targets([first, less], [0.9, 0.8]).tolist() == [0, 1]
    # of its own area, not of the other's: one around the first is a target
    assert look_targets([first, [0, 0, 21, 10]], [0.9, 0.8]).tolist() == [0, 1]
    assert look_targets([[0, 0, 21, 10], first], [0.9, 0.8]).tolist() == [0]
    # a region that is left out leaves none out
    assert look_targets([first, half, [11, 0, 19, 10]], [0.9, 0.8, 0.7]).tolist() == [0, 2]
    # of its nine columns four lie in each of two
    third = [6, 0, 15, 10]
    assert look_targets([first, [11, 0, 21, 10], third], [0.9, 0.8, 0.7]).tolist() == [0, 1, 2]


def test_target_values():
    u, support, is_object = [0.2, 0.9, 0.6], [0.0, 0.75, 0.25], [True, True, False]
    assert target_values("variance", u, support, is_object).tolist() == u
    assert target_values("miss", u, support, is_object).tolist() == [1.0, 0.25, 0.6]
    assert target_values("miss", [], [], []).tolist() == []


# --- against a slow exact reference, on a thousand random cases ------------------------------


def an_image(random: Random) -> tuple[list, list, list, dict]:
    """Samples, ground truth, ignore regions and options."""
    kind = random.choice((upright_boxes, sixteenths))
    amount = (0, 0, 0, 1, -1) if kind is upright_boxes else (0.0, 0.25, -0.375, 1.75, -1.125)
    truth = kind(random, random.randint(0, 3))
    seen = truth + kind(random, random.randint(0, 2))
    samples = []
    for _ in range(random.randint(1, 6)):
        boxes = [jittered(random, box, amount) for box in seen if random.random() < 0.7]
        boxes += some_boxes(random, 1, [kind])
        random.shuffle(boxes)
        samples.append(boxes)
    options = {} if random.random() < 0.7 else {"match_iou": 0.25, "v0": 0.03}
    return samples, truth, some_boxes(random, 2, [kind], 0), options


def test_box_variance():
    num_compared = num_phantoms = num_repeated = 0
    for random in cases("variance", 1000):
        samples, truth, ignore, options = an_image(random)
        truth = [box for box in truth if reference.box_area(box)]
        try:
            expected = reference.regions(samples, truth, ignore, **options)
        except reference.Ambiguous:
            continue
        found = box_variance(samples, truth, ignore, **options)
        assert len(found) == len(expected)
        for region, row in zip(found, expected, strict=True):
            gt_index, box, hull, support, existence, variance, uncertainty = row
            assert region.gt_index == gt_index
            assert region.kind == ("phantom" if gt_index is None else "object")
            assert region.num_samples == len(samples)
            np.testing.assert_allclose(region.box, box, rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(region.hull, hull, rtol=0, atol=TOLERANCE)
            assert abs(region.support - support) < TOLERANCE
            assert abs(region.existence_variance - existence) < TOLERANCE
            assert (region.box_variance is None) == (variance is None)
            if variance is not None:
                assert region.box_variance == pytest.approx(variance, rel=1e-9, abs=TOLERANCE)
                num_repeated += 1
            assert abs(region.uncertainty - uncertainty) < TOLERANCE
            num_phantoms += gt_index is None
        num_compared += 1
    assert num_compared > 700 and num_phantoms > 1000 and num_repeated > 1000


def test_look_targets():
    for random in cases("targets", 3000):
        hulls = some_boxes(random, 8)
        uncertainty = [level(random) for _ in hulls]
        options = {
            "threshold": random.choice((0.25, 0.5, 1.0)),
            "max_regions": random.randint(1, 9),
        }
        expected = reference.targets(hulls, uncertainty, **options)
        assert look_targets(hulls, uncertainty, **options).tolist() == expected
