"""Turn annotation files into the annotations artifact, and that into prompts (verb ``convert``).

Every record that is read is written, rejected with a reason, or of a label that was not asked for;
the three are counted, printed and must add up. Boxes are clipped to their image. Image paths stay
as given (relative ones relative to the working directory) and rows are sorted by image id, so the
same input gives the same bytes wherever it is run.

An image's size is the one in its header where a folder of images is given, else the one that the
annotations declare, else the one in a table of sizes; an image of unknown size is rejected.
"""

from __future__ import annotations

import argparse
import contextlib
import gc
import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import BOXES
from dipr1.artifacts.rejects import REJECTS
from dipr1.datasets.formats import READERS
from dipr1.datasets.images import image_sizes, whole_size
from dipr1.datasets.reading import ANY_LABEL, Boxes, ImageRecord, Reading, Reject
from dipr1.errors import UserError
from dipr1.provenance import file_digest

# Beyond 2^24 float32 no longer holds every integer, and no image is that wide.
_LARGEST_COORDINATE = 2**24

# Boxes looked at together: bounds the memory of the comparisons, not their result.
_SLICE = 2**18

_KEPT, _OTHER_LABEL = 0, 1
# A box's first fault, in this order, is its reason.
_REASONS = {
    2: "its image is rejected",
    3: "bbox is not finite or absurdly large",
    4: "bbox has no area",
    5: "bbox lies outside its image",
    6: "too little of bbox lies inside its image",
}


@dataclass(frozen=True)
class BoxRules:
    """Which boxes are kept and which of them are ignore regions.

    Attributes:
        labels: labels to keep; None keeps all. Boxes of others are left out, counted, no rejects.
        ignore_labels: boxes of these become ignore regions of the first of `labels`.
        min_inside: a box with less than this share of its area inside the image is rejected.
        min_size: a box whose longer side, clipped, is under this many pixels is ignored.
    """

    labels: Sequence[str] | None = None
    ignore_labels: Sequence[str] = ()
    min_inside: float = 0.0
    min_size: float = 0.0


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


def annotation_rows(
    reading: Reading,
    sizes: np.ndarray,
    faults: Sequence[str | None],
    rules: BoxRules = BoxRules(),
) -> tuple[pa.Table, pa.Table, dict[str, Count]]:
    """The annotations and rejects artifacts of what was read, and the counts of both kinds.

    An image with a fault is rejected together with its boxes. Boxes are clipped to the image.

    Args:
        reading: what a reader returned.
        sizes: (I, 2) widths and heights of `reading.images`, zeros where not known.
        faults: why each image cannot be used, None where it can.
        rules: which boxes to keep.
    """
    boxes = reading.boxes()
    clipped, fates, ignore = _judged(boxes, sizes, faults, _label_fates(reading, rules), rules)
    annotations = _annotation_table(reading, sizes, faults, boxes, clipped, fates, ignore, rules)
    rejects = pa.concat_tables(
        [
            _reject_table(reading.rejected_images),
            _reject_table(
                [
                    Reject(image.source, image.record, fault, image.raw)
                    for image, fault in zip(reading.images, faults, strict=True)
                    if fault is not None
                ]
            ),
            _reject_table(reading.rejected_boxes),
            *_rejected_boxes(reading, boxes, fates),
        ]
    )
    num_images = len(reading.rejected_images) + len(reading.images)
    num_boxes = len(reading.rejected_boxes) + len(fates)
    num_bad_images = num_images - annotations.num_rows
    counts = {
        "images": Count(num_images, annotations.num_rows, num_bad_images),
        "boxes": Count(
            num_boxes,
            int(pc.sum(pc.list_value_length(annotations["boxes"])).as_py() or 0),
            rejects.num_rows - num_bad_images,
            int(np.count_nonzero(fates == _OTHER_LABEL)),
        ),
    }
    return annotations, rejects, counts


def found_sizes(
    reading: Reading, table: Mapping[str, tuple[int, int]], *, has_files: bool
) -> tuple[np.ndarray, list[str | None]]:
    """(I, 2) width and height of each image, and in words why it cannot be used, None if it can.

    Args:
        reading: what a reader returned.
        table: sizes by image id, for images whose size nothing else tells.
        has_files: read the image files' headers; a file that is missing, broken or of another size
            than declared is a fault.
    """
    images = reading.images
    usable = [index for index, image in enumerate(images) if image.fault is None]
    found: dict[int, tuple[int, int] | str] = {}
    if has_files:
        headers = image_sizes([images[index].image for index in usable])
        found = dict(zip(usable, headers, strict=True))
    sizes = np.zeros((len(images), 2), np.int32)
    faults: list[str | None] = [image.fault for image in images]
    for index in usable:
        size = _size_of(images[index], found.get(index), table)
        if isinstance(size, str):
            faults[index] = size
        else:
            sizes[index] = size
    return sizes, faults


