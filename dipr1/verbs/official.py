"""Print a benchmark's official figures, from its own files."""

from __future__ import annotations

import argparse
import json
import math

from dipr1.artifacts.writing import output_file, whole
from dipr1.evaluation.protocols import PROTOCOLS, official_figures


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 official``."""
    parser.add_argument("protocol", choices=sorted(PROTOCOLS), help="whose evaluation")
    parser.add_argument(
        "--ground-truth", required=True, help="the benchmark's annotation file or folder"
    )
    parser.add_argument("--detections", required=True, help="in the benchmark's own form")
    parser.add_argument(
        "--ignore",
        help="wider: file of the areas to ignore (default: the one beside the ground truth with"
        " `ignore` and the same split in its name)",
    )
    parser.add_argument(
        "--wrap-fault",
        action="store_true",
        help="citypersons: where a reference is below the first false positive, read the recall of"
        " all detections, as the official program does by mistake",
    )
    parser.add_argument("--output", type=output_file, help="JSON file to write")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")


def run(args: argparse.Namespace) -> None:
    """Print the figures; with ``args.output`` write them as JSON, too.

    Raises:
        UserError: a file is not what the protocol reads, or a flag is another protocol's.
    """
    values = official_figures(
        args.protocol,
        args.ground_truth,
        args.detections,
        ignore=args.ignore,
        wrap_fault=args.wrap_fault,
    )
    defined = {name: None if math.isnan(value) else value for name, value in values.items()}
    text = json.dumps(defined, indent=2)
    if args.output:
        with whole(args.output) as part:
            part.write_text(text + "\n")
    print(text if args.json else _lines(PROTOCOLS[args.protocol].form, defined))


def _lines(form: str, values: dict[str, float | None]) -> str:
    """One aligned line per figure; a dash where it is undefined."""
    width = max(map(len, values))
    return "\n".join(
        f"{name:<{width}}  " + ("      -" if value is None else form.format(value))
        for name, value in values.items()
    )
