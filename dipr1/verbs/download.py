"""Fetch a data set, check local data, or draw scenes."""

from __future__ import annotations

import argparse
import json
from typing import Any

from dipr1.artifacts.made import Input, Made, made_by, write_made
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
    parser.add_argument("--dataset", help="name of the data set, for all that is made of it")
    parser.add_argument("--split", help="name of the split, likewise")


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
        write_made(part, "download", _made(args, source))
    print(f"{args.output}: {source['num_images']} images")


def _made(args: argparse.Namespace, source: dict[str, Any]) -> Made:
    """What the folder says of itself."""
    names = ("style", "num_images", "seed") if source.get("scenes") else ("source", "url", "sha256")
    archives = source.get("source", {}).get("files", [])
    if archives:
        inputs = [Input(f"{args.archives}/{one['name']}", one["sha256"]) for one in archives]
    elif source["inside"]:
        inputs = []
    else:
        inputs = [Input(source["annotations"], source["sha256"])]
    kind = "scenes" if source.get("scenes") else source["format"]
    return made_by(
        "download",
        {"format": kind} | {name: getattr(args, name) for name in names},
        inputs,
        code={"format": kind},
        dataset=args.dataset,
        split=args.split,
    )
