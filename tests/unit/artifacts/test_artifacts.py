"""Artifacts fit their schema and are the same bytes each time; other files are told apart."""

from __future__ import annotations

import itertools

import numpy as np
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from dipr1.artifacts import ROW_GROUP_ROWS, artifact_named, artifact_names
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.samples import SAMPLES
from dipr1.errors import UserError


def metrics(num_rows=2):
    return pa.table(
        {
            "name": [f"m{row}" for row in range(num_rows)],
            "value": np.arange(num_rows) / 7,
            "score": ["confidence"] * num_rows,
        }
    )


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


@pytest.mark.parametrize("cuts", [[0], [1, 5000], [4096], [8192], [4095, 4097, 9000]])
def test_pieces_are_written_as_the_whole_would_be(tmp_path, cuts):
    table = metrics(2 * ROW_GROUP_ROWS + 1000)
    METRICS.write(table, tmp_path / "whole.parquet")
    ends = [0, *cuts, table.num_rows]
    pieces = [table.slice(a, b - a) for a, b in itertools.pairwise(ends)]
    METRICS.write_pieces(iter(pieces), tmp_path / "pieces.parquet")
    assert (tmp_path / "whole.parquet").read_bytes() == (tmp_path / "pieces.parquet").read_bytes()


@pytest.mark.parametrize(
    "rows",
    [range(0), range(4096, 4096), range(1), range(4095, 4097), range(4096, 8192), range(9192)],
)
def test_some_rows_are_read(tmp_path, rows):
    table = metrics(2 * ROW_GROUP_ROWS + 1000)
    METRICS.write(table, tmp_path / "a.parquet")
    read = METRICS.read(tmp_path / "a.parquet", ["name"], rows)
    assert read["name"].to_pylist() == [f"m{row}" for row in rows]


def test_no_rows_of_an_empty_file(tmp_path):
    METRICS.write(metrics(0), tmp_path / "a.parquet")
    assert METRICS.read(tmp_path / "a.parquet", rows=range(0)).num_rows == 0


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
