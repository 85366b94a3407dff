"""The artifacts: one module each, written whole or not at all, the same bytes each time.

Each says itself what it is and what it was made from (:mod:`dipr1.artifacts.made`).
Every file is Parquet that polars, pyarrow, DuckDB and ``datasets.load_dataset("parquet")`` open as
it is. Boxes are xyxy float32; the frame is named per column in the comments.
"""

from __future__ import annotations

import bisect
import importlib
import itertools
import json
import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.artifacts.made import KEY, Made
from dipr1.artifacts.writing import whole
from dipr1.errors import UserError

ROW_GROUP_ROWS = 4096


@dataclass(frozen=True)
class Artifact:
    """A kind of Parquet file.

    Attributes:
        name: what it is called, in messages and in the file.
        schema: its columns.
        version: of the schema: one more where a column changes.
        optional: columns that it has where something is not as usual.
        further: type of the columns that it may have besides; None where it has no others.
    """

    name: str
    schema: pa.Schema
    version: int = 1
    optional: pa.Schema = pa.schema([])
    further: pa.DataType | None = None

    def schema_with(self, names: Iterable[str]) -> pa.Schema:
        """The schema, and those of `names` that are optional or further columns."""
        names = [name for name in names if name not in self.schema.names]
        others = [field for field in self.optional if field.name in names]
        if self.further is not None:
            others += [pa.field(name, self.further) for name in names]
        return pa.schema([*self.schema, *others])

    def write(self, table: pa.Table, path: str | os.PathLike, made: Made | None = None) -> None:
        """Write `table`: cast to the schema, in fixed row groups, whole or not at all.

        Args:
            table: its columns, in any order.
            path: the file.
            made: what it is about and what it was made from.

        Raises:
            pyarrow.ArrowInvalid: the table does not fit the schema.
        """
        self.write_pieces([table], path, made)

    def write_pieces(
        self, pieces: Iterable[pa.Table], path: str | os.PathLike, made: Made | None = None
    ) -> None:
        """:meth:`write` one piece after the other: the same bytes, however they are cut.

        No more than a piece is held at once. All have the columns of the first; there is one.
        """
        pieces = iter(pieces)
        first = next(pieces)
        schema = self.schema_with(first.column_names)
        made = replace(made or Made(), artifact=self.name, version=self.version)
        record = json.dumps(
            made.record(Path(path).parent), sort_keys=True, separators=(",", ":")
        ).encode()
        tables = (
            piece.select(schema.names).cast(schema) for piece in itertools.chain([first], pieces)
        )
        with (
            whole(path) as part,
            pq.ParquetWriter(part, schema.with_metadata({KEY: record}), compression="zstd") as file,
        ):
            for group in _row_groups(tables):
                file.write_table(group.combine_chunks())

    def read(
        self,
        path: str | os.PathLike,
        columns: list[str] | None = None,
        rows: range | None = None,
    ) -> pa.Table:
        """Read a file and check that it is of this kind.

        Args:
            path: the file.
            columns: names of those to read, an optional one where it is there; all by default.
            rows: those to read; all by default.

        Raises:
            UserError: the file is missing, is not Parquet, or lacks a column.
        """
        try:
            there = pq.read_schema(path).names
        except FileNotFoundError:
            raise UserError(f"{path}: no such file; it should be a {self.name} artifact") from None
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).splitlines()[0]
            raise UserError(f"{path}: not a Parquet file ({reason}); make it again") from None
        schema = self.schema_with(there)
        wanted = columns or schema.names
        wanted = [name for name in wanted if name in there or name not in self.optional.names]
        missing = [name for name in wanted if name not in there]
        if missing:
            raise UserError(
                f"{path}: expected a {self.name} artifact but column {missing[0]!r} is missing; "
                f"found {', '.join(there)}"
            )
        read = pq.read_table if rows is None else partial(_read_rows, rows)
        return read(path, columns=wanted).cast(pa.schema([schema.field(name) for name in wanted]))


def _row_groups(tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
    """The rows of some tables in pieces of `ROW_GROUP_ROWS`; one at least, if without rows."""
    left = None
    for table in tables:
        left = table if left is None else pa.concat_tables([left, table])
        # a full group waits too, so that the last one is never without rows
        while left.num_rows > ROW_GROUP_ROWS:
            yield left.slice(0, ROW_GROUP_ROWS)
            left = left.slice(ROW_GROUP_ROWS)
    yield left


def _read_rows(rows: range, path: str | os.PathLike, columns: list[str]) -> pa.Table:
    """Some rows that follow each other, out of the row groups that hold them."""
    with pq.ParquetFile(path) as file:
        sizes = [file.metadata.row_group(k).num_rows for k in range(file.num_row_groups)]
        begins = [0, *itertools.accumulate(sizes)]
        first = bisect.bisect_right(begins, rows.start) - 1
        end = bisect.bisect_left(begins, rows.stop) if rows else first
        table = file.read_row_groups(range(first, end), columns=columns)
    return table.slice(rows.start - begins[first], len(rows))


def artifact_names() -> list[str]:
    """The kinds there are: those modules of this package that define one."""
    modules = sorted(Path(__file__).parent.glob("*.py"))
    return [
        path.stem
        for path in modules
        if f"\n{path.stem.upper()} = Artifact(" in path.read_text(encoding="utf-8")
    ]


def artifact_named(name: str) -> Artifact:
    """The artifact of a name, such as `audit_images`.

    >>> artifact_named("rejects").schema.names
    ['source', 'record', 'reason', 'raw']
    """
    return getattr(importlib.import_module(f"dipr1.artifacts.{name}"), name.upper())
