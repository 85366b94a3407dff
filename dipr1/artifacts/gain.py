"""How much oftener an object is found on a crop than in the whole view.

Looking is worth most where looking again changes the answer. Of an object in several crops the best
one counts: it is the one that a policy would have to look at.
"""

from __future__ import annotations

import polars as pl
import pyarrow as pa

from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError


def with_gain(variance: pa.Table, crops: pa.Table, of_crops: pa.Table) -> pa.Table:
    """The variance artifact with a column `gain`: what is found oftener on a crop.

    Args:
        variance: the artifact of the whole images.
        crops: one row per crop: `image_id`, `crop_of` (the whole image's) and `gt_index` (of each
            object of the crop, its place among the objects of the whole image).
        of_crops: the variance artifact of these crops, each an image of its own.

    Returns:
        `variance` with, for an object, its largest support in a crop less its support in the whole
        view, 0 where that is below 0, and 0 for what no measured crop shows and for phantoms. Null
        in the rows of images without statistics.

    Raises:
        UserError: the statistics of the crops are about other objects.
    """
    objects = pl.from_arrow(crops.select(["image_id", "crop_of", "gt_index"])).explode("gt_index")
    objects = objects.drop_nulls("gt_index").with_columns(
        pl.col("gt_index").cast(pl.Int32),
        place=pl.int_range(pl.len()).over("image_id").cast(pl.Int32),
    )
    found = pl.from_arrow(of_crops.select(["image_id", "gt_index", "support"]))
    found = found.drop_nulls("gt_index").rename({"gt_index": "place", "support": "closer"})
    lost = found.join(objects, on=["image_id", "place"], how="anti")
    if len(lost):
        raise UserError(
            f"image {lost[0, 'image_id']!r}: the crops have no object {lost[0, 'place']}, of which"
            " their variance tells; run `dipr1 variance` on the crops again"
        )
    best = objects.join(found, on=["image_id", "place"]).group_by("crop_of", "gt_index")
    best = best.agg(pl.col("closer").max()).rename({"crop_of": "image_id"})
    whole = pl.from_arrow(variance.select(["image_id", "region", "gt_index", "support"]))
    whole = whole.join(best, on=["image_id", "gt_index"], how="left", maintain_order="left")
    gain = (pl.col("closer") - pl.col("support")).fill_null(0.0).clip(lower_bound=0.0)
    gain = pl.when(pl.col("region").is_not_null()).then(gain)
    values = whole.select(gain.alias("gain"))["gain"].to_arrow()
    return variance.select(VARIANCE.schema.names).append_column(
        VARIANCE.optional.field("gain"), values.cast(pa.float64())
    )
