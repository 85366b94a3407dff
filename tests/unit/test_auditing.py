from __future__ import annotations

import math

import numpy as np
import pytest

from dipr1.auditing import (
    KINDS,
    AuditedRegions,
    Doubts,
    doubt,
    likely_faults,
    measure_against_labels,
    rank_images,
)
from dipr1.boxes import iou, stacked
from dipr1.regions import Block

SIDE = 1000


def regions_of(
    samples: list[list], truth: list[list], names: list[list] | None = None, truth_names: list = ()
) -> tuple[AuditedRegions, Doubts]:
    """The regions of images, and the doubts; `samples` are one list of answers per image.

    `names` are those of the boxes, in the same lists, and `truth_names` those of all labels.
    """
    given = names or [[[0] * len(answer) for answer in answers] for answers in samples]
    turns = [
        (turn, image, box, name)
        for image, answers in enumerate(samples)
        for turn, answer in enumerate(answers)
        for box, name in zip(answer, given[image][turn], strict=True)
    ]
    turns.sort(key=lambda row: row[:2])
    people = [(image, box) for image, boxes in enumerate(truth) for box in boxes]
    block = Block(
        boxes=stacked(
            [box for _, _, box, _ in turns], np.array([image for _, image, _, _ in turns], int)
        ),
        turn=np.array([turn for turn, *_ in turns], dtype=int),
        truth=stacked([box for _, box in people], np.array([image for image, _ in people], int)),
        ignore=stacked([]),
        num_samples=np.array([len(answers) for answers in samples]),
        names=None if names is None else np.array([name for *_, name in turns], int),
        truth_names=None if names is None else np.array(truth_names, int),
    )
    regions = measure_against_labels(block, 0.5, 0.01)
    return regions, doubt(regions, np.full((len(samples), 2), SIDE), match_iou=0.5, v0=0.01)


def judged(samples: list[list], truth: list[list]) -> list[tuple[str, float]]:
    """Kind and score of each region."""
    _, doubts = regions_of(samples, truth)
    return [(KINDS[k], s) for k, s in zip(doubts.kind, doubts.score.tolist(), strict=True)]


def person(x: float, y: float = 0.0, width: float = 20.0, height: float = 40.0) -> list[float]:
    return [x, y, x + width, y + height]


A, B, C, D = (person(x) for x in (0, 100, 200, 300))
CERTAIN = ("uncertain", pytest.approx(4 * (8.5 / 9) * (0.5 / 9) / 2))


# --- the scores ----------------------------------------------------------------------------------


def test_nothing_to_judge():
    assert judged([], []) == []
    assert judged([[[], []]], [[]]) == []


def test_a_place_always_found_and_never_labelled():
    # Of the four places that are always found three are labelled.
    found = judged([[[A, B, C, D]] * 8], [[A, B, C]])
    assert found == [CERTAIN] * 3 + [("missing_label", 0.75)]


def test_a_place_found_now_and_then_is_only_uncertain():
    # Found as often or more: A, B, and the place itself, which is not labelled.
    found = judged([[[A, B, D]] * 4 + [[A, B]] * 4], [[A, B]])
    assert found[2] == ("uncertain", 0.5)


def test_a_second_box_on_a_labelled_person_is_no_missing_label():
    double = person(2)
    found = judged([[[A, B, double]] * 8], [[A, B]])
    assert found[2] == ("missing_label", pytest.approx(2 / 3 * (1 - iou([A], [double])[0, 0])))
    assert found[2][1] < 0.2


def test_a_label_never_found_among_labels_that_are():
    # Two of three labels of this size are found more often; the image's others as is usual:
    # 2 found where 4 / 3 are usual.
    found = judged([[[A, B]] * 8], [[A, B, C]])
    assert found == [CERTAIN] * 2 + [("unsupported_label", pytest.approx(2 / 3))]


def test_a_label_on_an_image_where_nothing_is_found_is_trusted():
    truth = [[A, B, C]] * 4
    found = judged([[[A, B, C]] * 8] * 3 + [[[]] * 8], truth)
    assert {kind for kind, _ in found[9:]} == {"unsupported_label"}
    # 3 of 4 labels are found more often, and of the two others none where 1.5 are usual.
    assert found[9][1] == pytest.approx(0.75 * 0.5 / (1.5 + 0.5))
    assert found[9][1] < 0.2


def test_small_people_that_are_never_found_are_not_suspected():
    rng = np.random.default_rng(0)
    truth, samples = [], []
    for _ in range(60):
        large = [person(200 * k, 0, 90 + rng.random(), 200) for k in range(4)]
        small = [person(200 * k, 500, 5 + rng.random(), 10) for k in range(4)]
        truth.append(large + small)
        samples.append([large] * 8)
    samples[7] = [truth[7][1:4]] * 8
    found = judged(samples, truth)
    best = max(range(len(found)), key=lambda row: found[row][1])
    assert (best, found[best][0]) == (7 * 8, "unsupported_label")
    assert found[best][1] > 0.9
    # One class of sizes holds small and large people; in no other a small one is suspected.
    others = [score for row, (_, score) in enumerate(found) if row != best]
    assert max(others) < 0.5
    assert np.mean(np.array(others) >= 0.3) < 0.1


