"""Write an artifact for another program, or with --merge an adapter as a checkpoint."""

from __future__ import annotations

import argparse
import importlib

from dipr1 import exports
from dipr1.artifacts.writing import Output, check_replaceable, whole
from dipr1.exports.options import Exporting
from dipr1.options import add_options, options
from dipr1.policies.options import Checkpoint
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 export``."""
    parser.add_argument(
        "source",
        metavar="PATH",
        help="artifact that the format is made from; with --merge the folder of an adapter",
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Output,
        help="file or folder to write; with --merge the folder of the checkpoint",
    )
    parser.add_argument(
        "--merge", action="store_true", help="make one checkpoint of an adapter and its base"
    )
    merging = parser.add_argument_group("with --merge")
    add_options(merging, Checkpoint, ["dtype"])
    parser = parser.add_argument_group("without --merge")
    parser.add_argument(
        "--format",
        choices=exports.NAMES,
        default="coco",
        help="; ".join(f"{name}: {exports.summary(name)}" for name in exports.NAMES),
    )
    add_options(parser, Exporting)


def run(args: argparse.Namespace) -> None:
    """Write the file or the folder, whole or not at all.

    Raises:
        UserError: no such artifact, or what the format cannot say (its module tells); no adapter,
            or not its base.
    """
    folder = args.merge or exports.is_folder(args.format)
    check_replaceable(args.output, folder=folder)
    if args.merge:
        # by name: what is trained has nothing to do with annotations
        merging = importlib.import_module("dipr1.policies.merging")
        merging.write_merged(args.source, options(args, Checkpoint).dtype, args.output)
        say(f"{args.output}: one checkpoint")
    else:
        with whole(args.output) as part:
            written = exports.write(args.format, args.source, part, options(args, Exporting))
        print(f"{args.output}: {written}")
