"""List the labels that are most likely missing or wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.audit_images import AUDIT_IMAGES
from dipr1.artifacts.columns import box_column, exif_of
from dipr1.artifacts.made import made_by
from dipr1.artifacts.sampled_boxes import (
    BoxesByImage,
    MeasuredSplit,
    SampledSplit,
    measure_split,
    read_sampled_split,
)
from dipr1.artifacts.writing import output_file
from dipr1.auditing import (
    KINDS,
    AuditedRegions,
    Doubts,
    ImageDoubts,
    doubt,
    likely_faults,
    measure_against_labels,
    rank_images,
)
from dipr1.config import Audit, Variance
from dipr1.options import add_options, options
from dipr1.pixels import TURN
from dipr1.planting import Known, are_planted, error_shares, plant
from dipr1.progress import say
from dipr1.verbs.variance import add_inputs

# errors are planted in copies of the labels until there are enough to tell what a suspect is worth
ENOUGH, MOST_COPIES = 1000, 8


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 audit``."""
    add_inputs(parser)
    parser.add_argument(
        "--output", required=True, type=output_file, help="audit/*.parquet to write: the suspects"
    )
    parser.add_argument(
        "--images-output", type=output_file, help="audit/*.images.parquet to write: images by doubt"
    )
    add_options(parser, Variance)
    add_options(parser, Audit)


def run(args: argparse.Namespace) -> None:
    """Hold the labels of a split against what the policy's samples agree on.

    The regions are measured as ``dipr1 variance`` does it, and again: their artifact has neither
    the members' means nor the labels that they overlap.

    Raises:
        UserError: as ``dipr1 variance``.
    """
    variance, audit = options(args, Variance), options(args, Audit)
    match_iou, v0 = variance.match_iou, variance.v0
    split = read_sampled_split(args.samples, args.annotations, args.allow_missing)
    made = made_by(
        "audit", variance.model_dump() | audit.model_dump(), [*args.samples, args.annotations]
    )
    search = partial(_search, match_iou=match_iou, v0=v0)
    measured, doubts = search(split)
    regions, readable = measured.regions, measured.check_readable(variance.least_readable)
    rows = likely_faults(doubts, audit.rows)
    suspects = _suspects(regions, doubts, rows, split)
    if audit.planted:
        known = _with_errors(split, audit.planted, search)
        shares = error_shares(known, doubts.kind[rows], doubts.score[rows])
        suspects = suspects.append_column("error_share", pa.array(shares, mask=np.isnan(shares)))
        say(f"planted errors: {known.counted()}")
    if (exif := exif_of(ANNOTATIONS.read(args.annotations))) != TURN:
        suspects = suspects.append_column("exif", pa.array([exif] * len(suspects), pa.string()))
    AUDIT.write(suspects, args.output, made)
    by_id = split.by_id()
    ranked = rank_images(regions, doubts, by_id[measured.measured()[by_id]])
    if args.images_output:
        AUDIT_IMAGES.write(_images(ranked, split), args.images_output, made)
    say(
        f"{args.output}: {len(rows)} suspects in {len(ranked.image)} images;"
        f" {split.counted()}; {readable}"
    )


def _search(
    split: SampledSplit, *, match_iou: float, v0: float
) -> tuple[MeasuredSplit[AuditedRegions], Doubts]:
    """The regions of a split, and what is held against each."""
    measure = partial(measure_against_labels, match_iou=match_iou, v0=v0)
    measured = measure_split(split, measure)
    return measured, doubt(measured.regions, split.sizes, match_iou=match_iou, v0=v0)


def _with_errors(split: SampledSplit, share: float, search: Callable) -> Known:
    """What becomes of planted errors, in as many copies of the labels as make them enough."""
    labels = split.truth
    image = np.repeat(np.arange(len(split.ids)), np.diff(labels.offsets))
    copies = []
    while len(copies) < MOST_COPIES and sum(one.count for one in copies) < ENOUGH:
        planted = plant(labels.boxes, image, split.sizes, share, seed=len(copies))
        if not planted.count:
            break
        offsets = np.searchsorted(planted.image, np.arange(len(split.ids) + 1))
        measured, doubts = search(replace(split, truth=BoxesByImage(planted.boxes, offsets)))
        rows, regions = likely_faults(doubts, len(doubts.score)), measured.regions
        them = are_planted(planted, regions.image[rows], regions.gt_index[rows], regions.box[rows])
        copies.append(Known(doubts.kind[rows], doubts.score[rows], them, planted.count))
    return Known.of_copies(copies)


def _suspects(
    regions: AuditedRegions, doubts: Doubts, rows: np.ndarray, split: SampledSplit
) -> pa.Table:
    """The artifact `audit`."""
    images = pa.array(regions.image[rows])
    return pa.table(
        {
            "rank": np.arange(len(rows)),
            "image_id": split.ids.take(images),
            "image": split.paths.take(images),
            "kind": np.array(KINDS)[doubts.kind[rows]],
            "region": regions.region[rows],
            "box": box_column(regions.box[rows]),
            "hull": box_column(regions.hull[rows]),
            "suggested_box": box_column(regions.mean[rows], regions.support[rows] == 0.0),
            "support": regions.support[rows],
            "uncertainty": regions.uncertainty[rows],
            "score": doubts.score[rows],
        }
    )


def _images(ranked: ImageDoubts, split: SampledSplit) -> pa.Table:
    """The artifact `audit_images`."""
    images, empty = pa.array(ranked.image), np.isnan(ranked.mean_uncertainty)
    return pa.table(
        {
            "rank": np.arange(len(ranked.image)),
            "image_id": split.ids.take(images),
            "image": split.paths.take(images),
            "num_objects": ranked.num_objects,
            "num_phantoms": ranked.num_phantoms,
            "num_suspects": ranked.num_suspects,
            "mean_uncertainty": pa.array(ranked.mean_uncertainty, mask=empty),
            "max_uncertainty": pa.array(ranked.max_uncertainty, mask=empty),
            "score": ranked.score,
        }
    )
