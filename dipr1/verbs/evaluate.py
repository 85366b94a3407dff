"""Score predictions against annotations."""

from __future__ import annotations

import argparse
import json

import pyarrow as pa

from dipr1.artifacts.aligning import align
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.made import Made, made_by, read_made
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file
from dipr1.errors import UserError
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.measuring import metrics_of, metrics_table, none_if_nan
from dipr1.evaluation.options import Evaluation
from dipr1.evaluation.per_image import per_image
from dipr1.evaluation.scoring import SCORES, columns_read
from dipr1.options import flag_help
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 evaluate``."""
    parser.add_argument(
        "--predictions", required=True, help="samples artifact, one response per image"
    )
    parser.add_argument("--annotations", required=True, help="annotations artifact")
    parser.add_argument("--prompts", required=True, help="prompts artifact that was answered")
    parser.add_argument(
        "--variance",
        help="variance artifact; without it the looking reward is left out and the accuracy"
        " reward is not weighted",
    )
    about = Evaluation.model_fields["score"]
    parser.add_argument("--score", choices=SCORES, default=about.default, help=flag_help(about))
    parser.add_argument(
        "--consistency-samples",
        nargs="+",
        metavar="SAMPLES",
        help="samples artifacts of the same policy and split, for --score consistency",
    )
    parser.add_argument(
        "--output", required=True, type=output_file, help="metrics artifact to write"
    )
    parser.add_argument(
        "--images-output", type=output_file, help="images artifact to write: figures per image"
    )
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")


def run(args: argparse.Namespace) -> None:
    """Score one set of predictions.

    Raises:
        UserError: the files are not about the same images, or not one response per image.
    """
    annotations = ANNOTATIONS.read(args.annotations)
    prompts = PROMPTS.read(args.prompts)
    predictions = SAMPLES.read(args.predictions, columns_read(args.score))
    samples = _samples(args)
    made = _made(args)
    images = per_image(
        annotations,
        align(annotations, prompts, args.annotations, args.prompts),
        align(annotations, predictions, args.annotations, args.predictions),
        VARIANCE.read(args.variance) if args.variance else None,
        score=args.score,
        samples=samples,
    )
    values = metrics_of(Images(images))
    if args.images_output:
        IMAGES.write(images, args.images_output, made)
    METRICS.write(metrics_table(values, args.score), args.output, made)
    if args.json:
        print(json.dumps({name: none_if_nan(value) for name, value in values.items()}, indent=2))
    else:
        say(
            f"{args.output}: {images.num_rows} images,"
            f" AP {values['AP']:.3f} by {args.score}, F1 {values['f1_50']:.3f},"
            f" {values['parse_failure_rate']:.1%} of the answers cannot be read"
        )


def _made(args: argparse.Namespace) -> Made:
    """What is written into the artifacts about them."""
    inputs = [args.predictions, args.annotations, args.prompts, args.variance]
    answered = read_made(args.predictions)
    return made_by(
        "evaluate",
        {"score": args.score},
        inputs + (args.consistency_samples or []),
        arm=answered.arm,
        seed=answered.seed,
    )


def _samples(args: argparse.Namespace) -> pa.Table | None:
    """What ``--score consistency`` counts; None for other scores."""
    if (args.score == "consistency") != bool(args.consistency_samples):
        raise UserError(
            "--consistency-samples and --score consistency belong together; give both or neither"
        )
    if not args.consistency_samples:
        return None
    paths = args.consistency_samples
    return pa.concat_tables(SAMPLES.read(path, ["image_id", "boxes"]) for path in paths)
