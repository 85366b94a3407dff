"""Write annotations as COCO JSON."""

from __future__ import annotations

import argparse
import json

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.writing import output_file, whole
from dipr1.datasets.exporting import coco_document


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 export``."""
    parser.add_argument("annotations", metavar="FILE", help="annotations artifact")
    parser.add_argument("--output", required=True, type=output_file, help="COCO JSON file to write")
    parser.add_argument(
        "--images", help="write file names relative to this folder (default: paths as they are)"
    )
    parser.add_argument(
        "--number-ids",
        action="store_true",
        help="number the images from 1, for tools that cannot read ids that are text; the id is"
        " kept under `image_id`",
    )


def run(args: argparse.Namespace) -> None:
    """Write the file, whole or not at all.

    Raises:
        UserError: no artifact, or an image that does not lie in ``--images``.
    """
    document = coco_document(
        ANNOTATIONS.read(args.annotations), args.images, number_ids=args.number_ids
    )
    with whole(args.output) as part, part.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
        file.write("\n")
    print(
        f"{args.output}: {len(document['images'])} images,"
        f" {len(document['annotations'])} annotations"
    )
