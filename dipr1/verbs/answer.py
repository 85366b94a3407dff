"""Find everybody in pictures: boxes as JSON, and pictures with them drawn."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from dipr1.answering import Answer, answer
from dipr1.artifacts.writing import MADE_BY, output_file, output_folder, whole
from dipr1.errors import UserError
from dipr1.options import add_options, options
from dipr1.policies.options import Answering, Asked, Generation, LookAgain
from dipr1.progress import say
from dipr1.report.drawn import drawn
from dipr1.report.pictures import open_picture


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 answer``."""
    parser.add_argument("images", metavar="IMAGE", nargs="+", help="pictures, or folders of them")
    parser.add_argument(
        "--labels", nargs="+", default=["person"], help="what to find (default person)"
    )
    parser.add_argument(
        "--look-again",
        action="store_true",
        help="look again at the regions that the answer is unsure of, enlarged",
    )
    parser.add_argument(
        "--output", type=output_file, help="JSON file to write (default standard output)"
    )
    parser.add_argument(
        "--pictures", type=output_folder, help="folder of pictures to write, the boxes drawn"
    )
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads (default all)")
    add_options(parser, Answering)
    add_options(parser, Asked)
    add_options(parser, Generation)
    add_options(parser.add_argument_group("with --look-again"), LookAgain)


def run(args: argparse.Namespace) -> None:
    """Answer, and write what was found.

    Raises:
        UserError: a file is no picture, or a folder has none.
    """
    found = answer(
        pictures_in(args.images),
        options(args, Answering),
        args.labels,
        look_again=options(args, LookAgain) if args.look_again else None,
        generation=options(args, Generation),
        form=options(args, Asked).form,
        threads=args.threads,
    )
    content = {"description": f"answers, {MADE_BY}", "images": [one.as_json() for one in found]}
    text = json.dumps(content, indent=1, ensure_ascii=False) + "\n"
    if args.output:
        with whole(args.output) as part:
            part.write_text(text, encoding="utf-8")
    else:
        sys.stdout.write(text)
    if args.pictures:
        with whole(args.pictures) as part:
            part.mkdir()
            write_pictures(found, part)
    say(f"{sum(len(one.boxes) for one in found)} boxes in {len(found)} images")


def pictures_in(paths: Sequence[str]) -> list[str]:
    """The pictures that are named, and those in folders that are, by name.

    Raises:
        UserError: a folder has no picture.
    """
    known, found = Image.registered_extensions(), []
    for path in map(Path, paths):
        inside = [path]
        if path.is_dir():
            inside = sorted(one for one in path.iterdir() if one.suffix.lower() in known)
            if not inside:
                raise UserError(f"{path}: no pictures in this folder; name another")
        found += map(str, inside)
    return found


def write_pictures(found: Sequence[Answer], folder: Path) -> None:
    """One picture per answer, numbered, under its own name."""
    for number, one in enumerate(found, 1):
        picture = drawn(
            open_picture(one.image), one.boxes, one.view, one.confidence, one.looks, one.windows
        )
        picture.save(folder / f"{number:04d}_{Path(one.image).stem}.png")
