"""The detection metrics by hand-worked cases, against pycocotools and against plain loops."""

from __future__ import annotations

import contextlib
import io
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linear_sum_assignment

from benchmarks import plain_evaluators
from dipr1.boxes import ioa, iou
from dipr1.evaluation.answers import answer_metrics, judge
from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import SCORE_THRESHOLDS, jaccard_counts, jaccard_of
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.ranked import (
    coco_ap,
    crowdhuman_ap,
    log_average_miss_rate_of,
    recall_of,
    voc_ap,
)
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
from dipr1.metrics import (
    average_precision,
    coco_metrics,
    jaccard_index,
    log_average_miss_rate,
)

NONE = np.empty((0, 4))
NO_DETECTION = np.empty((0, 5))
PERSON = np.array([[0.0, 0.0, 10.0, 10.0]])
CROWDHUMAN = [average_precision, log_average_miss_rate, jaccard_index]


def scored(*rows: list[float]) -> np.ndarray:
    return np.array(rows, float).reshape(-1, 5)


def random_set(seed: int, num_images: int = 30) -> tuple[list, list, list]:
    """Detections near and far from people, with equal scores among them, and ignore areas."""
    rng = np.random.default_rng(seed)
    detections, ground_truth, ignore = [], [], []
    for _ in range(num_images):
        corners = rng.uniform(0, 300, (rng.integers(0, 9), 2))
        people = np.hstack([corners, corners + rng.uniform(10, 80, corners.shape)])
        near = people.repeat(2, axis=0) + rng.normal(0, 4, (2 * len(people), 4))
        corners = rng.uniform(0, 300, (rng.integers(0, 6), 2))
        far = np.hstack([corners, corners + rng.uniform(10, 80, corners.shape)])
        boxes = np.vstack([near, far])
        boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(axis=1)]
        scores = rng.integers(0, 12, len(boxes)) / 12
        detections.append(np.column_stack([boxes, scores]))
        corners = rng.uniform(0, 250, (rng.integers(0, 3), 2))
        ground_truth.append(people)
        ignore.append(np.hstack([corners, corners + rng.uniform(50, 150, corners.shape)]))
    return detections, ground_truth, ignore


def pycocotools_metrics(detections: list, ground_truth: list, ignore: list) -> list[float]:
    """AP, AP50, AP75 and AR of the reference implementation."""
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    annotations, results = [], []
    for image_id, (found, people, areas) in enumerate(
        zip(detections, ground_truth, ignore, strict=True), start=1
    ):
        for crowd, boxes in ((0, people), (1, areas)):
            for x1, y1, x2, y2 in boxes:
                annotations.append(
                    {
                        "id": len(annotations) + 1,
                        "image_id": image_id,
                        "category_id": 1,
                        "bbox": [x1, y1, x2 - x1, y2 - y1],
                        "area": (x2 - x1) * (y2 - y1),
                        "iscrowd": crowd,
                    }
                )
        for x1, y1, x2, y2, score in found:
            box = [x1, y1, x2 - x1, y2 - y1]
            results.append({"image_id": image_id, "category_id": 1, "bbox": box, "score": score})
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {
            "info": {},
            "images": [{"id": image_id + 1} for image_id in range(len(detections))],
            "annotations": annotations,
            "categories": [{"id": 1}],
        }
        truth.createIndex()
        evaluator = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluator.params.maxDets = [1, 10, 1000]
        evaluator.evaluate()
        evaluator.accumulate()
    precision = evaluator.eval["precision"][:, :, 0, 0, -1]
    recall = evaluator.eval["recall"][:, 0, 0, -1]
    return [precision.mean(), precision[0].mean(), precision[5].mean(), recall.mean()]


# --- COCO -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", range(4))
def test_coco_equals_pycocotools(seed):
    boxes = random_set(seed)
    assert list(coco_metrics(*boxes).values()) == pytest.approx(
        pycocotools_metrics(*boxes), abs=1e-12
    )


def test_coco_counts_boxes_beyond_the_hundredth():
    people = np.array([[20.0 * k, 0, 20.0 * k + 10, 10] for k in range(150)])
    found = np.column_stack([people, np.linspace(1, 0.1, 150)])
    assert coco_metrics([found], [people], [NONE])["AR"] == 1.0
    assert coco_metrics([found], [people], [NONE])["AP"] == 1.0


def test_coco_without_detections_is_zero():
    assert set(coco_metrics([NO_DETECTION], [PERSON], [NONE]).values()) == {0.0}


@pytest.mark.parametrize("found", [NO_DETECTION, scored([0, 0, 5, 5, 0.5])])
def test_coco_with_nobody_to_find_is_undefined(found):
    assert all(math.isnan(value) for value in coco_metrics([found], [NONE], [NONE]).values())


def test_coco_counts_an_image_without_people_when_something_is_found_in_it():
    clean = coco_metrics([scored([0, 0, 10, 10, 0.5]), NO_DETECTION], [PERSON, NONE], [NONE, NONE])
    wrong = coco_metrics(
        [scored([0, 0, 10, 10, 0.5]), scored([0, 0, 9, 9, 0.9])], [PERSON, NONE], [NONE, NONE]
    )
    assert clean["AP"] == 1.0
    assert wrong["AP"] == pytest.approx(0.5)


