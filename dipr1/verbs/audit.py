"""List the labels that are most likely missing or wrong."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import pyarrow as pa

from dipr1.artifacts.aligning import image_rows
from dipr1.artifacts.annotations import ANNOTATIONS, objects_and_areas
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.audit_images import AUDIT_IMAGES
from dipr1.artifacts.columns import box_column, exif_of, ragged
from dipr1.artifacts.made import input_of, made_by
from dipr1.artifacts.sampled_boxes import (
    BoxesByImage,
    MeasuredSplit,
    SampledSplit,
    measure_split,
    names_of_objects,
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
from dipr1.boxes import stacked
from dipr1.config import Audit, Variance
from dipr1.errors import UserError
from dipr1.options import add_options, options
from dipr1.pixels import TURN
from dipr1.planting import Known, are_errors, differences, error_shares, plant
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
    parser.add_argument(
        "--corrected",
        help="annotations/*.parquet of the same images after somebody has corrected the labels:"
        " tells which suspects are errors",
    )
    add_options(parser, Variance)
    add_options(parser, Audit)


def run(args: argparse.Namespace) -> None:
    """Hold the labels of a split against what the policy's samples agree on.

    The regions are measured as ``dipr1 variance`` does it, and again: their artifact has neither
    the members' means nor the labels that they overlap.

    Raises:
        UserError: as ``dipr1 variance``, or no image has corrected labels.
    """
    variance, audit = options(args, Variance), options(args, Audit)
    match_iou, v0 = variance.match_iou, variance.v0
    split = read_sampled_split(args.samples, args.annotations, args.allow_missing, with_names=True)
    corrected = [input_of(args.corrected)] if args.corrected else []
    made = made_by(
        "audit",
        variance.model_dump() | audit.model_dump(exclude=Audit.without_flag),
        [*args.samples, args.annotations, *corrected],
    )
    search = partial(_search, match_iou=match_iou, v0=v0)
    measured, doubts = search(split)
    regions, readable = measured.regions, measured.check_readable(variance.least_readable)
    every = likely_faults(doubts, len(doubts.score))
    rows = every[: audit.rows]
    suspects = _suspects(regions, doubts, rows, split)
    if audit.planted:
        known = _with_errors(split, audit.planted, search)
        shares = error_shares(known, doubts.kind[every], doubts.score[every])[: len(rows)]
        suspects = suspects.append_column("error_share", pa.array(shares, mask=np.isnan(shares)))
        say(f"planted errors: {known.counted()}")
    if args.corrected:
        suspects = suspects.append_column(
            "confirmed", _confirmed(regions, rows, split, args.corrected)
        )
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
        planted = plant(labels.boxes, image, split.sizes, share, len(copies), labels.names)
        if not planted.count:
            break
        offsets = np.searchsorted(planted.image, np.arange(len(split.ids) + 1))
        truth = BoxesByImage(planted.boxes, offsets, planted.names)
        measured, doubts = search(replace(split, truth=truth))
        rows, regions = likely_faults(doubts, len(doubts.score)), measured.regions
        them = are_errors(planted, regions.image[rows], regions.gt_index[rows], regions.box[rows])
        copies.append(Known(doubts.kind[rows], doubts.score[rows], them, planted.count))
    return Known.of_copies(copies)


def _confirmed(
    regions: AuditedRegions, rows: np.ndarray, split: SampledSplit, path: str
) -> pa.Array:
    """(S,) which suspects are errors by corrected labels; null where their image has none."""
    table = ANNOTATIONS.read(path, ["image_id", "boxes", "ignore", "labels"])
    place = image_rows(table["image_id"], split.ids)
    boxes, offsets = ragged(table["boxes"])
    owner = np.repeat(place, np.diff(offsets))
    counts = objects_and_areas(table)[0] & (owner >= 0)
    _, names = names_of_objects(table, counts, split.names) if split.names else ([], None)
    images = np.unique(place[place >= 0])
    if not len(images):
        raise UserError(f"{path}: has none of the images of the annotations; give their ids")
    order = np.argsort(owner[counts], kind="stable")
    right = stacked(boxes[counts][order], owner[counts][order])
    image = regions.image[rows]
    errors = differences(
        split.truth.of(np.arange(len(split.ids))),
        right,
        None if names is None else (split.truth.names, names[order]),
    )
    them = are_errors(errors, image, regions.gt_index[rows], regions.box[rows])
    judged = np.isin(image, images)
    count, wrong = int(judged.sum()), int(them[judged].sum())
    say(f"{path}: {wrong} of {count} suspects are errors by its labels")
    return pa.array(them, mask=~judged)


def _suspects(
    regions: AuditedRegions, doubts: Doubts, rows: np.ndarray, split: SampledSplit
) -> pa.Table:
    """The artifact `audit`."""
    images = pa.array(regions.image[rows])
    names = pa.array(split.names, pa.string())
    named = {"label": regions.name[rows], "suggested_label": regions.answered_name[rows]}
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
        | {
            column: names.take(pa.array(numbers, mask=numbers < 0))
            for column, numbers in named.items()
            if split.names
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
