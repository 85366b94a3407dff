"""Answer every prompt once, greedily."""

from __future__ import annotations

import argparse

from dipr1.artifacts.made import read_made
from dipr1.options import add_options, options
from dipr1.policies.families import policy_folder
from dipr1.policies.options import Checkpoint, Generation, Sample
from dipr1.verbs.sample import add_file_arguments, write_samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 predict``."""
    add_file_arguments(parser)
    add_options(parser, Generation)
    parser.add_argument("--arm", help="name of the arm that answers (default what --policy says)")
    parser.add_argument(
        "--seed", metavar="N", type=int, help="seed of the arm (default what --policy says)"
    )


def run(args: argparse.Namespace) -> None:
    """Predict: one sample per image at temperature 0."""
    generation = options(args, Generation).model_dump()
    greedy = Sample(num_samples=1, temperature=0, **generation)
    policy = read_made(policy_folder(options(args, Checkpoint).model))
    about = {
        "arm": args.arm or policy.arm,
        "seed": policy.seed if args.seed is None else args.seed,
    }
    write_samples("predict", args, greedy, seed=0, about=about)
