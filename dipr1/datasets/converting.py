"""Turn what a reader returned into the annotations and rejects artifacts.

Every record that was read is written, rejected with a reason, or of a label that was not asked for;
the three are counted and must add up. Boxes are clipped to their image. Image paths stay as given
(relative ones relative to the working directory) and rows are sorted by image id, so the same input
gives the same bytes wherever it is converted.
"""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, astuple, dataclass
from typing import NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import listed
from dipr1.artifacts.rejects import REJECTS
from dipr1.datasets.options import Conversion
from dipr1.datasets.reading import ANY_LABEL, Reading, Reject
from dipr1.datasets.sizes import MISSING
from dipr1.errors import UserError
from dipr1.pixels import TURN

# Beyond 2^24 float32 no longer holds every integer, and no image is that wide.
_LARGEST_COORDINATE = 2**24

# Boxes looked at together: bounds the memory of the comparisons, not their result.
_SLICE = 2**18

EVERYTHING = Conversion()  # the boxes of all labels

_KEPT, _OTHER_LABEL = 0, 1
_OF_ITS_IMAGE, _TOO_LITTLE_INSIDE = (
    "its image is rejected",
    "too little of bbox lies inside its image",
)
# A box's first fault, in this order, is its reason.
_REASONS = {
    2: _OF_ITS_IMAGE,
    3: "bbox is not finite or absurdly large",
    4: "bbox has no area",
    5: "bbox lies outside its image",
    6: _TOO_LITTLE_INSIDE,
}


class _Verdicts(NamedTuple):
    """What becomes of N boxes."""

    clipped: np.ndarray  # (N, 4) float32, image frame
    fate: np.ndarray  # (N,) uint8, a key of _REASONS where it is rejected
    ignore: np.ndarray  # (N,) bool


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
    rules: Conversion = EVERYTHING,
) -> tuple[pa.Table, pa.Table, dict[str, Count]]:
    """The annotations and rejects artifacts of what was read, and the counts of both kinds.

    An image with a fault is rejected together with its boxes. Boxes are clipped to the image.

    Args:
        reading: what a reader returned.
        sizes: (I, 2) widths and heights of `reading.images`, zeros where not known.
        faults: why each image cannot be used, None where it can.
        rules: which boxes to keep.
    """
    verdicts = _verdicts(reading, sizes, faults, rules)
    annotations = _annotation_table(reading, sizes, faults, verdicts, rules)
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
            *_rejected_boxes(reading, verdicts.fate),
        ]
    )
    num_images = len(reading.rejected_images) + len(reading.images)
    num_boxes = len(reading.rejected_boxes) + len(verdicts.fate)
    num_bad_images = num_images - annotations.num_rows
    counts = {
        "images": Count(num_images, annotations.num_rows, num_bad_images),
        "boxes": Count(
            num_boxes,
            int(pc.sum(pc.list_value_length(annotations["boxes"])).as_py() or 0),
            rejects.num_rows - num_bad_images,
            int(np.count_nonzero(verdicts.fate == _OTHER_LABEL)),
        ),
    }
    return annotations, rejects, counts


def check_labels(rules: Conversion, reading: Reading) -> None:
    """Stop at a label that the data set does not have.

    Raises:
        UserError: one that is asked for or to be ignored is not among its categories.
    """
    for flag, labels in (("labels", rules.labels), ("ignore-labels", rules.ignore_labels)):
        unknown = [label for label in labels or () if label not in reading.categories]
        if unknown:
            raise UserError(
                f"--{flag}: no category {unknown[0]!r}; there are {', '.join(reading.categories)}"
            )


def _label_fates(reading: Reading, rules: Conversion) -> tuple[np.ndarray, np.ndarray]:
    """(L,) whether a label is left out, and (L,) whether its boxes are ignored."""
    left_out = np.zeros(len(reading.labels), bool)
    ignored = np.zeros(len(reading.labels), bool)
    for code, label in enumerate(reading.labels):
        ignored[code] = label == ANY_LABEL or label in rules.ignore_labels
        left_out[code] = rules.labels is not None and not (ignored[code] or label in rules.labels)
    return left_out, ignored


