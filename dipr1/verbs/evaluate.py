"""Score predictions against annotations."""

from __future__ import annotations

import argparse
import json

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.evaluation.measuring import (
    _columns_read,
    _or_none,
    _read_samples,
    in_order,
    measure,
    metrics_table,
    per_image,
)
from dipr1.evaluation.options import Evaluation
from dipr1.evaluation.protocols import PROTOCOLS
from dipr1.evaluation.scoring import SCORES
from dipr1.progress import say
from dipr1.verbs import official

OFFICIAL = ("ground_truth", "detections", "ignore", "wrap_fault")
"""Flags of ``dipr1 official``, which ``dipr1 evaluate --protocol`` goes on taking."""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 evaluate``."""
    parser.add_argument("--predictions", help="samples artifact, one response per image")
    parser.add_argument("--annotations", help="annotations artifact")
    parser.add_argument("--prompts", help="prompts artifact that was answered")
    parser.add_argument(
        "--variance",
        help="variance artifact; without it the looking reward is left out and the accuracy"
        " reward is not weighted",
    )
    parser.add_argument(
        "--score",
        choices=SCORES,
        help=f"{Evaluation.model_fields['score'].description} (default {Evaluation().score!r})",
    )
    parser.add_argument(
        "--consistency-samples",
        nargs="+",
        metavar="SAMPLES",
        help="samples artifacts of the same policy and split, for --score consistency",
    )
    parser.add_argument("--output", help="metrics artifact to write")
    parser.add_argument("--images-output", help="images artifact to write: figures per image")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")
    moved = parser.add_argument_group("moved to `dipr1 official`")
    moved.add_argument("--protocol", choices=sorted(PROTOCOLS), help="whose evaluation")
    official.add_file_arguments(moved, required=False)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> None:
    """Score one set of predictions; with ``args.protocol`` do what ``dipr1 official`` does.

    Raises:
        UserError: the files are not about the same images, or not one response per image.
    """
    _check_flags(args)
    if args.protocol:
        say(f"`dipr1 evaluate --protocol {args.protocol}` is now `dipr1 official {args.protocol}`")
        official.run(args)
    else:
        _evaluate(args, args.score or Evaluation().score)


def _check_flags(args: argparse.Namespace) -> None:
    """Refuse a flag that would change nothing, and ask for those that are missing."""
    files = ("predictions", "annotations", "prompts")
    if args.protocol:
        needed = ("ground_truth", "detections")
        others = (*files, "variance", "score", "consistency_samples", "images_output")
        refused = dict.fromkeys(others, "not with --protocol")
    else:
        needed = (*files, "output")
        refused = dict.fromkeys(OFFICIAL, "only with --protocol")
        if args.score == "consistency":
            needed += ("consistency_samples",)
        else:
            refused["consistency_samples"] = "only with --score consistency"
    for name, when in refused.items():
        if getattr(args, name):
            raise UserError(f"{_flag(name)} is taken {when}; leave it out")
    missing = [_flag(name) for name in needed if not getattr(args, name)]
    if missing:
        args.usage_error(f"the following arguments are required: {', '.join(missing)}")


def _flag(name: str) -> str:
    return "--" + name.replace("_", "-")


def _evaluate(args: argparse.Namespace, score: str) -> None:
    annotations = ANNOTATIONS.read(args.annotations)
    names = annotations["image_id"].to_pylist()
    images = per_image(
        annotations,
        in_order(PROMPTS.read(args.prompts), names, args.prompts, args.annotations),
        in_order(
            SAMPLES.read(args.predictions, _columns_read(score)),
            names,
            args.predictions,
            args.annotations,
        ),
        VARIANCE.read(args.variance) if args.variance else None,
        score=score,
        samples=_read_samples(args.consistency_samples) if score == "consistency" else None,
    )
    values = measure(images)
    if args.images_output:
        IMAGES.write(images, args.images_output)
    METRICS.write(metrics_table(values, score), args.output)
    if args.json:
        print(json.dumps({name: _or_none(value) for name, value in values.items()}, indent=2))
    else:
        say(
            f"{args.output}: {len(names)} images,"
            f" AP {values['AP']:.3f} by {score}, F1 {values['f1_50']:.3f},"
            f" {values['parse_failure_rate']:.1%} of the answers cannot be read"
        )
