"""Put the shards of an artifact together.

The file is the same as if it had been made in one, whatever the number of shards was.
"""

from __future__ import annotations

import argparse
from dataclasses import replace

from dipr1.artifacts.made import Made, read_made
from dipr1.artifacts.samples import SAMPLES, SHARD
from dipr1.artifacts.writing import output_file
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.provenance import options_digest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 join``."""
    parser.add_argument(
        "shards",
        nargs="+",
        metavar="SHARD",
        help="all that `sample`, `predict` or `inspect` made with --shard, in any order",
    )
    parser.add_argument(
        "--output", required=True, type=output_file, help="samples artifact to write"
    )


def run(args: argparse.Namespace) -> None:
    """Write the rows of all shards, those of the first shard first.

    Raises:
        UserError: the shards are not of the same whole, or one is missing or given twice.
    """
    made, paths = _whole(args.shards)
    SAMPLES.write_pieces(map(SAMPLES.read, paths), args.output, made)
    say(f"{args.output}: {len(paths)} shards")


def _whole(paths: list[str]) -> tuple[Made, list[str]]:
    """What the shards are together, and their files in their order."""
    places, parts, made = zip(*map(_shard, paths), strict=True)
    for path, *of in zip(paths, parts, made, strict=True):
        if of != [parts[0], made[0]]:
            raise UserError(
                f"{path}: is not a shard of what {paths[0]} is a shard of: it was made in another"
                " number of shards, from other files, with other options or by other code; make"
                " them all again"
            )
    if sorted(places) != [*range(parts[0])]:
        found = ", ".join(map(str, sorted(places)))
        raise UserError(f"{paths[0]}: of {parts[0]} shards each is needed once; found {found}")
    return made[0], [path for _, path in sorted(zip(places, paths, strict=True))]


def _shard(path: str) -> tuple[int, int, Made]:
    """Which of how many shards a file is, and what it would say of itself as the whole."""
    made = read_made(path, "options")
    options = dict(made.options)
    place, parts = options.pop(SHARD, (0, 1))
    return place, parts, replace(made, options=options, configuration=options_digest(options))
