"""The artifacts: one `pyarrow.schema` each, written whole or not at all, the same bytes each time.

Every file is Parquet that polars, pyarrow, DuckDB and ``datasets.load_dataset("parquet")`` open as
it is. Boxes are xyxy float32; the frame is named per column in the comments.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import uuid
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.errors import UserError

BOX = pa.list_(pa.float32(), 4)
BOXES = pa.list_(BOX)
STRINGS = pa.list_(pa.string())

ROW_GROUP_ROWS = 4096

ANNOTATIONS = pa.schema(
    {
        "image_id": pa.string(),
        "image": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "boxes": BOXES,  # image frame
        "labels": STRINGS,
        "ignore": pa.list_(pa.bool_()),
        "visibility": pa.list_(pa.float32()),  # null where unknown
    }
)
REJECTS = pa.schema(
    {"source": pa.string(), "record": pa.string(), "reason": pa.string(), "raw": pa.string()}
)
PROMPTS = pa.schema(
    {
        "image_id": pa.string(),
        "image": pa.string(),
        "width": pa.int32(),
        "height": pa.int32(),
        "frame": pa.string(),  # absolute | thousandths
        "frame_width": pa.float64(),
        "frame_height": pa.float64(),
        "labels": STRINGS,
        "prompt": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})),
        "gt_boxes": BOXES,  # model frame
        "gt_labels": STRINGS,
        "ignore_boxes": BOXES,  # model frame
    }
)
SAMPLES = pa.schema(
    {
        "image_id": pa.string(),
        "sample": pa.int32(),
        "text": pa.string(),
        "num_tokens": pa.int32(),
        "problems": STRINGS,
        "boxes": BOXES,  # image frame; null where the answer does not parse
        "look_boxes": BOXES,  # image frame; null where the look section does not parse
        "confidence": pa.list_(
            pa.float32()
        ),  # one per box: mean probability of its numbers' tokens
    }
)
VARIANCE = pa.schema(
    {
        "image_id": pa.string(),
        "region": pa.int32(),
        "kind": pa.string(),  # object | phantom
        "gt_index": pa.int32(),  # among the image's boxes that are not ignored; null for phantoms
        "box": BOX,  # image frame
        "hull": BOX,  # image frame
        "support": pa.float64(),
        "num_samples": pa.int32(),
        "existence_variance": pa.float64(),
        "box_variance": pa.float64(),  # null where fewer than two members
        "uncertainty": pa.float64(),
    }
)
METRICS = pa.schema({"name": pa.string(), "value": pa.float64()})
TRAINING_LOG = pa.schema({"step": pa.int32(), "name": pa.string(), "value": pa.float64()})

SCHEMAS = {
    "annotations": ANNOTATIONS,
    "rejects": REJECTS,
    "prompts": PROMPTS,
    "samples": SAMPLES,
    "variance": VARIANCE,
    "metrics": METRICS,
    "training_log": TRAINING_LOG,
}


@contextlib.contextmanager
def whole(path: str | os.PathLike) -> Iterator[Path]:
    """Give a temporary name beside `path`; on success it becomes `path`, on failure it is gone.

    Works for a file or a folder, whichever the body makes. The name keeps the suffix of `path`.

    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with whole(Path(folder) / "a.txt") as part:
    ...         _ = part.write_text("done")
    ...     (Path(folder) / "a.txt").read_text()
    'done'
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.stem}.{uuid.uuid4().hex[:8]}{path.suffix}")
    try:
        yield part
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        os.replace(part, path)
    finally:
        if part.is_dir():
            shutil.rmtree(part, ignore_errors=True)
        else:
            part.unlink(missing_ok=True)


def write_table(table: pa.Table, path: str | os.PathLike, schema_name: str) -> None:
    """Write `table` as the artifact `schema_name`: cast to its schema, fixed row groups, atomic.

    Raises:
        KeyError: no such artifact.
        pyarrow.ArrowInvalid: the table does not fit the schema.
    """
    schema = SCHEMAS[schema_name]
    table = table.select(schema.names).cast(schema).combine_chunks()
    with whole(path) as part:
        pq.write_table(
            table,
            part,
            row_group_size=ROW_GROUP_ROWS,
            compression="zstd",
            store_schema=True,
        )


def read_table(
    path: str | os.PathLike, schema_name: str, columns: list[str] | None = None
) -> pa.Table:
    """Read an artifact and check that it is one.

    Raises:
        UserError: the file is missing, is not Parquet, or lacks a column of `schema_name`.
    """
    schema = SCHEMAS[schema_name]
    wanted = columns or schema.names
    try:
        found = pq.read_schema(path)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file; it should be a {schema_name} artifact") from None
    except (pa.ArrowInvalid, OSError) as error:
        reason = str(error).splitlines()[0]
        raise UserError(f"{path}: not a Parquet file ({reason}); make it again") from None
    missing = [name for name in wanted if name not in found.names]
    if missing:
        raise UserError(
            f"{path}: expected a {schema_name} artifact but column {missing[0]!r} is missing; "
            f"found {', '.join(found.names)}"
        )
    return pq.read_table(path, columns=wanted).cast(
        pa.schema([schema.field(name) for name in wanted])
    )


def box_arrays(column: pa.ChunkedArray) -> list:
    """One (n, 4) float64 array per row of a boxes column; ``None`` where the row is null.

    >>> rows = pa.chunked_array([pa.array([[[0, 0, 2, 2]], [], None], BOXES)])
    >>> [None if boxes is None else boxes.shape for boxes in box_arrays(rows)]
    [(1, 4), (0, 4), None]
    """
    import numpy as np

    flat = column.combine_chunks()
    if isinstance(flat, pa.ChunkedArray):
        flat = pa.concat_arrays(flat.chunks) if flat.num_chunks else pa.array([], column.type)
    numbers = flat.values.flatten().to_numpy(zero_copy_only=False).astype(np.float64)
    boxes = numbers.reshape(-1, 4)
    start = flat.offsets[0].as_py() if len(flat.offsets) else 0
    offsets = flat.offsets.to_numpy() - start
    if start or len(boxes) != (offsets[-1] if len(offsets) else 0):
        boxes = boxes[start : start + offsets[-1]]
    valid = flat.is_valid().to_numpy(zero_copy_only=False)
    return [
        boxes[offsets[row] : offsets[row + 1]] if valid[row] else None for row in range(len(flat))
    ]
