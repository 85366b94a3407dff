"""List columns become flat arrays and come back as they were, however they were chunked."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts.columns import BOXES, box_arrays, listed, narrowed, ragged, split_rows


def test_boxes_of_no_rows():
    assert box_arrays(pa.chunked_array([], BOXES)) == []


box = st.tuples(*[st.floats(-100, 100, width=32)] * 4)
rows = st.lists(st.none() | st.lists(box, max_size=3), max_size=6)


@settings(deadline=None)
@given(before=rows, after=rows, skip=st.integers(0, 6))
def test_box_arrays_are_the_rows(before, after, skip):
    # sliced and chunked as a reader gives them
    column = pa.chunked_array([pa.array(before, BOXES), pa.array(after, BOXES)]).slice(skip)
    expected = (before + after)[skip:]
    found = box_arrays(column)
    assert len(found) == len(expected)
    for boxes, row in zip(found, expected, strict=True):
        if row is None:
            assert boxes is None
        else:
            assert boxes.shape == (len(row), 4)
            assert boxes.dtype == np.float64
            np.testing.assert_array_equal(boxes, np.array(row).reshape(-1, 4))


@settings(deadline=None)
@given(rows=st.lists(st.lists(st.integers(0, 9), max_size=3), max_size=5))
def test_lists_come_back_and_narrow_to_what_is_kept(rows):
    values, offsets = ragged(pa.chunked_array([rows], pa.list_(pa.int64())))
    assert listed(values, offsets).to_pylist() == rows
    assert [row.tolist() for row in split_rows(values, offsets)] == rows
    odd = values % 2 == 1
    narrow = listed(values[odd], narrowed(offsets, odd)).to_pylist()
    assert narrow == [[value for value in row if value % 2] for row in rows]
