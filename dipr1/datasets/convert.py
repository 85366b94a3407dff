"""Turn annotation files into the annotations artifact, and that into prompts (verb ``convert``).

Every record that is read is written, rejected with a reason, or of a label that was not asked for;
the three are counted, printed and must add up. Boxes are clipped to their image. Image paths stay
as given (relative ones relative to the working directory) and rows are sorted by image id, so the
same input gives the same bytes wherever it is run.
"""

from __future__ import annotations

import argparse
import gc
import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.datasets import READERS
from dipr1.datasets.coco import raw
from dipr1.datasets.images import image_sizes
from dipr1.datasets.reading import BoxRecord, ImageRecord, Reading, Reject
from dipr1.errors import UserError
from dipr1.prompts import prompt_rows, read_policy_frames
from dipr1.tables import ANNOTATIONS, BOXES, REJECTS, write_table


@dataclass(frozen=True)
class Count:
    """Where the records of one kind went."""

    read: int
    kept: int
    rejected: int
    other_labels: int = 0

    def __post_init__(self) -> None:
        if self.read != self.kept + self.rejected + self.other_labels:
            raise AssertionError(f"records do not add up: {self}")

    def __str__(self) -> str:
        other = f" + other labels {self.other_labels}" if self.other_labels else ""
        return f"in {self.read} = kept {self.kept} + rejected {self.rejected}{other}"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 convert``."""
    parser.add_argument("--source", help="folder made by `dipr1 download` (instead of the next 3)")
    parser.add_argument("--format", choices=sorted(READERS), help="format of the annotation file")
    parser.add_argument("--annotations", help="annotation file")
    parser.add_argument("--images", help="folder of the images")
    parser.add_argument("--labels", nargs="+", required=True, help="labels to keep and to ask for")
    parser.add_argument("--output", required=True, help="annotations artifact to write")
    parser.add_argument("--rejects", required=True, help="rejects artifact to write")
    parser.add_argument("--prompts", help="prompts artifact to write")
    parser.add_argument(
        "--policy", default="tiny", help="`tiny` or a checkpoint folder; sets the prompts' frame"
    )
    parser.add_argument("--strict", action="store_true", help="fail if anything is rejected")
    parser.add_argument("--json", action="store_true", help="print the counts as JSON")


def run(args: argparse.Namespace) -> None:
    """Read, check, write.

    Raises:
        UserError: wrong flags, a file of another format, an unknown label, no usable image, or
            rejects under ``--strict`` (the rejects artifact is written first).
    """
    policy = read_policy_frames(args.policy) if args.prompts else None
    labels = list(dict.fromkeys(args.labels))
    reading = _read(args)
    _check_labels(labels, reading)
    annotations, rejects, counts = annotation_rows(reading, labels)
    write_table(rejects, args.rejects, "rejects")
    reasons = Counter(rejects["reason"].to_pylist())
    print(_summary(counts, reasons, as_json=args.json), flush=True)
    if args.strict and rejects.num_rows:
        raise UserError(f"{rejects.num_rows} records rejected (--strict); see {args.rejects}")
    if not annotations.num_rows:
        reason = f"; first reason: {rejects['reason'][0].as_py()}" if rejects.num_rows else ""
        raise UserError(f"no image is left of {counts['images'].read}{reason}")
    write_table(annotations, args.output, "annotations")
    if policy is not None:
        write_table(prompt_rows(annotations, labels, policy), args.prompts, "prompts")


def annotation_rows(
    reading: Reading, labels: Sequence[str]
) -> tuple[pa.Table, pa.Table, dict[str, Count]]:
    """The annotations and rejects artifacts of what was read, and the counts of both kinds.

    Image headers are read here; an image without a usable file, or whose declared size is not its
    own, is rejected together with its boxes. Boxes are clipped to the image.

    Args:
        reading: what a reader returned.
        labels: boxes of other labels are left out; they are counted but are no rejects.
    """
    sizes, rejected_images = _checked_images(reading.images)
    boxes, clipped, rejected_boxes, num_other = _checked_boxes(reading, sizes, labels)
    all_images = reading.rejected_images + rejected_images
    all_boxes = reading.rejected_boxes + rejected_boxes
    annotations = _annotation_table(reading.images, sizes, boxes, clipped)
    counts = {
        "images": Count(
            len(reading.images) + len(reading.rejected_images),
            annotations.num_rows,
            len(all_images),
        ),
        "boxes": Count(
            len(reading.boxes) + len(reading.rejected_boxes),
            len(boxes),
            len(all_boxes),
            num_other,
        ),
    }
    columns = zip(*(all_images + all_boxes), strict=True) if all_images or all_boxes else [[]] * 4
    rejects = pa.table([pa.array(column, pa.string()) for column in columns], schema=REJECTS)
    return annotations, rejects, counts


def _read(args: argparse.Namespace) -> Reading:
    given = [args.format, args.annotations, args.images]
    if args.source is not None:
        if any(given):
            raise UserError("--source already names the files; leave out the other three flags")
        source = _read_source(Path(args.source))
    elif all(given):
        source = {"format": args.format, "annotations": args.annotations, "images": args.images}
    else:
        raise UserError("expected --source, or --format with --annotations and --images")
    # Half a million records are made here and none of them is garbage: the collector, which would
    # look at all of them again and again, more than doubles the time.
    collecting = gc.isenabled()
    gc.disable()
    try:
        return READERS[source["format"]](source["annotations"], source["images"])
    finally:
        if collecting:
            gc.enable()


def _read_source(folder: Path) -> dict[str, Any]:
    """What `dipr1 download` noted, with paths that hold from the working directory."""
    path = folder / "source.json"
    try:
        source = json.loads(path.read_text(encoding="utf-8"))
        if source["inside"]:
            source["annotations"] = str(folder / source["annotations"])
            source["images"] = str(folder / source["images"])
        digest = file_digest(source["annotations"])
    except (FileNotFoundError, NotADirectoryError) as error:
        raise UserError(f"{error.filename}: no such file; run `dipr1 download` first") from None
    except (ValueError, KeyError, TypeError):
        raise UserError(f"{path}: not written by `dipr1 download`; run it again") from None
    if digest != source.get("sha256"):
        raise UserError(f"{source['annotations']}: changed since `dipr1 download`; run it again")
    if source["format"] not in READERS:
        raise UserError(f"{path}: unknown format {source['format']!r}; known: {', '.join(READERS)}")
    return source


def file_digest(path: str | Path) -> str:
    """SHA-256 of a file, in hexadecimal."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _check_labels(labels: Sequence[str], reading: Reading) -> None:
    unknown = [label for label in labels if label not in reading.labels]
    if unknown:
        raise UserError(
            f"--labels: no category {unknown[0]!r}; there are {', '.join(reading.labels)}"
        )


