"""Write annotations as COCO JSON."""

from __future__ import annotations

import argparse
import json

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.writing import output_file, whole
from dipr1.datasets.exporting import coco_document
from dipr1.errors import UserError
from dipr1.progress import say


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
    parser.add_argument(
        "--labels",
        nargs="+",
        metavar="LABEL",
        help="the data set's labels, numbered from 1 in this order (default: those that `convert`"
        " was asked for, or that the data set declared, by name)",
    )


def run(args: argparse.Namespace) -> None:
    """Write the file, whole or not at all.

    Raises:
        UserError: no artifact, an image that does not lie in ``--images``, a label that is not
            among ``--labels``, or no labels at all.
    """
    annotations = ANNOTATIONS.read(args.annotations)
    labels = args.labels or _known_labels(args.annotations)
    document = coco_document(annotations, args.images, number_ids=args.number_ids, labels=labels)
    if not document["categories"]:
        raise UserError("--labels: needed, since the annotations name none")
    if labels is None:
        say(f"{args.annotations}: does not say its labels: numbering those that occur (--labels)")
    with whole(args.output) as part, part.open("w", encoding="utf-8") as file:
        json.dump(document, file, ensure_ascii=False)
        file.write("\n")
    print(
        f"{args.output}: {len(document['images'])} images,"
        f" {len(document['annotations'])} annotations"
    )


def _known_labels(path: str) -> list[str] | None:
    """The labels of the data set, by name, as the artifact says them."""
    labels = (read_made(path).options or {}).get("labels")
    return sorted(labels) if labels else None
