"""The columns that artifacts share, and how they become arrays: boxes are xyxy float32."""

from __future__ import annotations

import itertools

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

BOX = pa.list_(pa.float32(), 4)
BOXES = pa.list_(BOX)
STRINGS = pa.list_(pa.string())
EXIF = pa.schema({"exif": pa.string()})  # `ignore`: the images are not turned as their EXIF says


def exif_of(table: pa.Table) -> str:
    """What becomes of the EXIF orientation of a data set's images: `turn`, or what it says.

    >>> exif_of(pa.table({"image": ["a.jpg"]}))
    'turn'
    """
    there = "exif" in table.column_names and table.num_rows
    return table["exif"][0].as_py() if there else "turn"


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
    rows = column.combine_chunks()
    lengths = pc.fill_null(pc.list_value_length(rows), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(lengths, dtype=np.int64)])
    values = rows.flatten()
    width = getattr(values.type, "list_size", None)
    if width is not None:
        return values.flatten().to_numpy(zero_copy_only=False).reshape(-1, width), offsets
    return values.to_numpy(zero_copy_only=False), offsets


def split_rows(values: np.ndarray, offsets: np.ndarray) -> list[np.ndarray]:
    """The values of each row, of what :func:`ragged` gives.

    >>> [row.tolist() for row in split_rows(np.array([1, 2, 3]), np.array([0, 2, 2, 3]))]
    [[1, 2], [], [3]]
    """
    return [values[begin:end] for begin, end in itertools.pairwise(offsets.tolist())]


def narrowed(offsets: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """(R + 1,) where each row begins and ends once only some of the values are left.

    >>> narrowed(np.array([0, 2, 3]), np.array([True, False, True])).tolist()
    [0, 1, 2]
    """
    return np.concatenate([[0], np.cumsum(kept)])[offsets]


def listed(values: np.ndarray | pa.Array, offsets: np.ndarray) -> pa.ListArray:
    """A column of lists, of (n,) or (n, K) values and where each row begins and ends in them.

    >>> listed(np.array([[1, 2], [3, 4]]), np.array([0, 0, 2])).to_pylist()
    [[], [[1, 2], [3, 4]]]
    """
    if isinstance(values, np.ndarray):
        flat = pa.array(values.reshape(-1))
        values = (
            flat if values.ndim == 1 else pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        )
    return pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), values)


def box_arrays(column: pa.ChunkedArray) -> list:
    """One (n, 4) float64 array per row of a boxes column; ``None`` where the row is null.

    >>> rows = pa.chunked_array([pa.array([[[0, 0, 2, 2]], [], None], BOXES)])
    >>> [None if boxes is None else boxes.shape for boxes in box_arrays(rows)]
    [(1, 4), (0, 4), None]
    """
    values, offsets = ragged(column)
    rows = split_rows(values.astype(np.float64), offsets)
    there = column.is_valid().to_numpy()
    return [row if valid else None for row, valid in zip(rows, there, strict=True)]


def replaced(table: pa.Table, columns: dict[str, pa.Array]) -> pa.Table:
    """`table` with other values in some of its columns."""
    for name, column in columns.items():
        table = table.set_column(table.schema.get_field_index(name), name, column)
    return table
