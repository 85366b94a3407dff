"""Which boxes are objects to be found, in the order that names them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS, objects_and_areas


@pytest.fixture
def annotations():
    rows = [
        {"labels": ["a", "b", "a"], "ignore": [False, True, True]},
        {"labels": [], "ignore": []},
        {"labels": ["b"], "ignore": [False]},
    ]
    return pa.Table.from_pylist(rows, ANNOTATIONS.schema)


@pytest.mark.parametrize(
    ("labels", "objects", "areas"),
    [(None, [0, 3], [1, 2]), (["a"], [0], [2]), (["b", "c"], [3], [1]), ([], [], [])],
)
def test_ignored_boxes_and_other_labels_are_no_objects(annotations, labels, objects, areas):
    masks = objects_and_areas(annotations, labels)
    assert [np.flatnonzero(mask).tolist() for mask in masks] == [objects, areas]


def test_of_no_images_there_are_none():
    masks = objects_and_areas(ANNOTATIONS.schema.empty_table(), ["a"])
    assert [mask.tolist() for mask in masks] == [[], []]


def test_an_area_without_a_label_is_ignored_whatever_is_asked_for():
    row = {"labels": ["", "a"], "ignore": [True, True]}
    areas = objects_and_areas(pa.Table.from_pylist([row], ANNOTATIONS.schema), ["b"])[1]
    assert areas.tolist() == [True, False]
