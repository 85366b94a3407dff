"""An annotated object is known in the variance by its place among its image's objects."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.variance import RegionsByImage, places_of_objects, regions_by_image
from dipr1.errors import UserError

IMAGES = pa.table({"image_id": ["a", "b", "c"]})
OFFSETS = np.array([0, 2, 2, 3])  # two objects, none, one


def regions(*gt_index: int | None) -> RegionsByImage:
    rows = pa.table({"gt_index": pa.array(gt_index, pa.int32())})
    return RegionsByImage(rows, np.array([0, 3, 4, 5]), np.array([True] * 3))


def test_places_count_the_objects_of_all_images():
    rows, places = places_of_objects(IMAGES, regions(1, None, 0, None, 0), OFFSETS)
    assert rows.tolist() == [0, 2, 4]
    assert places.tolist() == [1, 0, 2]


@pytest.mark.parametrize(
    ("gt_index", "message"),
    [
        ([0, None, None, None, 0], "image 'a': 2 objects are annotated but the variance has 1"),
        ([0, 1, None, 0, 0], "image 'b': 0 objects are annotated but the variance has 1"),
        ([0, 1, None, None, 1], "image 'c': 1 objects are annotated but the variance has 1, or"),
    ],
)
def test_the_variance_of_other_boxes_is_refused(gt_index, message):
    with pytest.raises(UserError, match=message):
        places_of_objects(IMAGES, regions(*gt_index), OFFSETS)


def test_images_without_statistics_are_told_from_those_without_regions():
    variance = pa.table({"image_id": ["a", "c"], "region": pa.array([None, 0], pa.int32())})
    variance = variance.append_column("gt_index", pa.array([None, 0], pa.int32()))
    found = regions_by_image(IMAGES, variance)
    assert found.measured.tolist() == [False, True, True]
    assert found.bounds.tolist() == [0, 0, 0, 1]
    rows, places = places_of_objects(IMAGES, found, OFFSETS)
    assert (rows.tolist(), places.tolist()) == ([0], [2])
