"""Turn detection annotations into grounded prompts."""

from __future__ import annotations

import argparse
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import Made, made_by
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.artifacts.rejects import REJECTS
from dipr1.artifacts.writing import output_file
from dipr1.datasets import formats
from dipr1.datasets.converting import (
    annotation_rows,
    check_labels,
    counts_text,
    examples,
    first_reject,
    lost_files,
)
from dipr1.datasets.corrections import corrected, read_corrections
from dipr1.datasets.handover import read_note
from dipr1.datasets.options import Conversion
from dipr1.datasets.reading import collector_off
from dipr1.datasets.sizes import MISSING, an_example, read_size_table, sizes_and_faults, unseen
from dipr1.errors import UserError
from dipr1.options import add_options, options
from dipr1.policies.families import policy_input, read_policy_frames
from dipr1.policies.options import SHOWN, Policy
from dipr1.progress import say
from dipr1.provenance import options_digest


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 convert``."""
    parser.add_argument("--source", help="folder made by `dipr1 download` (in place of the next 3)")
    parser.add_argument(
        "--format",
        choices=formats.NAMES,
        help="format of the annotations. " + " ".join(map(formats.summary, formats.NAMES)),
    )
    parser.add_argument("--annotations", help="annotation file or folder")
    parser.add_argument("--images", help="folder of the images, whose headers give the sizes")
    parser.add_argument(
        "--sizes",
        help="sizes of the images, where neither they nor the format give them: JSON {id: [height,"
        " width]} or {id: {width, height}}, CSV or Parquet with image_id, width, height",
    )
    add_options(parser, Conversion)
    parser.add_argument(
        "--output", required=True, type=output_file, help="annotations artifact to write"
    )
    parser.add_argument(
        "--rejects",
        type=output_file,
        help="rejects artifact to write (default OUTPUT with .rejects.parquet)",
    )
    parser.add_argument(
        "--corrections",
        help="labels that people corrected: JSON of Label Studio, XML of CVAT or a folder of"
        " FiftyOne, which `dipr1 export` can prepare; they replace those of their images",
    )
    parser.add_argument("--prompts", type=output_file, help="prompts artifact to write")
    add_options(parser, Policy, ["model", *SHOWN])
    parser.add_argument("--dataset", help="name of the data set (default: what --source says)")
    parser.add_argument("--split", help="name of the split (default: what --source says)")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


@collector_off()
def run(args: argparse.Namespace) -> None:
    """Read, check, write.

    Raises:
        UserError: wrong flags, a file of another format, an unknown label, no usable image, files
            of which everything is rejected, or rejects under ``--strict`` (the rejects artifact is
            written first).
    """
    rules = options(args, Conversion)
    policy = options(args, Policy)
    frames = read_policy_frames(policy.model, policy.frame, policy.bounds) if args.prompts else None
    source = _source(args)
    with ThreadPoolExecutor(1) as pool:
        # digests of large files take a while, and reading leaves the processor time for them
        made = pool.submit(_made, args, source["format"])
        table = read_size_table(args.sizes) if args.sizes else {}
        reading = formats.read(source["format"], source["annotations"], source["images"], rules.box)
        check_labels(rules, reading)
        sizes, faults = sizes_and_faults(
            reading,
            table,
            has_files=source["images"] is not None,
            exif=rules.exif,
            decode=rules.decode,
            declared_sizes=rules.declared_sizes,
        )
        if frames is not None:
            faults = unseen(frames, sizes, faults)
        annotations, rejects, counts = annotation_rows(reading, sizes, faults, rules)
    missing = [one.image for one, why in zip(reading.images, faults, strict=True) if why == MISSING]
    example = an_example(missing, source["images"])
    labels = rules.labels or reading.categories
    # with the labels of the data set, used or not
    made = _told(made.result(), rules.model_dump(exclude={"strict"}) | {"labels": labels})
    rejects_path = args.rejects or str(Path(args.output).with_suffix(".rejects.parquet"))
    REJECTS.write(rejects, rejects_path, made)
    print(counts_text(counts, rejects, as_json=args.json), flush=True)
    if rules.strict and rejects.num_rows:
        raise UserError(
            f"{first_reject(rejects)}; {rejects.num_rows} records rejected (--strict);"
            f" see {rejects_path}{example}"
        )
    if not annotations.num_rows:
        reason = f"; first reason: {rejects['reason'][0].as_py()}" if rejects.num_rows else ""
        raise UserError(f"no image is left of {counts['images'].read}{reason}{example}")
    lost, num_files = lost_files(reading, faults, rejects.slice(counts["images"].rejected))
    if lost:
        files = lost[0] if num_files == 1 else f"{len(lost)} of {num_files} files"
        fault = (
            f"{files}: every box or every image is rejected, in {lost[0]} for example"
            f" {examples(rejects, lost[0])}"
        )
        if 2 * len(lost) > num_files:
            raise UserError(f"{fault}; are they of this format? See {rejects_path}")
        say(fault)
    if missing:
        say(f"{len(missing)} image files are missing{example}")
    if args.corrections:
        annotations = _corrected(annotations, args.corrections)
    ANNOTATIONS.write(annotations, args.output, made)
    if frames is not None:
        if not labels:
            raise UserError("--labels: needed for --prompts, since the annotations name none")
        PROMPTS.write(
            prompt_rows(annotations, labels, frames), args.prompts, _made_for(made, policy)
        )


def _corrected(annotations: pa.Table, path: str) -> pa.Table:
    corrections = read_corrections(path)
    say(
        f"{path}: {len(corrections)} images corrected,"
        f" {sum(len(one.boxes) for one in corrections)} boxes;"
        f" {sum(one.left_out for one in corrections)} suggested boxes that nobody took"
    )
    return corrected(annotations, corrections, path)


def _source(args: argparse.Namespace) -> dict[str, Any]:
    """Which format, annotations and images (a folder or None) to read."""
    given = {name: getattr(args, name) for name in ("format", "annotations", "images")}
    if args.source is not None:
        if any(given.values()):
            raise UserError("--source already names the files; leave out the other three flags")
        return read_note(Path(args.source))
    if not (args.format and args.annotations):
        raise UserError("expected --source, or --format with --annotations")
    if args.images is not None and not Path(args.images).is_dir():
        raise UserError(f"--images: {args.images}: no such folder")
    return given


def _made(args: argparse.Namespace, format_name: str) -> Made:
    """What the artifacts say of themselves, but for the rules."""
    return made_by(
        "convert",
        {"format": format_name},
        [args.source or args.annotations, args.sizes, args.corrections],
        code={"format": format_name},
        dataset=args.dataset,
        split=args.split,
    )


def _made_for(made: Made, policy: Policy) -> Made:
    """`made` of an artifact that depends on the policy too."""
    told = _told(made, policy.model_dump(include={*SHOWN}, exclude_none=True))
    return replace(told, inputs=(*made.inputs, policy_input(policy.model)))


def _told(made: Made, settings: dict[str, Any]) -> Made:
    """`made` with further options."""
    settings = made.options | settings
    return replace(made, options=settings, configuration=options_digest(settings))
