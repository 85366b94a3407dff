"""Measure how much the sampled boxes vary."""

from __future__ import annotations

import argparse
from functools import partial

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import box_column
from dipr1.artifacts.made import made_by
from dipr1.artifacts.sampled_boxes import measure_split, read_sampled_split
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file
from dipr1.config import Variance
from dipr1.options import add_options, options
from dipr1.progress import say
from dipr1.regions import RegionTable, measure_block


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 variance``."""
    add_inputs(parser)
    parser.add_argument(
        "--output", required=True, type=output_file, help="variance/*.parquet to write"
    )
    add_options(parser, Variance)


def add_inputs(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which samples are measured against which annotations."""
    parser.add_argument(
        "samples", nargs="+", metavar="SAMPLES", help="samples/*.parquet, all shards of one split"
    )
    parser.add_argument("--annotations", required=True, help="annotations/*.parquet of the split")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out images without samples, which are an error otherwise",
    )


def run(args: argparse.Namespace) -> None:
    """Write the regions of every annotated image, sorted by image_id and region.

    Raises:
        UserError: an image without samples (unless allowed), samples of an image that is not
            annotated, the same sample twice, or too few responses that can be read.
    """
    chosen = options(args, Variance)
    split = read_sampled_split(args.samples, args.annotations, args.allow_missing)
    made = made_by("variance", chosen.model_dump(), [*args.samples, args.annotations])
    measure = partial(measure_block, match_iou=chosen.match_iou, v0=chosen.v0)
    measured = measure_split(split, measure)
    readable = measured.check_readable(chosen.least_readable)
    regions = measured.regions
    unmeasured = np.flatnonzero(split.sampled() & ~measured.measured())
    table = _table(regions, split.ids)
    if len(unmeasured):
        table = pa.concat_tables(
            [table, _unmeasured(split.ids, unmeasured, measured.num_readable)],
            promote_options="default",
        )
        table = table.sort_by([("image_id", "ascending"), ("region", "ascending")])
    VARIANCE.write(table, args.output, made)
    num_phantoms = np.count_nonzero(regions.gt_index < 0)
    say(
        f"{args.output}: {split.counted()}; {readable};"
        f" {len(regions.image)} regions, of which {num_phantoms} phantoms"
        + (f"; {len(unmeasured)} images have no statistics" if len(unmeasured) else "")
    )


def _table(regions: RegionTable, ids: pa.Array) -> pa.Table:
    """The rows of the artifact about regions."""
    is_object = regions.gt_index >= 0
    kind = pa.DictionaryArray.from_arrays(is_object.astype(np.int8), ["phantom", "object"])
    return pa.table(
        {
            "image_id": ids.take(pa.array(regions.image)),
            "region": regions.region,
            "kind": kind,
            "gt_index": pa.array(regions.gt_index, mask=~is_object),
            "box": box_column(regions.box),
            "hull": box_column(regions.hull),
            "support": regions.support,
            "num_samples": regions.num_samples,
            "existence_variance": regions.existence_variance,
            "box_variance": pa.array(regions.box_variance, mask=np.isnan(regions.box_variance)),
            "uncertainty": regions.uncertainty,
        }
    )


def _unmeasured(ids: pa.Array, images: np.ndarray, num_readable: np.ndarray) -> pa.Table:
    """The rows of the artifact about images without statistics."""
    return pa.table(
        {
            "image_id": ids.take(pa.array(images)),
            "num_samples": pa.array(num_readable[images], pa.int32()),
        }
    )