def test_coco_ignore_area_swallows_every_detection_in_it():
    found = scored([50, 50, 60, 60, 0.9], [55, 55, 65, 65, 0.8], [0, 0, 10, 10, 0.5])
    area = np.array([[40.0, 40, 80, 80]])
    assert coco_metrics([found], [PERSON], [area])["AP"] == pytest.approx(1.0)
    assert coco_metrics([found], [PERSON], [NONE])["AP"] == pytest.approx(1 / 3)


@pytest.mark.parametrize("wrong", [[5, 5, 5, 9], [9, 9, 1, 1], [math.nan] * 4, [0, 0, math.inf, 5]])
def test_coco_box_without_an_area_is_a_false_positive(wrong):
    found = scored([*wrong, 0.9], [0, 0, 10, 10, 0.5])
    assert coco_metrics([found], [PERSON], [NONE])["AP"] == pytest.approx(0.5)


def test_coco_box_without_an_area_lies_in_no_ignore_area():
    found = scored([5, 5, 5, 9, 0.9], [0, 0, 10, 10, 0.5])
    everything = np.array([[-100.0, -100, 100, 100]])
    assert coco_metrics([found], [PERSON], [everything])["AP"] == pytest.approx(0.5)


# --- CrowdHuman -----------------------------------------------------------------------------------


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


def test_jaccard_index_takes_boxes_strictly_above_the_score_threshold():
    # at threshold 0.8 only the first box is left
    twice = scored([0, 0, 10, 10, 0.9], [0, 0, 10, 9, 0.8])
    assert jaccard_index([twice], [PERSON], [NONE]) == 1.0


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


# --- resamples ------------------------------------------------------------------------------------

OF_RANKED = [crowdhuman_ap, log_average_miss_rate_of, coco_ap, voc_ap, recall_of]


def resample(seed: int) -> tuple[list, np.ndarray, list]:
    """Images with many equal scores, how often each is drawn, and the drawn images."""
    boxes = random_set(seed, 12)
    weights = np.random.default_rng(seed).integers(0, 4, 12)
    drawn = np.repeat(np.arange(12), weights)
    return boxes, weights, [[part[index] for index in drawn] for part in boxes]


@pytest.mark.parametrize("metric", OF_RANKED)
@pytest.mark.parametrize("seed", range(5))
def test_a_resample_equals_the_images_repeated(metric, seed):
    boxes, weights, drawn = resample(seed)
    for ranked, again in (
        (crowdhuman_ranked(*boxes), crowdhuman_ranked(*drawn)),
        (coco_ranked(*boxes)[3], coco_ranked(*drawn)[3]),
    ):
        assert len(set(ranked.score.tolist())) < len(ranked.score) / 2
        assert metric(ranked, weights) == pytest.approx(metric(again), abs=1e-12)
        assert metric(ranked, np.ones(12, int)) == metric(ranked)


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_of_the_jaccard_index_equals_the_images_repeated(seed):
    boxes, weights, drawn = resample(seed)
    value = jaccard_of(jaccard_counts(*boxes), weights)
    assert value == pytest.approx(jaccard_index(*drawn), abs=1e-12)


@pytest.mark.parametrize("metric", OF_RANKED)
def test_a_resample_without_objects_is_undefined(metric):
    ranked = crowdhuman_ranked(
        [scored([0, 0, 9, 9, 0.5]), NO_DETECTION], [NONE, PERSON], [NONE] * 2
    )
    assert not math.isnan(metric(ranked))
    assert math.isnan(metric(ranked, np.array([2, 0])))


def test_a_resample_of_no_image_is_undefined():
    assert math.isnan(jaccard_of(jaccard_counts([NO_DETECTION], [PERSON], [NONE]), np.array([0])))


# --- matching of all images at once ---------------------------------------------------------------


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


# --- the answer as it is --------------------------------------------------------------------------


def test_judge_matches_as_many_pairs_as_possible():
    people = [[0, 0, 10, 10], [0, 2, 10, 12]]
    # greedily the first box would take the second person and leave the second box none
    judged = judge([[0, 1.5, 10, 11.5], [0, 5, 10, 15]], people, [])
    assert judged.matched.all()
    assert judged.found.all()


def test_judge_ignores_only_boxes_that_find_nobody():
    judged = judge([[0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40]], PERSON, [[0, 0, 20, 20]])
    assert judged.matched.tolist() == [True, False, False]
    assert judged.ignored.tolist() == [False, True, False]
    assert judged.num_counted == 2


def test_judge_matches_within_a_label_only():
    judged = judge([[0, 0, 10, 10]], PERSON, [], ["car"], ["person"])
    assert not judged.matched.any()
    assert not judged.found.any()


def test_answer_metrics_by_hand():
    images = [
        judge([[0, 0, 10, 10], [50, 50, 60, 60]], PERSON, []),  # 1 hit, 1 false
        judge([], [[0, 0, 10, 10], [20, 0, 30, 10]], []),  # 2 missed
        judge([[5, 5, 6, 6]], [], [[0, 0, 9, 9]]),  # 1 ignored
    ]
    assert answer_metrics(images) == {
        "precision50": 1 / 2,
        "recall50": 1 / 3,
        "f1_50": 2 / 5,
        "count_error": (1 + 2 + 0) / 3,
    }


def test_answer_metrics_of_nothing_are_undefined():
    values = answer_metrics([judge([], [], [])])
    assert math.isnan(values["precision50"])
    assert math.isnan(values["recall50"])
    assert math.isnan(values["f1_50"])
    assert values["count_error"] == 0.0
