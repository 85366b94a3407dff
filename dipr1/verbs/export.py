"""Write annotations as COCO JSON, or with --merge an adapter and its base as one checkpoint."""

from __future__ import annotations

import argparse
import importlib
import json

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.writing import Output, check_replaceable, whole
from dipr1.datasets.exporting import coco_document
from dipr1.errors import UserError
from dipr1.options import add_options, options
from dipr1.policies.options import Checkpoint
from dipr1.progress import say


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 export``."""
    parser.add_argument(
        "source", metavar="PATH", help="annotations artifact; with --merge the folder of an adapter"
    )
    parser.add_argument(
        "--output",
        required=True,
        type=Output,
        help="COCO JSON file to write; with --merge the folder of the checkpoint",
    )
    parser.add_argument(
        "--merge", action="store_true", help="make one checkpoint of an adapter and its base"
    )
    merging = parser.add_argument_group("with --merge")
    add_options(merging, Checkpoint, ["dtype"])
    parser = parser.add_argument_group("without --merge")
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
    """Write the file or the folder, whole or not at all.

    Raises:
        UserError: no artifact, an image that does not lie in ``--images``, a label that is not
            among ``--labels``, or no labels at all; no adapter, or not its base.
    """
    check_replaceable(args.output, folder=args.merge)
    if args.merge:
        # by name: what is trained has nothing to do with annotations
        merging = importlib.import_module("dipr1.policies.merging")
        merging.write_merged(args.source, options(args, Checkpoint).dtype, args.output)
        say(f"{args.output}: one checkpoint")
    else:
        _write_coco(args)


def _write_coco(args: argparse.Namespace) -> None:
    annotations = ANNOTATIONS.read(args.source)
    labels = args.labels or _known_labels(args.source)
    document = coco_document(annotations, args.images, number_ids=args.number_ids, labels=labels)
    if not document["categories"]:
        raise UserError("--labels: needed, since the annotations name none")
    if labels is None:
        say(f"{args.source}: does not say its labels: numbering those that occur (--labels)")
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
