"""Artifacts are whole or absent, fit their schema, and are the same bytes each time."""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts import ROW_GROUP_ROWS, artifact_named, artifact_names
from dipr1.artifacts.columns import BOXES, box_arrays
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.writing import MARK, whole
from dipr1.errors import UserError


def metrics(num_rows=2):
    return pa.table(
        {
            "name": [f"m{row}" for row in range(num_rows)],
            "value": np.arange(num_rows) / 7,
            "score": ["confidence"] * num_rows,
        }
    )


def test_whole_renames_a_file_when_it_is_complete(tmp_path):
    target = tmp_path / "new" / "a.txt"
    with whole(target) as part:
        part.write_text("x")
        assert part.parent == target.parent
        assert part.suffix == ".txt"
        assert not target.exists()
    assert target.read_text() == "x"
    assert list(target.parent.iterdir()) == [target]


def test_whole_leaves_nothing_of_a_failure_and_keeps_what_was(tmp_path):
    target = tmp_path / "a.txt"
    target.write_text("before")
    with pytest.raises(RuntimeError), whole(target) as part:
        part.write_text("half")
        raise RuntimeError
    assert target.read_text() == "before"
    assert list(tmp_path.iterdir()) == [target]


def test_whole_replaces_a_folder(tmp_path):
    target = tmp_path / "folder"
    for name in ("first", "second"):
        with whole(target) as part:
            part.mkdir()
            (part / name).write_text(name)
    assert sorted(path.name for path in target.iterdir()) == [MARK, "second"]
    with pytest.raises(RuntimeError), whole(target) as part:
        part.mkdir()
        raise RuntimeError
    assert list(tmp_path.iterdir()) == [target]


def test_the_same_table_is_the_same_bytes(tmp_path):
    METRICS.write(metrics(), tmp_path / "a.parquet")
    # built in two chunks, with columns in another order and a narrower type
    other = pa.concat_tables([metrics().slice(0, 1), metrics().slice(1)])
    other = other.select(["value", "name", "score"])
    METRICS.write(other, tmp_path / "b.parquet")
    assert (tmp_path / "a.parquet").read_bytes() == (tmp_path / "b.parquet").read_bytes()


def test_row_groups_do_not_depend_on_how_the_table_was_built(tmp_path):
    METRICS.write(metrics(ROW_GROUP_ROWS + 1), tmp_path / "a.parquet")
    file = pq.ParquetFile(tmp_path / "a.parquet")
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [
        ROW_GROUP_ROWS,
        1,
    ]


@pytest.mark.parametrize("name", artifact_names())
def test_an_empty_artifact_of_every_kind_opens(tmp_path, name):
    file = tmp_path / "empty.parquet"
    artifact = artifact_named(name)
    artifact.write(artifact.schema.empty_table(), file)
    assert artifact.read(file).schema == artifact.schema
    assert pl.read_parquet(file).height == 0


def test_what_does_not_fit_the_schema_is_not_written(tmp_path):
    wrong = pa.table({"name": ["a"], "value": ["not a number"], "score": ["order"]})
    with pytest.raises(pa.ArrowInvalid):
        METRICS.write(wrong, tmp_path / "a.parquet")
    assert list(tmp_path.iterdir()) == []


def test_reading_what_is_no_artifact_is_one_line(tmp_path):
    with pytest.raises(UserError, match="no such file; it should be a metrics artifact"):
        METRICS.read(tmp_path / "absent.parquet")
    text = tmp_path / "text.parquet"
    text.write_text("hello, this is not Parquet at all")
    with pytest.raises(UserError, match="not a Parquet file") as raised:
        METRICS.read(text)
    assert "\n" not in str(raised.value)
    METRICS.write(metrics(), tmp_path / "m.parquet")
    with pytest.raises(UserError, match="column 'image_id' is missing; found name, value"):
        SAMPLES.read(tmp_path / "m.parquet")


def test_only_the_wanted_columns_are_read(tmp_path):
    METRICS.write(metrics(), tmp_path / "m.parquet")
    assert METRICS.read(tmp_path / "m.parquet", ["value"]).column_names == ["value"]


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
