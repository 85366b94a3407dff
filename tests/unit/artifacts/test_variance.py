"""An annotated object is known in the variance by its place among its image's objects."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.variance import places_of_objects
from dipr1.errors import UserError

IMAGES = pa.table({"image_id": ["a", "b", "c"]})
OFFSETS = np.array([0, 2, 2, 3])  # two objects, none, one


def regions(*gt_index: int | None) -> pa.Table:
    return pa.table({"gt_index": pa.array(gt_index, pa.int32())})


def test_places_count_the_objects_of_all_images():
    rows, places = places_of_objects(
        IMAGES, regions(1, None, 0, None, 0), np.array([0, 3, 4, 5]), OFFSETS
    )
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
        places_of_objects(IMAGES, regions(*gt_index), np.array([0, 3, 4, 5]), OFFSETS)
