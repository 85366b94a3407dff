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
from dipr1.evaluation.protocols import add_protocol_arguments, run_protocol
from dipr1.evaluation.scoring import SCORES
from dipr1.progress import say


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
        default=Evaluation().score,
        help=f"what ranks the boxes (default {Evaluation().score})",
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
    add_protocol_arguments(parser)
    parser.set_defaults(usage_error=parser.error)


def run(args: argparse.Namespace) -> None:
    """Score one set of predictions, or compute a benchmark's official figures.

    Raises:
        UserError: the files are not about the same images, or not one response per image.
    """
    if args.protocol:
        run_protocol(args)
        return
    needed = ["predictions", "annotations", "prompts", "output"]
    needed += ["consistency_samples"] * (args.score == "consistency")
    missing = [f"--{name.replace('_', '-')}" for name in needed if not getattr(args, name)]
    if missing:
        args.usage_error(f"the following arguments are required: {', '.join(missing)}")
    annotations = ANNOTATIONS.read(args.annotations)
    names = annotations["image_id"].to_pylist()
    images = per_image(
        annotations,
        in_order(PROMPTS.read(args.prompts), names, args.prompts, args.annotations),
        in_order(
            SAMPLES.read(args.predictions, _columns_read(args.score)),
            names,
            args.predictions,
            args.annotations,
        ),
        VARIANCE.read(args.variance) if args.variance else None,
        score=args.score,
        samples=_read_samples(args.consistency_samples) if args.score == "consistency" else None,
    )
    values = measure(images)
    if args.images_output:
        IMAGES.write(images, args.images_output)
    METRICS.write(metrics_table(values, args.score), args.output)
    if args.json:
        print(json.dumps({name: _or_none(value) for name, value in values.items()}, indent=2))
    else:
        say(
            f"{args.output}: {len(names)} images,"
            f" AP {values['AP']:.3f} by {args.score}, F1 {values['f1_50']:.3f},"
            f" {values['parse_failure_rate']:.1%} of the answers cannot be read"
        )