def _verdicts(
    reading: Reading, sizes: np.ndarray, faults: Sequence[str | None], rules: Conversion
) -> _Verdicts:
    boxes = reading.boxes()
    left_out, ignored = _label_fates(reading, rules)
    usable = np.array([fault is None for fault in faults], bool)
    clipped = np.empty(boxes.xyxy.shape, np.float32)
    fate = np.empty(len(clipped), np.uint8)
    ignore = np.empty(len(clipped), bool)
    for start in range(0, len(clipped), _SLICE):
        part = slice(start, start + _SLICE)
        xyxy, image, label = boxes.xyxy[part], boxes.image[part], boxes.label[part]
        with np.errstate(all="ignore"):  # NaN and inf are rejected below, with a reason
            # Clipped as float32, which is how it is stored: an area must be left after rounding.
            inside = np.clip(xyxy, 0, np.tile(sizes[image], 2)).astype(np.float32)
            width, height = (xyxy[:, 2:] - xyxy[:, :2]).T
            inner_width, inner_height = (inside[:, 2:] - inside[:, :2]).T
            share = inner_width.astype(np.float64) * inner_height / (width * height)
            fate[part] = np.select(
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
    return _Verdicts(clipped, fate, ignore)


def _annotation_table(
    reading: Reading,
    sizes: np.ndarray,
    faults: Sequence[str | None],
    verdicts: _Verdicts,
    rules: Conversion,
) -> pa.Table:
    """Rows sorted by image id; the boxes of an image stay in their order."""
    images, boxes = reading.images, reading.boxes()
    good = [index for index, fault in enumerate(faults) if fault is None]
    rows = sorted(good, key=lambda index: images[index].image_id)
    row_of_image = np.zeros(len(images), np.int32)
    row_of_image[rows] = np.arange(len(rows))
    kept = np.flatnonzero(verdicts.fate == _KEPT)
    row_of_box = row_of_image[boxes.image[kept]]
    order = kept[np.argsort(row_of_box, kind="stable")]
    counts = np.bincount(row_of_box, minlength=len(rows))
    offsets = np.concatenate([[0], np.cumsum(counts)])
    asked = rules.labels or reading.categories
    renamed = {label: asked[0] for label in rules.ignore_labels}
    if len(asked) == 1:
        renamed[ANY_LABEL] = asked[0]
    names = [renamed.get(label, label) for label in reading.labels]
    visibility = boxes.visibility[order]
    optional = {"exif": pa.array([rules.exif] * len(rows))} if rules.exif != TURN else {}
    return pa.table(
        {
            "image_id": pa.array([images[row].image_id for row in rows], pa.string()),
            "image": pa.array([images[row].image for row in rows], pa.string()),
            "width": pa.array(sizes[rows, 0]),
            "height": pa.array(sizes[rows, 1]),
            "boxes": listed(verdicts.clipped[order], offsets),
            "labels": listed(_strings(names).take(pa.array(boxes.label[order])), offsets),
            "ignore": listed(verdicts.ignore[order], offsets),
            "visibility": listed(pa.array(visibility, mask=np.isnan(visibility)), offsets),
            **optional,
        },
        schema=ANNOTATIONS.schema_with(optional),
    )


def _rejected_boxes(reading: Reading, fates: np.ndarray) -> Iterator[pa.Table]:
    """The boxes that the reader took and that are rejected here, file by file and not all at once:
    a forgotten flag can reject millions."""
    boxes = reading.boxes()
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


def lost_files(
    reading: Reading, faults: Sequence[str | None], rejected_boxes: pa.Table
) -> tuple[list[str], int]:
    """The annotation files of which every box or every image is rejected, and how many files have
    records: where most are lost, they are not of the format or the images are not theirs.

    Left out is what was understood: images whose file is missing, with their boxes, and boxes with
    less inside their image than was asked for.

    Args:
        reading: what a reader returned.
        faults: why each image cannot be used, None where it can.
        rejected_boxes: the boxes in the rejects artifact.
    """
    images = [
        (image.source, fault is not None)
        for image, fault in zip(reading.images, faults, strict=True)
        if fault != MISSING
    ]
    images += [(reject.source, True) for reject in reading.rejected_images]
    read = Counter(("image", source) for source, _ in images)
    lost = Counter(("image", source) for source, is_rejected in images if is_rejected)
    per_source = np.bincount(reading.boxes().source, minlength=len(reading.sources))
    read += Counter(
        {
            ("box", name): count
            for name, count in zip(reading.sources, per_source.tolist(), strict=True)
        }
    )
    read += Counter(("box", reject.source) for reject in reading.rejected_boxes)
    columns = rejected_boxes["source"].to_pylist(), rejected_boxes["reason"].to_pylist()
    for source, reason in zip(*columns, strict=True):
        if reason in (_OF_ITS_IMAGE, _TOO_LITTLE_INSIDE):
            read["box", source] -= 1
        else:
            lost["box", source] += 1
    those = {source for (kind, source), count in lost.items() if count == read[kind, source]}
    return sorted(those), len({source for (_, source), count in read.items() if count > 0})


def first_reject(rejects: pa.Table) -> str:
    """Where the first of the rejects stands, and why it is one."""
    row = rejects.slice(0, 1).to_pylist()[0]
    return f"{row['source']}: {row['record']}: {row['reason']}"


def examples(rejects: pa.Table, source: str, number: int = 3, longest: int = 80) -> str:
    """Where the first rejects of a file stand, why they are rejected, and what they look like."""
    rows = rejects.filter(pc.equal(rejects["source"], source)).slice(0, number).to_pylist()
    return "; ".join(
        f"{row['record']}: {row['reason']}: {' '.join(row['raw'].split())[:longest]!r}"
        for row in rows
    )


def counts_text(counts: Mapping[str, Count], rejects: pa.Table, *, as_json: bool) -> str:
    """What became of the records, and the reasons of the rejects, the frequent ones first."""
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
