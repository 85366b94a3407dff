"""Rows about the same image come together, and images that one file lacks are named."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts.aligning import align, by_image, image_rows
from dipr1.errors import UserError


def table(*names: str) -> pa.Table:
    return pa.table({"image_id": pa.array(names, pa.string()), "row": range(len(names))})


@settings(deadline=None)  # the first call of polars is slow
@given(st.permutations(["", "a", "b/c", "é"]))
def test_rows_stand_as_in_the_first_table(names):
    first = table(*names)
    assert align(first, table("", "a", "b/c", "é"), "a", "b")["image_id"].to_pylist() == names


def test_two_empty_tables_align():
    assert align(table(), table(), "a", "b").num_rows == 0


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["b", "a", "b", "b"], r"^B: image 'b' is there more than once \(2 rows too many\); give"),
        (["x", "b", "y"], r"^B: image 'x' is not in A \(2 such images\); give"),
        ([], r"^B: image 'a' of A is missing \(2 such images\); make"),
        (["a"], r"^B: image 'b' of A is missing \(1 such images\); make"),
    ],
)
def test_where_images_differ_one_line_says_which(names, message):
    with pytest.raises(UserError, match=message) as raised:
        align(table("a", "b"), table(*names), "A", "B")
    assert "\n" not in str(raised.value)


many = st.lists(st.sampled_from("abcxy"), max_size=12)


@settings(deadline=None)
@given(many)
def test_rows_of_an_image_are_a_slice_in_their_order(names):
    images = ["c", "a", "b"]
    rows, bounds = by_image(table(*images), table(*names))
    for number, image in enumerate(images):
        expected = [row for row, name in enumerate(names) if name == image]
        part = rows.slice(bounds[number], bounds[number + 1] - bounds[number])
        assert part["row"].to_pylist() == expected
    assert rows.num_rows == sum(name in images for name in names) == bounds[-1]


def test_no_images_have_no_rows():
    rows, bounds = by_image(table(), table("a"))
    assert (rows.num_rows, bounds.tolist()) == (0, [0])


def test_an_image_that_is_there_twice_is_its_first_row():
    assert image_rows(pa.array(["b"]), pa.array(["a", "b", "b"])).tolist() == [1]


def test_chunks_do_not_matter():
    chunked = pa.chunked_array([["a"], [], ["b", "c"]])
    assert image_rows(chunked, chunked).tolist() == [0, 1, 2]
