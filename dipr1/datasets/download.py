"""Get a data set's files in place: generate the built-in scenes, or check local files (verb
``download``).

The folder that is written holds `source.json`, which tells ``dipr1 convert`` what to read. Real
data sets ask for a licence to be accepted, so their files are named, not fetched.
"""

from __future__ import annotations

import argparse
import json
import os
from pathlib import Path
from typing import Any

from dipr1.datasets import READERS
from dipr1.datasets.convert import file_digest
from dipr1.errors import UserError
from dipr1.progress import progress
from dipr1.scenes import STYLES, write_scenes
from dipr1.tables import whole


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 download``."""
    parser.add_argument(
        "--format",
        choices=["scenes", *sorted(READERS)],
        default="scenes",
        help="`scenes` generates; others check local files (default scenes)",
    )
    parser.add_argument("--output", required=True, help="folder to write")
    parser.add_argument(
        "--style", choices=list(STYLES), default="street", help="look of the scenes"
    )
    parser.add_argument("--num-images", type=int, default=300, help="scenes to generate")
    parser.add_argument("--seed", type=int, default=0, help="seed of the scenes")
    parser.add_argument("--annotations", help="annotation file")
    parser.add_argument("--images", help="folder of the images")


def run(args: argparse.Namespace) -> None:
    """Write the folder, whole or not at all.

    Raises:
        UserError: a flag is missing or out of bounds, or a file does not exist.
    """
    with whole(args.output) as part:
        if args.format == "scenes":
            source = _generate(args, part)
        else:
            source = _check_local(args)
            part.mkdir()
        text = json.dumps(source, indent=2, ensure_ascii=False) + "\n"
        (part / "source.json").write_text(text, encoding="utf-8")
    print(f"{args.output}: {source['num_images']} images")


def _generate(args: argparse.Namespace, folder: Path) -> dict[str, Any]:
    if args.num_images < 1:
        raise UserError(f"--num-images: expected at least 1 but got {args.num_images}")
    if args.seed < 0:
        raise UserError(f"--seed: expected 0 or more but got {args.seed}")
    steps = progress(range(args.num_images), desc="drawing scenes")
    write_scenes(
        folder,
        num_images=args.num_images,
        seed=args.seed,
        style=args.style,
        on_progress=lambda _: next(steps, None),
    )
    next(steps, None)  # closes the bar
    return {
        "format": "coco",
        "annotations": "annotations.json",
        "images": "images",
        "inside": True,
        "sha256": file_digest(folder / "annotations.json"),
        "num_images": args.num_images,
        "scenes": {"style": args.style, "seed": args.seed},
    }


def _check_local(args: argparse.Namespace) -> dict[str, Any]:
    """Paths stay as given: relative ones are relative to the working directory."""
    for flag, path, exists in (
        ("--annotations", args.annotations, os.path.isfile),
        ("--images", args.images, os.path.isdir),
    ):
        if path is None:
            raise UserError(f"{flag}: needed for format {args.format}")
        if not exists(path):
            kind = "file" if exists is os.path.isfile else "folder"
            raise UserError(
                f"{flag}: {path}: no such {kind};"
                " get the data set from its makers and name where it lies"
            )
    images = [image.image for image in READERS[args.format](args.annotations, args.images).images]
    missing = [path for path in images if not os.path.isfile(path)]
    if images and len(missing) == len(images):
        raise UserError(
            f"--images: {args.images}: none of the {len(images)} images of {args.annotations} is"
            f" there; expected for example {missing[0]}"
        )
    if missing:
        print(f"{len(missing)} of {len(images)} image files are missing and will be rejected")
    return {
        "format": args.format,
        "annotations": args.annotations,
        "images": args.images,
        "inside": False,
        "sha256": file_digest(args.annotations),
        "num_images": len(images),
    }
