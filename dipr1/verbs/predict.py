"""Answer every prompt once, greedily."""

from __future__ import annotations

import argparse

from dipr1.policies.options import Sample
from dipr1.policies.sampling import add_policy_arguments, sample_to_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 predict``."""
    add_policy_arguments(parser)
    parser.add_argument("--max-new-tokens", type=int, default=Sample().max_new_tokens)
    parser.add_argument("--batch-size", type=int, default=Sample().batch_size)


def run(args: argparse.Namespace) -> None:
    """Predict: one sample per image at temperature 0."""
    greedy = Sample(
        num_samples=1,
        temperature=0,
        max_new_tokens=args.max_new_tokens,
        batch_size=args.batch_size,
    )
    sample_to_file(args, greedy, shard=(0, 1), seed=0)
