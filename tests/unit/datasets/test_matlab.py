"""The `.mat` reader beside scipy's, and on damaged files."""

from __future__ import annotations

import io
import random

import numpy as np
import pytest
from scipy.io import savemat

from dipr1.datasets.matlab import read_matlab
from tests.unit.mutations import mutated


def saved(variables: dict, **options: object) -> bytes:
    file = io.BytesIO()
    savemat(file, variables, **options)
    return file.getvalue()


def cells(*values: object) -> np.ndarray:
    array = np.empty((1, len(values)), object)
    for column, value in enumerate(values):
        array[0, column] = value
    return array


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    "kind", ["u1", "i1", "u2", "i2", "u4", "i4", "u8", "i8", "f4", "f8", ">u2", ">f8"]
)
@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (0, 10), (2, 3, 4)])
def test_numbers_keep_type_shape_and_order(kind, shape, compressed):
    values = np.arange(np.prod(shape)).reshape(shape).astype(kind)
    found = read_matlab(saved({"x": values}, do_compression=compressed))["x"]
    assert found.dtype == values.dtype.newbyteorder("=")
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("text", ["a", "frankfurt_000000_000294_leftImg8bit.png", "Zürich", "東京"])
def test_texts(text):
    assert read_matlab(saved({"x": text})) == {"x": text}


def test_cells_and_structures_nest():
    found = read_matlab(saved({"x": cells({"name": "a", "more": cells("b", 7)}, "c"), "y": 2.5}))
    (first, second) = found["x"]
    assert second == "c" and found["y"] == 2.5
    assert first[0]["name"] == "a"
    assert first[0]["more"][0] == "b" and first[0]["more"][1] == 7


def test_a_structure_array_is_a_list():
    array = np.zeros((1, 3), [("a", object), ("b", object)])
    for index in range(3):
        array[0, index] = (index, "text")
    found = read_matlab(saved({"x": array}))["x"]
    assert [(row["a"].item(), row["b"]) for row in found] == [
        (0, "text"),
        (1, "text"),
        (2, "text"),
    ]


def test_other_files_and_parts_of_files_are_refused():
    whole = saved({"x": np.arange(100.0)})
    for content in (b"", b"MATLAB", b"PK" + whole, whole[:-8], whole[:140]):
        with pytest.raises(ValueError, match=r"no header|cut short"):
            read_matlab(content)
    with pytest.raises(ValueError, match="version 7.3 is another format"):
        read_matlab(b"MATLAB 7.3 MAT-file" + whole[19:])
    compressed = saved({"x": np.arange(100.0)}, do_compression=True)
    with pytest.raises(ValueError, match="cut short"):
        read_matlab(compressed[:-50])


def test_a_damaged_file_only_ever_raises_value_error():
    rng = random.Random(0)
    whole = saved({"x": cells({"name": "a", "boxes": np.ones((3, 10))}, "c")})
    read = 0
    for _ in range(1000):
        try:
            read_matlab(mutated(whole, rng))
            read += 1
        except ValueError as error:
            assert "\n" not in str(error)
    assert read > 50
