"""Tell what is in a set of annotations."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.writing import output_file, whole
from dipr1.report.cards import as_text, page, sample_pictures
from dipr1.report.describing import describe


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 describe``."""
    parser.add_argument("annotations", metavar="FILE", help="annotations artifact")
    parser.add_argument(
        "--rejects", help="rejects artifact (default FILE with .rejects.parquet, where it exists)"
    )
    parser.add_argument("--json", action="store_true", help="print the numbers as JSON")
    parser.add_argument(
        "--html", type=output_file, metavar="OUT", help="write a page with sample images"
    )


def run(args: argparse.Namespace) -> None:
    """Print the numbers, write the page.

    Raises:
        UserError: a file is missing or not the artifact.
    """
    annotations = ANNOTATIONS.read(args.annotations)
    beside = Path(args.annotations).with_suffix(".rejects.parquet")
    path = args.rejects or (beside if beside.is_file() else None)
    rejects = None if path is None else REJECTS.read(path)
    description = describe(annotations, rejects)
    if args.html:
        name = Path(args.annotations).name.removesuffix(".parquet")
        with whole(args.html) as part:
            part.write_text(page(name, description, sample_pictures(annotations)), "utf-8")
    print(json.dumps(description.as_dict()) if args.json else as_text(description))
