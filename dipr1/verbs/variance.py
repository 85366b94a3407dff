"""Measure how much the sampled boxes vary."""

from __future__ import annotations

import argparse
from dataclasses import fields

import numpy as np

from dipr1.regions import (
    Regions,
    _check_all_sampled,
    _Columns,
    _measured,
    _read_annotations,
    _read_index,
    _sorted_by_id,
    _table,
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 variance``."""
    from dipr1.config import Variance
    from dipr1.options import add_options

    parser.add_argument(
        "samples", nargs="+", metavar="SAMPLES", help="samples/*.parquet, all shards of one split"
    )
    parser.add_argument("--annotations", required=True, help="annotations/*.parquet of the split")
    parser.add_argument("--output", required=True, help="variance/*.parquet to write")
    parser.add_argument("--audit", help="audit/*.parquet to write: regions with doubtful labels")
    parser.add_argument("--audit-images", help="audit/*.images.parquet to write: images by doubt")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out images without samples, which are an error otherwise",
    )
    add_options(parser, Variance)


def run(args: argparse.Namespace) -> None:
    """Write the regions of every annotated image, sorted by image_id and region.

    Raises:
        UserError: an image without samples (unless allowed), samples of an image that is not
            annotated, or the same sample twice.
    """
    from dipr1.artifacts.audit import AUDIT
    from dipr1.artifacts.audit_images import AUDIT_IMAGES
    from dipr1.artifacts.variance import VARIANCE
    from dipr1.auditing import image_ranking, judge, suspects
    from dipr1.config import Variance
    from dipr1.options import options
    from dipr1.progress import progress, say

    chosen = options(args, Variance)
    annotated = _read_annotations(args.annotations)
    answers = _read_index(args.samples, annotated.ids, args.annotations)
    num_samples = np.bincount(answers.image, minlength=len(annotated.ids))
    if not args.allow_missing:
        _check_all_sampled(num_samples, annotated.ids, args.annotations)
    num_images = int(np.count_nonzero(num_samples))
    found: _Columns = {name: [] for name in ["label_iou", *(f.name for f in fields(Regions))]}
    measured = _measured(args.samples, answers, annotated, chosen, found)
    num_malformed = sum(progress(measured, total=num_images, desc="variance"))
    regions, label_iou = _sorted_by_id(found, annotated.ids)
    VARIANCE.write(_table(regions, annotated.ids), args.output)
    num_phantoms = int(np.count_nonzero(regions.gt_index < 0))
    say(
        f"{args.output}: {num_images} images, {len(answers.image)} samples, "
        f"num_malformed {num_malformed}; {len(regions.image)} regions, of which {num_phantoms} "
        "phantoms"
    )
    if args.audit or args.audit_images:
        verdict = judge(
            regions, label_iou, annotated.sizes, match_iou=chosen.match_iou, v0=chosen.v0
        )
        images = (annotated.ids, annotated.paths)
        if args.audit:
            table = suspects(regions, verdict, *images, max_rows=chosen.audit_rows)
            AUDIT.write(table, args.audit)
        if args.audit_images:
            table = image_ranking(regions, verdict, *images, sampled=num_samples > 0)
            AUDIT_IMAGES.write(table, args.audit_images)
