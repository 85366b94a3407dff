"""Sample responses of the base policy."""

from __future__ import annotations

import argparse

from dipr1.policies.options import Sample
from dipr1.policies.sampling import add_policy_arguments, parse_shard, sample_to_file


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 sample``."""
    from dipr1.options import add_options

    add_policy_arguments(parser)
    parser.add_argument("--shard", default="0/1", help="which part of the images, e.g. 0/4")
    parser.add_argument("--seed", type=int, default=0)
    add_options(parser, Sample)


def run(args: argparse.Namespace) -> None:
    """Sample one shard.

    Raises:
        UserError: the shard is not of the form K/N with K < N.
    """
    from dipr1.options import options

    sample_to_file(args, options(args, Sample), parse_shard(args.shard), args.seed)