def _size_of(
    image: ImageRecord, found: tuple[int, int] | str | None, table: Mapping[str, tuple[int, int]]
) -> tuple[int, int] | str:
    if isinstance(found, str):
        return found
    declared = image.size
    if declared is not None:
        size = whole_size(*declared)
        if found is not None and size != found:
            return (
                f"declared size {declared[0]} x {declared[1]} is not the file's"
                f" {found[0]} x {found[1]}"
            )
        if size is None:
            return "its declared size is not two positive whole numbers"
        return size
    known = found or table.get(image.image_id)
    return known or "its size is not known: give --images or --sizes"


def _box_rules(args: argparse.Namespace) -> BoxRules:
    if not 0 <= args.min_inside <= 1:
        raise UserError(f"--min-inside: expected a share in 0..1 but got {args.min_inside}")
    if not args.min_size >= 0:
        raise UserError(f"--min-size: expected 0 or more pixels but got {args.min_size}")
    if args.ignore_labels and not args.labels:
        raise UserError("--ignore-labels: needs --labels, whose first one they are ignored for")
    both = [label for label in args.ignore_labels if label in args.labels]
    if both:
        raise UserError(f"--ignore-labels: {both[0]!r} is among --labels; take it out of one")
    labels = list(dict.fromkeys(args.labels)) if args.labels else None
    return BoxRules(labels, args.ignore_labels, args.min_inside, args.min_size)


def _source(args: argparse.Namespace) -> dict[str, Any]:
    """Which format, annotations and images (a folder or None) to read."""
    given = {name: getattr(args, name) for name in ("format", "annotations", "images")}
    if args.source is not None:
        if any(given.values()):
            raise UserError("--source already names the files; leave out the other three flags")
        return _read_source(Path(args.source))
    if not (args.format and args.annotations):
        raise UserError("expected --source, or --format with --annotations")
    if args.images is not None and not Path(args.images).is_dir():
        raise UserError(f"--images: {args.images}: no such folder")
    return given


def _read(source: Mapping[str, Any], box: str) -> Reading:
    reader = READERS[source["format"]]
    if box not in reader.boxes:
        raise UserError(
            f"--box: format {source['format']} has no {box} boxes; it has {', '.join(reader.boxes)}"
        )
    variant = {"box": box} if len(reader.boxes) > 1 else {}
    return reader.read(source["annotations"], source["images"], **variant)


@contextlib.contextmanager
def _collector_off() -> Iterator[None]:
    """Hundreds of thousands of records are made here and none of them is garbage: the collector,
    which would look at all of them again and again, more than doubles the time."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        yield
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


def _check_labels(rules: BoxRules, reading: Reading) -> None:
    for flag, labels in (("labels", rules.labels), ("ignore-labels", rules.ignore_labels)):
        unknown = [label for label in labels or () if label not in reading.categories]
        if unknown:
            raise UserError(
                f"--{flag}: no category {unknown[0]!r}; there are {', '.join(reading.categories)}"
            )


def _label_fates(reading: Reading, rules: BoxRules) -> tuple[np.ndarray, np.ndarray]:
    """(L,) whether a label is left out, and (L,) whether its boxes are ignored."""
    left_out = np.zeros(len(reading.labels), bool)
    ignored = np.zeros(len(reading.labels), bool)
    for code, label in enumerate(reading.labels):
        ignored[code] = label == ANY_LABEL or label in rules.ignore_labels
        left_out[code] = rules.labels is not None and not (ignored[code] or label in rules.labels)
    return left_out, ignored


def _judged(
    boxes: Boxes,
    sizes: np.ndarray,
    faults: Sequence[str | None],
    label_fates: tuple[np.ndarray, np.ndarray],
    rules: BoxRules,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(N, 4) float32 boxes clipped to their images, (N,) their fates and (N,) what is ignored."""
    left_out, ignored = label_fates
    usable = np.array([fault is None for fault in faults], bool)
    clipped = np.empty(boxes.xyxy.shape, np.float32)
    fates = np.empty(len(clipped), np.uint8)
    ignore = np.empty(len(clipped), bool)
    for start in range(0, len(clipped), _SLICE):
        part = slice(start, start + _SLICE)
        xyxy, image, label = boxes.xyxy[part], boxes.image[part], boxes.label[part]
        with np.errstate(all="ignore"):  # what is not finite is told by its own reason
            # Clipped as float32, which is how it is stored: an area must be left after rounding.
            inside = np.clip(xyxy, 0, np.tile(sizes[image], 2)).astype(np.float32)
            width, height = (xyxy[:, 2:] - xyxy[:, :2]).T
            inner_width, inner_height = (inside[:, 2:] - inside[:, :2]).T
            share = inner_width.astype(np.float64) * inner_height / (width * height)
            fates[part] = np.select(
                [
                    left_out[label],
                    ~usable[image],
                    ~(np.abs(xyxy) < _LARGEST_COORDINATE).all(axis=1),  # false for NaN
                    ~((width > 0) & (height > 0)),
                    ~((inner_width > 0) & (inner_height > 0)),
                    share < rules.min_inside,
                ],
                [_OTHER_LABEL, *_REASONS],
                _KEPT,
            )
            small = np.maximum(inner_width, inner_height) < rules.min_size
        clipped[part] = inside
        ignore[part] = boxes.ignore[part] | ignored[label] | small
    return clipped, fates, ignore


