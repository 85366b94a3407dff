"""Turn detection annotations into grounded prompts."""

from __future__ import annotations

import argparse
from dataclasses import replace
from pathlib import Path

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import Made, made_by
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.artifacts.rejects import REJECTS
from dipr1.datasets.converting import (
    _box_rules,
    _check_labels,
    _collector_off,
    _first,
    _read,
    _source,
    _summary,
    annotation_rows,
    found_sizes,
)
from dipr1.datasets.formats import READERS
from dipr1.datasets.images import read_size_table
from dipr1.errors import UserError
from dipr1.policies.families import policy_input, read_policy_frames


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 convert``."""
    parser.add_argument("--source", help="folder made by `dipr1 download` (instead of the next 3)")
    formats = "; ".join(f"{name}: {reader.what}" for name, reader in sorted(READERS.items()))
    parser.add_argument(
        "--format", choices=sorted(READERS), help=f"format of the annotations ({formats})"
    )
    parser.add_argument("--annotations", help="annotation file or folder")
    parser.add_argument("--images", help="folder of the images, whose headers give the sizes")
    parser.add_argument(
        "--sizes",
        help="sizes of the images, where neither they nor the format give them: JSON {id: [height,"
        " width]} or {id: {width, height}}, CSV or Parquet with image_id, width, height",
    )
    boxes = sorted({box for reader in READERS.values() for box in reader.boxes} | {"full"})
    parser.add_argument(
        "--box", choices=boxes, default="full", help="which of an object's boxes (default full)"
    )
    parser.add_argument("--labels", nargs="+", help="labels to keep and to ask for (default all)")
    parser.add_argument(
        "--ignore-labels",
        nargs="+",
        default=[],
        help="labels whose boxes become ignore regions of the first of --labels",
    )
    parser.add_argument(
        "--min-inside",
        type=float,
        default=0.0,
        help="reject boxes with less than this share of their area inside the image (default 0)",
    )
    parser.add_argument(
        "--min-size",
        type=float,
        default=0.0,
        help="ignore boxes whose longer side is under this many pixels (default 0)",
    )
    parser.add_argument("--output", required=True, help="annotations artifact to write")
    parser.add_argument(
        "--rejects", help="rejects artifact to write (default OUTPUT with .rejects.parquet)"
    )
    parser.add_argument("--prompts", help="prompts artifact to write")
    parser.add_argument(
        "--policy", default="tiny", help="`tiny` or a checkpoint folder; sets the prompts' frame"
    )
    parser.add_argument("--dataset", help="name of the data set (default: what --source says)")
    parser.add_argument("--split", help="name of the split (default: what --source says)")
    parser.add_argument("--strict", action="store_true", help="fail if anything is rejected")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> None:
    """Read, check, write.

    Raises:
        UserError: wrong flags, a file of another format, an unknown label, no usable image, or
            rejects under ``--strict`` (the rejects artifact is written first).
    """
    rules = _box_rules(args)
    frames = read_policy_frames(args.policy) if args.prompts else None
    source = _source(args)
    table = read_size_table(args.sizes) if args.sizes else {}
    with _collector_off():
        reading = _read(source, args.box)
        _check_labels(rules, reading)
        sizes, faults = found_sizes(reading, table, has_files=source["images"] is not None)
        annotations, rejects, counts = annotation_rows(reading, sizes, faults, rules)
    made = _made(args, source["format"])
    rejects_path = args.rejects or str(Path(args.output).with_suffix(".rejects.parquet"))
    REJECTS.write(rejects, rejects_path, made)
    print(_summary(counts, rejects, as_json=args.json), flush=True)
    if args.strict and rejects.num_rows:
        raise UserError(
            f"{_first(rejects)}; {rejects.num_rows} records rejected (--strict); see {rejects_path}"
        )
    if not annotations.num_rows:
        reason = f"; first reason: {rejects['reason'][0].as_py()}" if rejects.num_rows else ""
        raise UserError(f"no image is left of {counts['images'].read}{reason}")
    ANNOTATIONS.write(annotations, args.output, made)
    if frames is not None:
        labels = rules.labels or reading.categories
        if not labels:
            raise UserError("--labels: needed for --prompts, since the annotations name none")
        made = replace(made, inputs=(*made.inputs, policy_input(args.policy)))
        PROMPTS.write(prompt_rows(annotations, labels, frames), args.prompts, made)


def _made(args: argparse.Namespace, format_name: str) -> Made:
    """What the artifacts say of themselves."""
    names = ("box", "labels", "ignore_labels", "min_inside", "min_size")
    return made_by(
        "convert",
        {"format": format_name} | {name: getattr(args, name) for name in names},
        [args.source or args.annotations, args.sizes],
        code={"format": format_name},
        dataset=args.dataset,
        split=args.split,
    )
