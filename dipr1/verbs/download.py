"""Fetch a data set, check local data, or draw scenes."""

from __future__ import annotations

import argparse
import json

from dipr1.artifacts.writing import whole
from dipr1.datasets.fetching import ARCHIVES, _check_local, _fetch, _generate
from dipr1.datasets.formats import READERS
from dipr1.datasets.sources import SOURCES
from dipr1.demo.scenes import STYLES


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 download``."""
    parser.add_argument(
        "--format",
        choices=["scenes", *sorted(READERS)],
        help="`scenes` generates; others check local files, or say what --url holds (default that"
        " of --source, else scenes)",
    )
    parser.add_argument("--output", required=True, help="folder to write")
    parser.add_argument(
        "--style", choices=list(STYLES), default="street", help="look of the scenes"
    )
    parser.add_argument("--num-images", type=int, default=300, help="scenes to generate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the scenes")
    parser.add_argument("--annotations", help="annotation file or folder; with --url, inside it")
    parser.add_argument("--images", help="folder of the images; with --url, inside it")
    parser.add_argument(
        "--source", metavar="NAME", help=f"fetch a known data set: {', '.join(SOURCES)}"
    )
    parser.add_argument("--url", help="fetch an archive (zip or tar) of your own")
    parser.add_argument("--sha256", help="of the archive of --url, in hexadecimal")
    parser.add_argument(
        "--archives",
        default=ARCHIVES,
        help=f"folder where archives are kept, or put by hand (default {ARCHIVES})",
    )


def run(args: argparse.Namespace) -> None:
    """Write the folder, whole or not at all.

    Raises:
        UserError: a flag is missing or out of bounds, a file does not exist, or it cannot be
            fetched.
    """
    with whole(args.output) as part:
        if args.source or args.url:
            source = _fetch(args, part)
        elif args.format in (None, "scenes"):
            source = _generate(args, part)
        else:
            source = _check_local(args)
        part.mkdir(exist_ok=True)
        text = json.dumps(source, indent=2, ensure_ascii=False) + "\n"
        (part / "source.json").write_text(text, encoding="utf-8")
    print(f"{args.output}: {source['num_images']} images")
