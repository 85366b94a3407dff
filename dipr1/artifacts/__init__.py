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
from typing import TYPE_CHECKING

import pyarrow as pa
import pyarrow.parquet as pq

from dipr1.errors import UserError

if TYPE_CHECKING:
    import numpy as np

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
        # one per box: mean probability, and mean log-probability, of its numbers' tokens
        "confidence": pa.list_(pa.float32()),
        "log_likelihood": pa.list_(pa.float32()),
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
AUDIT = pa.schema(
    {
        "rank": pa.int32(),  # 0 first
        "image_id": pa.string(),
        "image": pa.string(),
        "kind": pa.string(),  # missing_label | unsupported_label | loose_label | uncertain
        "region": pa.int32(),  # of the variance artifact
        "box": BOX,  # image frame
        "hull": BOX,  # image frame
        "suggested_box": BOX,  # image frame; null where no sample has the region
        "support": pa.float64(),
        "uncertainty": pa.float64(),
        "score": pa.float64(),  # in [0, 1], the highest first
    }
)
AUDIT_IMAGES = pa.schema(
    {
        "rank": pa.int32(),  # 0 first
        "image_id": pa.string(),
        "image": pa.string(),
        "num_objects": pa.int32(),
        "num_phantoms": pa.int32(),
        "num_suspects": pa.int32(),
        "mean_uncertainty": pa.float64(),  # null where the image has no region
        "max_uncertainty": pa.float64(),  # null where the image has no region
        "score": pa.float64(),  # in [0, 1], the highest first
    }
)
METRICS = pa.schema(
    {
        "name": pa.string(),
        "value": pa.float64(),  # null where undefined
        "score": pa.string(),  # what ranked the boxes; null for metrics that do not rank
    }
)
VERDICTS = pa.list_(pa.int8(), 10)
IMAGES = pa.schema(
    {
        "image_id": pa.string(),
        "num_objects": pa.int32(),  # to be found
        "num_boxes": pa.int32(),  # answered
        "num_looks": pa.int32(),
        "num_tokens": pa.int32(),
        "well_formed": pa.bool_(),
        "readable": pa.bool_(),  # the answer
        "num_counted": pa.int32(),  # boxes that no ignore area swallows, at IoU 0.5
        "hits50": pa.int32(),
        "num_counted75": pa.int32(),  # the same at IoU 0.75
        "hits75": pa.int32(),
        "errors": pa.int32(),  # missed objects and false boxes at IoU 0.5
        "reward_reasoning": pa.float64(),
        "reward_looking": pa.float64(),  # null without variance
        "reward_accuracy": pa.float64(),
        "look_share": pa.float64(),  # of the image's area
        "look_hits": pa.int32(),  # hits, false boxes and missed objects in the look regions
        "look_false": pa.int32(),
        "look_missed": pa.int32(),
        "look_by_chance": pa.float64(),  # errors in look regions that lie at random
        "look_recall": pa.float64(),  # null where there is nothing to look at, or no variance
        "region_uncertainty": pa.list_(pa.float64()),  # null without variance
        "region_erred": pa.list_(pa.bool_()),  # the answer errs in the region
        "region_is_object": pa.list_(pa.bool_()),  # else a phantom
        "score": pa.string(),  # how the boxes were scored
        "labels": STRINGS,  # asked for
        "label_objects": pa.list_(pa.int32()),  # per label: objects to be found
        "label_jaccard": pa.list_(pa.list_(pa.float64(), 10)),  # per label and score threshold
        # boxes of the labels asked for, label by label, the highest score first
        "box_label": pa.list_(pa.int32()),  # index in labels
        "box_score": pa.list_(pa.float64()),
        # verdicts: 1 true, 0 false, -1 does not count
        "box_crowdhuman": pa.list_(pa.int8()),
        "box_coco": pa.list_(VERDICTS),  # at IoU 0.50, 0.55 ... 0.95
    }
)
COMPARISON = pa.schema(
    {
        "set": pa.string(),
        "in_domain": pa.bool_(),  # null where it is not known what was trained on
        "arm": pa.string(),
        "metric": pa.string(),
        "score": pa.string(),  # what ranked the boxes; null for metrics that do not rank
        "value": pa.float64(),  # mean over the seeds; null where undefined
        "low": pa.float64(),
        "high": pa.float64(),
        "num_seeds": pa.int32(),
        "num_images": pa.int32(),
        "baseline": pa.string(),  # null: the row is about the arm alone
        "difference": pa.float64(),  # value - the baseline's
        "difference_low": pa.float64(),
        "difference_high": pa.float64(),
        "p": pa.float64(),  # two-sided, of the difference
    }
)
TRAINING_LOG = pa.schema({"step": pa.int32(), "name": pa.string(), "value": pa.float64()})

SCHEMAS = {
    "annotations": ANNOTATIONS,
    "rejects": REJECTS,
    "prompts": PROMPTS,
    "samples": SAMPLES,
    "variance": VARIANCE,
    "audit": AUDIT,
    "audit_images": AUDIT_IMAGES,
    "metrics": METRICS,
    "images": IMAGES,
    "comparison": COMPARISON,
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


def box_column(boxes: np.ndarray, null: np.ndarray | None = None) -> pa.Array:
    """A column of one box per row.

    Args:
        boxes: (R, 4).
        null: (R,) rows without a box.

    >>> import numpy as np
    >>> box_column(np.zeros((2, 4)), np.array([False, True])).to_pylist()
    [[0.0, 0.0, 0.0, 0.0], None]
    """
    flat = pa.array(boxes.ravel(), pa.float32())
    return pa.FixedSizeListArray.from_arrays(
        flat, type=BOX, mask=None if null is None else pa.array(null)
    )


def ragged(column: pa.ChunkedArray) -> tuple[np.ndarray, np.ndarray]:
    """A list column as one flat array and where each row begins and ends in it.

    Args:
        column: R rows of lists of numbers, or of fixed-size lists of K numbers; null is empty.

    Returns:
        The (n,) or (n, K) values of all rows, and (R + 1,) offsets: row r is
        ``values[offsets[r] : offsets[r + 1]]``.

    >>> values, offsets = ragged(pa.chunked_array([[[1, 2], None], [[3]]]))
    >>> values.tolist(), offsets.tolist()
    ([1, 2, 3], [0, 2, 2, 3])
    """
    import numpy as np
    import pyarrow.compute as pc

    rows = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(rows), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    values = rows.flatten()
    width = getattr(values.type, "list_size", None)
    if width is not None:
        return values.flatten().to_numpy(zero_copy_only=False).reshape(-1, width), offsets
    return values.to_numpy(zero_copy_only=False), offsets


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
