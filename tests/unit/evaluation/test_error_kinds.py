"""What is wrong with false boxes, and why objects were missed, by hand."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.evaluation.answers import judge
from dipr1.evaluation.error_kinds import FALSE, MISSED, false_kinds, missed_kinds

PERSON, OTHER = [0, 0, 10, 20], [100, 0, 110, 20]


@pytest.mark.parametrize(
    ("box", "label", "kind"),
    [
        ([0, 0, 10, 20], "person", "duplicate"),  # it would be, if another box had found them
        ([0, 0, 10, 20], "rider", "classification"),
        ([0, 0, 10, 60], "person", "localisation"),  # IoU 1/3
        ([0, 0, 10, 60], "rider", "background"),
        ([50, 50, 60, 70], "person", "background"),
        ([9, 0, 19, 20], "person", "background"),  # IoU 1/19
        ([0, 0, 10, np.inf], "person", "background"),
        ([0, 0, 10, 20], None, "classification"),  # no label is not theirs
    ],
)
def test_a_false_box_is_of_the_first_kind_that_it_fits(box, label, kind):
    [found] = false_kinds(np.array([box], float), [label], np.array([PERSON]), ["person"])
    assert FALSE[found] == kind


def test_without_boxes_or_objects_there_is_nothing_or_background():
    nothing = np.empty((0, 4))
    assert len(false_kinds(nothing, [], np.array([PERSON]), ["person"])) == 0
    assert FALSE[false_kinds(np.array([PERSON], float), ["person"], nothing, [])[0]] == "background"


def kinds(boxes: list, objects: list, cut_off: bool = False) -> list[str]:
    """What the missed ones of these are."""
    boxes, objects = np.array(boxes, float).reshape(-1, 4), np.array(objects, float).reshape(-1, 4)
    labels, names = ["person"] * len(boxes), ["person"] * len(objects)
    [judged] = judge(boxes, objects, [], labels, names)
    given = boxes, labels, objects, names
    found = missed_kinds(*given, judged, false_kinds(*given), cut_off=cut_off)
    return [MISSED[kind] for kind, there in zip(found, judged.found, strict=True) if not there]


def test_a_missed_object_is_of_the_first_kind_that_it_fits():
    assert kinds([], [PERSON]) == ["unseen"]
    assert kinds([], [PERSON, OTHER], cut_off=True) == ["cut_off"] * 2
    assert kinds([PERSON], [PERSON, OTHER]) == ["unseen"]
    assert kinds([[0, 0, 10, 60]], [PERSON]) == ["misplaced"]
    # one box around both of them
    neighbour = [12, 0, 22, 20]
    assert kinds([[0, 0, 40, 40]], [PERSON, neighbour]) == ["merged"] * 2
    # the first one's box is said twice, and half of it lies on the neighbour
    half = [5, 0, 15, 20]
    assert kinds([PERSON, PERSON], [PERSON, half]) == ["repeated"]
    assert kinds([PERSON], [PERSON, half]) == ["unseen"]


def test_boxes_in_ignore_areas_are_no_reason():
    boxes, objects = np.array([[0.0, 0, 10, 60]]), np.array([PERSON], float)
    [judged] = judge(boxes, objects, [[0, 0, 50, 100]], ["person"], ["person"])
    given = boxes, ["person"], objects, ["person"]
    [kind] = missed_kinds(*given, judged, false_kinds(*given), cut_off=False)
    assert MISSED[kind] == "unseen"