def _annotation_table(
    reading: Reading,
    sizes: np.ndarray,
    faults: Sequence[str | None],
    boxes: Boxes,
    clipped: np.ndarray,
    fates: np.ndarray,
    ignore: np.ndarray,
    rules: BoxRules,
) -> pa.Table:
    """Rows sorted by image id; the boxes of an image stay in their order."""
    images = reading.images
    good = [index for index, fault in enumerate(faults) if fault is None]
    rows = sorted(good, key=lambda index: images[index].image_id)
    row_of_image = np.zeros(len(images), np.int32)
    row_of_image[rows] = np.arange(len(rows))
    kept = np.flatnonzero(fates == _KEPT)
    row_of_box = row_of_image[boxes.image[kept]]
    order = kept[np.argsort(row_of_box, kind="stable")]
    counts = np.bincount(row_of_box, minlength=len(rows))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    coordinates = pa.array(clipped[order].reshape(-1))
    asked = rules.labels or reading.categories
    names = [
        asked[0] if label == ANY_LABEL or label in rules.ignore_labels else label
        for label in reading.labels
    ]
    visibility = boxes.visibility[order]

    def listed(values: pa.Array) -> pa.Array:
        return pa.ListArray.from_arrays(offsets, values)

    return pa.table(
        {
            "image_id": pa.array([images[row].image_id for row in rows], pa.string()),
            "image": pa.array([images[row].image for row in rows], pa.string()),
            "width": pa.array(sizes[rows, 0]),
            "height": pa.array(sizes[rows, 1]),
            "boxes": listed(pa.FixedSizeListArray.from_arrays(coordinates, 4)).cast(BOXES),
            "labels": listed(_strings(names).take(pa.array(boxes.label[order]))),
            "ignore": listed(pa.array(ignore[order])),
            "visibility": listed(pa.array(visibility, mask=np.isnan(visibility))),
        },
        schema=ANNOTATIONS.schema,
    )


def _rejected_boxes(reading: Reading, boxes: Boxes, fates: np.ndarray) -> Iterator[pa.Table]:
    """The boxes that the reader took and `convert` rejects, file by file and not all at once: a
    forgotten flag can reject millions."""
    rejected = np.flatnonzero(fates > _OTHER_LABEL)
    by_source = rejected[np.argsort(boxes.source[rejected], kind="stable")]
    starts = np.flatnonzero(np.diff(boxes.source[by_source], prepend=-1))
    for chosen in np.split(by_source, starts[1:]) if len(starts) else ():
        source = reading.sources[boxes.source[chosen[0]]]
        images, numbers = boxes.image[chosen].tolist(), boxes.number[chosen].tolist()
        raws = reading.raws(source, images, numbers)
        rejects = (
            Reject(
                source,
                reading.box_record.format(number=number, image=reading.images[image].record),
                _REASONS[fate],
                raw,
            )
            for image, number, fate, raw in zip(
                images, numbers, fates[chosen].tolist(), raws, strict=True
            )
        )
        while some := list(itertools.islice(rejects, _SLICE // 8)):
            yield _reject_table(some)


def _reject_table(rejects: Sequence[Reject]) -> pa.Table:
    columns = zip(*rejects, strict=True) if rejects else [[]] * len(REJECTS.schema)
    return pa.table([_strings(column) for column in columns], schema=REJECTS.schema)


def _strings(texts: Sequence[str]) -> pa.Array:
    try:
        return pa.array(texts, pa.string())
    except UnicodeEncodeError:  # JSON can escape half a character, which no UTF-8 file can hold
        return pa.array([text.encode("utf-8", "backslashreplace") for text in texts]).cast(
            pa.string()
        )


def _first(rejects: pa.Table) -> str:
    row = rejects.slice(0, 1).to_pylist()[0]
    return f"{row['source']}: {row['record']}: {row['reason']}"


def _summary(counts: Mapping[str, Count], rejects: pa.Table, *, as_json: bool) -> str:
    reasons = Counter(
        {pair["values"]: pair["counts"] for pair in pc.value_counts(rejects["reason"]).to_pylist()}
    )
    parts = np.array([astuple(count) for count in counts.values()])
    total = Count(*parts.sum(axis=0).tolist())
    if as_json:
        document = {"rows": asdict(total)} | {name: asdict(count) for name, count in counts.items()}
        return json.dumps(document | {"reasons": dict(reasons.most_common())})
    lines = [f"rows {total}"] + [f"  {name} {count}" for name, count in counts.items()]
    lines += [f"  rejected {number}: {reason}" for reason, number in reasons.most_common(10)]
    return "\n".join(lines)
