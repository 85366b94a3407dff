"""Crop what is uncertain, as further prompts."""

from __future__ import annotations

import argparse

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.crops import CROPS, crop_annotations
from dipr1.artifacts.made import made_by
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file
from dipr1.options import add_options, options
from dipr1.policies.bounding import check_bounds
from dipr1.policies.cropping import crop_table
from dipr1.policies.families import policy_input, read_policy_frames
from dipr1.policies.options import SHOWN, Crop, Policy
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 crop``."""
    parser.add_argument("prompts", metavar="PROMPTS", help="prompts artifact")
    parser.add_argument("--variance", required=True, help="variance artifact of the same images")
    parser.add_argument("--output", required=True, type=output_file, help="crops artifact to write")
    parser.add_argument(
        "--annotations-output",
        type=output_file,
        help="annotations artifact of the crops to write, by which `variance` measures them",
    )
    add_options(parser, Policy, ["model", *SHOWN])
    add_options(parser, Crop)


def run(args: argparse.Namespace) -> None:
    """Write the crops of every image.

    Raises:
        UserError: the policy's frame is not known.
    """
    policy, chosen = options(args, Policy), options(args, Crop)
    check_bounds(policy.bounds, args.prompts)
    prompts = PROMPTS.read(args.prompts)
    frames = read_policy_frames(policy.model, policy.frame, policy.bounds)
    settings = chosen.model_dump() | policy.model_dump(include={*SHOWN}, exclude_none=True)
    made = made_by("crop", settings, [args.prompts, args.variance, policy_input(policy.model)])
    crops = crop_table(prompts, VARIANCE.read(args.variance), frames, chosen)
    CROPS.write(crops, args.output, made)
    if args.annotations_output:
        ANNOTATIONS.write(crop_annotations(crops), args.annotations_output, made)
    num_images = len(crops["crop_of"].unique())
    say(f"{args.output}: {crops.num_rows} crops of {num_images} of {prompts.num_rows} images")