def test_a_label_at_other_borders_than_those_found():
    # Three labels are met exactly, so the usual IoU is 1; the fourth is met by IoU 0.6.
    loose = person(300, 0, 20, 24)
    found = judged([[[A, B, C, loose]] * 8], [[A, B, C, D]])
    assert found[3] == ("loose_label", pytest.approx((1 - 0.6) / (1 - 0.5)))
    # Where the found borders do not agree with each other, they say nothing about the label.
    moved = [person(300 + shift, 0, 20, 24) for shift in (-1, 1)] * 4
    variance = 2 * np.var([-1, 1] * 4, ddof=1) / 20**2 / 4
    kind, score = judged([[[A, B, C, box] for box in moved]], [[A, B, C, D]])[3]
    assert kind == "loose_label"
    assert score == pytest.approx(math.exp(-variance / 0.01) * (1 - 0.6) / (1 - 0.5))


CAR, VAN, BUS = 0, 1, 2


def test_a_label_that_is_answered_under_another_name():
    # D, labelled a van, is called a bus twice, a car five times, and once nothing at all.
    said = [[CAR, CAR, CAR, name] for name in (BUS, CAR, CAR, -1, CAR, BUS, CAR, CAR)]
    regions, doubts = regions_of([[[A, B, C, D]] * 8], [[A, B, C, D]], [said], [CAR, CAR, CAR, VAN])
    assert [KINDS[kind] for kind in doubts.kind] == ["uncertain"] * 3 + ["swapped_label"]
    assert (doubts.score[3], regions.answered_share[3]) == (5 / 8, 5 / 8)
    assert regions.name.tolist() == [CAR, CAR, CAR, VAN]
    assert regions.answered_name.tolist() == [-1, -1, -1, CAR]


def test_a_name_that_is_always_another_one_is_held_against_no_label():
    # Of two other vans, one is called a car by half of the answers, and one by all.
    said = [[VAN if turn % 2 else CAR, CAR, CAR] for turn in range(8)]
    regions, doubts = regions_of([[[A, B, C]] * 8], [[A, B, C]], [said], [VAN] * 3)
    np.testing.assert_allclose(doubts.score[1:], 1 - 1.5 / 2)
    # the first one is the least in doubt, and being uncertain counts for no more
    assert regions.answered_share.tolist() == [0.5, 1.0, 1.0]
    assert doubts.score[0] == pytest.approx(4 * (8.5 / 9) * (0.5 / 9) / 2)


def test_a_missing_label_has_the_name_that_most_give_it():
    said = [[CAR, VAN, BUS if turn < 3 else VAN] for turn in range(8)]
    regions, _ = regions_of([[[A, B, C]] * 8], [[A, B]], [said], [CAR, VAN])
    assert (regions.name.tolist(), regions.answered_name.tolist()) == (
        [CAR, VAN, -1],
        [-1, -1, VAN],
    )


def test_a_set_without_labels_has_uncertain_places_only():
    assert judged([[[A]] * 4 + [[]] * 4], [[]]) == [("uncertain", 0.5)]


def test_scores_lie_between_0_and_1():
    samples, truth, _, _ = planted_crowds(1, num_images=40, found=0.5)
    scores = [score for _, score in judged(samples, truth)]
    assert min(scores) >= 0.0
    assert max(scores) <= 1.0


# --- the rankings --------------------------------------------------------------------------------


def test_equal_suspects_come_in_order_and_as_many_as_wanted():
    regions, doubts = regions_of([[[A, B]] * 8] * 3, [[A, B, C]] * 3)
    rows = likely_faults(doubts, 100)
    assert (regions.image[rows].tolist(), regions.region[rows].tolist()) == ([0, 1, 2], [2, 2, 2])
    assert likely_faults(doubts, 2).tolist() == rows[:2].tolist()
    assert likely_faults(doubts, 0).tolist() == []


def test_only_the_chosen_images_are_ranked_and_equal_ones_in_their_order():
    samples, truth = [[[A, B]] * 8] * 3, [[A, B]] * 3
    regions, doubts = regions_of([*samples, [[]] * 8], [*truth, []])
    ranked = rank_images(regions, doubts, np.array([3, 2, 0]))
    assert ranked.image.tolist() == [2, 0, 3]
    assert ranked.num_objects.tolist() == [2, 2, 0]
    assert np.isnan(ranked.mean_uncertainty).tolist() == [False, False, True]
    assert np.isnan(ranked.max_uncertainty).tolist() == [False, False, True]
    assert len(rank_images(regions, doubts, np.empty(0, dtype=int)).image) == 0


# --- planted errors ------------------------------------------------------------------------------


def planted_crowds(seed: int, num_images: int, found: float):
    """Samples of a detector, labels with 5 % removed and 5 % added, and which those are."""
    rng = np.random.default_rng(seed)
    samples, labels, removed, added = [], [], [], []
    for _ in range(num_images):
        heights = rng.uniform(60, 300, rng.integers(8, 25))
        sizes = np.stack([heights * 0.4, heights], axis=1)
        corners = rng.uniform(0, 1, sizes.shape) * (SIDE - sizes)
        people = np.hstack([corners, corners + sizes])
        answers = []
        for _ in range(8):
            boxes = people[rng.random(len(people)) < found]
            boxes = boxes + rng.normal(0, 0.03, boxes.shape) * np.tile(
                boxes[:, 2:] - boxes[:, :2], 2
            )
            corner = rng.uniform(0, SIDE - 100, (rng.integers(0, 3), 2))
            answers.append(np.vstack([boxes, np.hstack([corner, corner + 60])]).clip(0, SIDE))
        gone = rng.random(len(people)) < 0.05
        corner = rng.uniform(0, SIDE - 300, (rng.binomial(len(people), 0.05), 2))
        new = np.hstack([corner, corner + rng.uniform(60, 300, (len(corner), 1)) * [0.4, 1.0]])
        samples.append(answers)
        labels.append(np.vstack([people[~gone], new]))
        removed.append(people[gone])
        added.append(range(int((~gone).sum()), len(labels[-1])))
    return samples, labels, removed, added
