"""Artifacts side by side: the rows about each image, in the order of another artifact's images.

A row's place in its file says nothing: what is about the same image has the same `image_id`.
"""

from __future__ import annotations

import numpy as np
import polars as pl
import pyarrow as pa

from dipr1.errors import UserError


def align(first: pa.Table, second: pa.Table, first_name: str, second_name: str) -> pa.Table:
    """The rows of `second`, one per image, in the order of the images of `first`.

    Args:
        first, second: any tables with an `image_id`.
        first_name, second_name: what they are called in a message: their files.

    Raises:
        UserError: an image of `second` is there twice or not in `first`, or one of `first` is
            missing.

    >>> images, answers = pa.table({"image_id": ["a", "b"]}), pa.table({"image_id": ["b", "a"]})
    >>> align(images, answers, "images", "answers")["image_id"].to_pylist()
    ['a', 'b']
    """
    wanted, given = _ids(first["image_id"]), _ids(second["image_id"])
    repeated = given.filter(pl.col("image_id").is_first_distinct().not_())
    unknown = given.join(wanted, on="image_id", how="anti", maintain_order="left")
    missing = wanted.join(given, on="image_id", how="anti", maintain_order="left")
    if len(repeated):
        raise UserError(
            f"{second_name}: image {repeated[0, 0]!r} is there more than once"
            f" ({len(repeated)} rows too many); give one row per image"
        )
    if len(unknown):
        raise UserError(
            f"{second_name}: image {unknown[0, 0]!r} is not in {first_name}"
            f" ({len(unknown)} such images); give files of the same split"
        )
    if len(missing):
        raise UserError(
            f"{second_name}: image {missing[0, 0]!r} of {first_name} is missing"
            f" ({len(missing)} such images); make the file again for the whole split"
        )
    return second.take(pa.array(image_rows(first["image_id"], second["image_id"])))


def by_image(first: pa.Table, second: pa.Table) -> tuple[pa.Table, np.ndarray]:
    """The rows of `second`, any number per image, image by image in the order of `first`.

    Args:
        first: one row per image.
        second: rows about them; those about other images are left out.

    Returns:
        The rows, those of one image in their order, and (I + 1,) bounds: the image of row i of
        `first` has the rows ``bounds[i]`` to ``bounds[i + 1]``.

    >>> images = pa.table({"image_id": ["a", "b", "c"]})
    >>> regions = pa.table({"image_id": ["c", "x", "a", "c"], "region": [0, 0, 0, 1]})
    >>> rows, bounds = by_image(images, regions)
    >>> rows["image_id"].to_pylist(), bounds.tolist()
    (['a', 'c', 'c'], [0, 1, 1, 3])
    """
    place = image_rows(second["image_id"], first["image_id"])
    order = np.argsort(place, kind="stable")
    order = order[np.searchsorted(place[order], 0) :]
    bounds = np.searchsorted(place[order], np.arange(first.num_rows + 1))
    return second.take(pa.array(order)), bounds


def image_rows(images: pa.ChunkedArray | pa.Array, among: pa.ChunkedArray | pa.Array) -> np.ndarray:
    """(N,) which row of the image_ids `among` each of `images` is in; -1 for none.

    >>> image_rows(pa.array(["b", "x", "b"]), pa.array(["a", "b"])).tolist()
    [1, -1, 1]
    """
    places = _ids(among).with_row_index("row").unique("image_id", keep="first")
    rows = _ids(images).join(places, on="image_id", how="left", maintain_order="left")["row"]
    return rows.cast(pl.Int64).fill_null(-1).to_numpy()


def _ids(column: pa.ChunkedArray | pa.Array) -> pl.DataFrame:
    return pl.DataFrame({"image_id": pl.from_arrow(column)})
