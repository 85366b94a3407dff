"""Answer every prompt once, greedily."""

from __future__ import annotations

import argparse

from dipr1.options import add_options, options
from dipr1.policies.options import Generation, Sample
from dipr1.verbs.sample import add_file_arguments, write_samples


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 predict``."""
    add_file_arguments(parser)
    add_options(parser, Generation)


def run(args: argparse.Namespace) -> None:
    """Predict: one sample per image at temperature 0."""
    generation = options(args, Generation).model_dump()
    greedy = Sample(num_samples=1, temperature=0, **generation)
    write_samples(args, greedy, shard=(0, 1), seed=0)