def _checked_images(images: Sequence[ImageRecord]) -> tuple[np.ndarray, list[Reject]]:
    """(I, 2) widths and heights, zeros for images that are rejected, and the rejects."""
    sizes = np.zeros((len(images), 2), np.int32)
    rejects = []
    for index, found in enumerate(image_sizes([image.image for image in images])):
        image = images[index]
        if isinstance(found, str):
            reason = found
        elif image.size is not None and tuple(image.size) != found:
            reason = (
                f"declared size {image.size[0]} x {image.size[1]} is not the file's"
                f" {found[0]} x {found[1]}"
            )
        else:
            sizes[index] = found
            continue
        rejects.append(Reject(image.source, image.record, reason, image.raw))
    return sizes, rejects


def _checked_boxes(
    reading: Reading, sizes: np.ndarray, labels: Sequence[str]
) -> tuple[list[BoxRecord], np.ndarray, list[Reject], int]:
    """The boxes to keep, the same clipped (N, 4), the rejects, and how many have other labels."""
    asked = set(labels)
    image = np.array([record.image for record in reading.boxes], np.int64)
    boxes = np.array([record.box for record in reading.boxes], np.float64).reshape(-1, 4)
    limits = np.tile(sizes[image], 2).reshape(-1, 4)
    # Clipped as float32, which is how it is stored: an area must be left after the rounding.
    clipped = np.clip(boxes, 0, limits).astype(np.float32)
    has_area = (clipped[:, 2] > clipped[:, 0]) & (clipped[:, 3] > clipped[:, 1])
    has_image = limits[:, 0] > 0
    kept, rejects, num_other = [], [], 0
    for index, record in enumerate(reading.boxes):
        if record.label not in asked:
            num_other += 1
        elif has_area[index]:
            kept.append(index)
        else:
            outside = "bbox lies outside its image"
            reason = outside if has_image[index] else "its image is rejected"
            rejects.append(
                Reject(record.source, record.record, reason, raw(reading.raw_boxes[index]))
            )
    return [reading.boxes[index] for index in kept], clipped[kept], rejects, num_other


def _annotation_table(
    images: Sequence[ImageRecord],
    sizes: np.ndarray,
    boxes: Sequence[BoxRecord],
    clipped: np.ndarray,
) -> pa.Table:
    """Rows sorted by image id; the boxes of an image stay in their order."""
    good = [index for index in range(len(images)) if sizes[index, 0]]
    rows = sorted(good, key=lambda index: images[index].image_id)
    row_of_image = np.zeros(len(images), np.int64)
    row_of_image[rows] = np.arange(len(rows))
    row_of_box = row_of_image[np.array([record.image for record in boxes], np.int64)]
    order = np.argsort(row_of_box, kind="stable").tolist()
    counts = np.bincount(row_of_box, minlength=len(rows))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    coordinates = pa.array(clipped[order].reshape(-1), pa.float32())

    def listed(name: str, kind: pa.DataType) -> pa.Array:
        values = pa.array([getattr(boxes[index], name) for index in order], kind)
        return pa.ListArray.from_arrays(offsets, values)

    return pa.table(
        {
            "image_id": pa.array([images[row].image_id for row in rows], pa.string()),
            "image": pa.array([images[row].image for row in rows], pa.string()),
            "width": pa.array(sizes[rows, 0]),
            "height": pa.array(sizes[rows, 1]),
            "boxes": pa.ListArray.from_arrays(
                offsets, pa.FixedSizeListArray.from_arrays(coordinates, 4)
            ).cast(BOXES),
            "labels": listed("label", pa.string()),
            "ignore": listed("ignore", pa.bool_()),
            "visibility": listed("visibility", pa.float32()),
        },
        schema=ANNOTATIONS,
    )


def _summary(counts: dict[str, Count], reasons: Counter[str], *, as_json: bool) -> str:
    parts = np.array([astuple(count) for count in counts.values()])
    total = Count(*parts.sum(axis=0).tolist())
    if as_json:
        document = {"rows": asdict(total)} | {name: asdict(count) for name, count in counts.items()}
        return json.dumps(document | {"reasons": dict(reasons.most_common())})
    lines = [f"rows {total}"] + [f"  {name} {count}" for name, count in counts.items()]
    lines += [f"  rejected {number}: {reason}" for reason, number in reasons.most_common(10)]
    return "\n".join(lines)
