"""Which boxes of an answer are right, without a score."""

from __future__ import annotations

from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.evaluation.answers import judge
from tests.unit.evaluation.crowds import PERSON


def test_judge_matches_as_many_pairs_as_possible():
    people = [[0, 0, 10, 10], [0, 2, 10, 12]]
    # greedily the first box would take the second person and leave the second box none
    judged = judge([[0, 1.5, 10, 11.5], [0, 5, 10, 15]], people, [])[0]
    assert judged.matched.all()
    assert judged.found.all()


def test_judge_ignores_only_boxes_that_find_nobody():
    judged = judge([[0, 0, 10, 10], [1, 1, 11, 11], [30, 30, 40, 40]], PERSON, [[0, 0, 20, 20]])[0]
    assert judged.matched.tolist() == [True, False, False]
    assert judged.ignored.tolist() == [False, True, False]
    assert judged.num_counted == 2


def test_judge_matches_within_a_label_only():
    judged = judge([[0, 0, 10, 10]], PERSON, [], ["car"], ["person"])[0]
    assert not judged.matched.any()
    assert not judged.found.any()


def test_judge_ignores_by_label():
    boxes, labels = [[50, 50, 60, 60]] * 3, ["car", "person", None]
    for of_area, ignored in (("car", [True, False, False]), (ANY_LABEL, [True] * 3)):
        judged = judge(boxes, PERSON, [[40, 40, 80, 80]], labels, ["person"], [of_area])[0]
        assert judged.ignored.tolist() == ignored
