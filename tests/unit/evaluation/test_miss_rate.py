"""CrowdHuman's figures by hand-worked cases and against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from benchmarks import plain_evaluators
from dipr1.metrics import (
    average_precision,
    jaccard_index,
    log_average_miss_rate,
)
from tests.unit.evaluation.crowds import NO_DETECTION, NONE, PERSON, random_set, scored

CROWDHUMAN = [average_precision, log_average_miss_rate, jaccard_index]


def test_average_precision_has_no_segment_before_the_first_hit():
    people = np.array([[0.0, 0, 10, 10], [20, 0, 30, 10]])
    found = scored([0, 0, 10, 10, 0.9], [50, 50, 60, 60, 0.8], [20, 0, 30, 10, 0.7])
    # (recall, precision): (1/2, 1), (1/2, 1/2), (1, 2/3); one trapezoid of width 1/2
    assert average_precision([found], [people], [NONE]) == pytest.approx((1 / 2 + 2 / 3) / 4)


def test_iou_of_exactly_the_threshold_does_not_match():
    half = scored([0, 0, 10, 5, 0.9])
    assert log_average_miss_rate([half], [PERSON], [NONE]) == 1.0
    assert jaccard_index([half], [PERSON], [NONE]) == 0.0
    more = scored([0, 0, 10, 5.1, 0.9])
    assert log_average_miss_rate([more], [PERSON], [NONE]) == 0.0
    assert jaccard_index([more], [PERSON], [NONE]) == 1.0


def test_a_person_is_found_once():
    twice = scored([0, 0, 10, 10, 0.95], [0, 0, 10, 9, 0.94])
    assert jaccard_index([twice], [PERSON], [NONE]) == 0.5
    # (recall, precision): (1, 1), (1, 1/2); no width, no area
    assert average_precision([twice], [PERSON], [NONE]) == 0.0


def test_the_likelier_box_takes_the_person_it_overlaps_most():
    people = np.array([[0.0, 0, 10, 10], [0, 2, 10, 12]])
    found = scored([0, 1.5, 10, 11.5, 0.9], [0, 2, 10, 12, 0.8])
    # the first takes the second person (IoU 0.90 > 0.74); what is left overlaps the other by 2/3
    assert log_average_miss_rate([found], [people], [NONE]) == 0.0
    late = scored([0, 1.5, 10, 11.5, 0.9], [0, 4, 10, 14, 0.8])
    assert log_average_miss_rate([late], [people], [NONE]) == pytest.approx(0.5)


def test_miss_rate_is_read_at_the_first_detection_that_reaches_the_fppi():
    people = np.array([[20.0 * k, 0, 20.0 * k + 10, 10] for k in range(4)])
    hit = [[*people[k], 0.9 - 0.1 * k] for k in range(2)]
    found = scored(hit[0], [0, 50, 10, 60, 0.85], hit[1], [0, 70, 10, 80, 0.75])
    # two images: FPPI 0, 0.5, 0.5, 1.0 with misses 3/4, 3/4, 2/4, 2/4; 0.5623 reads the last one
    expected = math.exp((7 * math.log(3 / 4) + 2 * math.log(2 / 4)) / 9)
    rate = log_average_miss_rate([found, NO_DETECTION], [people, NONE], [NONE, NONE])
    assert rate == pytest.approx(expected)


def test_an_ignore_area_swallows_boxes_that_find_nobody():
    found = scored([0, 0, 10, 10, 0.5], [42, 42, 50, 50, 0.9], [44, 44, 52, 52, 0.9])
    area = np.array([[40.0, 40, 60, 60]])
    assert log_average_miss_rate([found], [PERSON], [area]) == 0.0
    assert log_average_miss_rate([found], [PERSON], [NONE]) == 1.0
    assert jaccard_index([found], [PERSON], [area]) == 1.0
    assert jaccard_index([found], [PERSON], [NONE]) == pytest.approx(1 / 3)


def test_a_box_half_in_each_of_two_ignore_areas_still_counts():
    found = scored([0, 0, 10, 10, 0.5], [40, 40, 50, 50, 0.9])
    halves = np.array([[40.0, 40, 45, 50], [45, 40, 50, 50]])
    assert log_average_miss_rate([found], [PERSON], [halves]) == 1.0
    assert jaccard_index([found], [PERSON], [halves]) == 0.5


def test_boxes_beyond_the_border_become_slivers_that_match():
    outside = np.array([[120.0, 0, 140, 50]])
    found = scored([150, 0, 190, 50, 0.9])
    sizes = np.array([[100, 100]])
    assert log_average_miss_rate([found], [outside], [NONE], sizes) == 0.0
    assert log_average_miss_rate([found], [outside], [NONE]) == 1.0


def test_crowdhuman_without_detections():
    boxes = [NO_DETECTION], [PERSON], [NONE]
    assert average_precision(*boxes) == 0.0
    assert log_average_miss_rate(*boxes) == 1.0
    assert jaccard_index(*boxes) == 0.0


@pytest.mark.parametrize("metric", CROWDHUMAN)
def test_crowdhuman_of_nothing_at_all_is_undefined(metric):
    assert math.isnan(metric([NO_DETECTION], [NONE], [NONE]))
    assert math.isnan(metric([], [], []))


@pytest.mark.parametrize("metric", CROWDHUMAN)
def test_the_order_of_the_images_does_not_matter_where_scores_differ(metric):
    rng = np.random.default_rng(5)
    boxes = random_set(9)
    for found in boxes[0]:
        found[:, 4] = rng.random(len(found))
    order = rng.permutation(len(boxes[0]))
    shuffled = [[part[index] for index in order] for part in boxes]
    assert metric(*shuffled) == pytest.approx(metric(*boxes), abs=1e-12)


@pytest.mark.parametrize("seed", range(6))
def test_crowdhuman_equals_plain_loops(seed):
    boxes = [*random_set(seed), np.tile([[280.0, 290.0]], (30, 1))]
    expected = plain_evaluators.crowdhuman_ap_mr(*boxes)
    assert average_precision(*boxes) == pytest.approx(expected[0], abs=1e-12)
    assert log_average_miss_rate(*boxes) == pytest.approx(expected[1], abs=1e-12)
