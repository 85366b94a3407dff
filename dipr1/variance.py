"""Box-variance statistics: where the base policy's boxes come and go, or move.

Published is that looking is guided by the variance of the boxes. The equation and the number of
samples are not, so what is here is our definition (docs: the method, section 4). N responses are
sampled per image. Their boxes are gathered into regions: one per ground truth box, and one for each
further place at which boxes are found (a phantom). A region's uncertainty u is low where its box is
found in every sample at the same place, and high where it is found in about half of the samples, or
with borders that differ.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import area, as_boxes, clip, ioa, match_pairs, overlapping
from dipr1.errors import UserError

if TYPE_CHECKING:
    import pyarrow as pa

IGNORE_IOA = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One place of an image at which boxes are, or should be, found.

    Attributes:
        kind: "object" (a ground truth box) or "phantom" (sampled boxes only).
        gt_index: index among the image's boxes that are not ignored; None for a phantom.
        box: (4,) the ground truth's box, or the mean of the members. Image frame.
        hull: (4,) smallest box that holds `box` and all members. Image frame.
        support: share of the samples with a member here, in [0, 1].
        num_samples: N.
        existence_variance: e in (0, 1], 1 where half of the samples have a member.
        box_variance: v, mean variance of the sides over the squared size; None below two members.
        uncertainty: u in (0, 1].
    """

    kind: Literal["object", "phantom"]
    gt_index: int | None
    box: np.ndarray
    hull: np.ndarray
    support: float
    num_samples: int
    existence_variance: float
    box_variance: float | None
    uncertainty: float


def box_variance(
    samples: Sequence[ArrayLike],
    gt_boxes: ArrayLike,
    ignore_boxes: ArrayLike = (),
    *,
    match_iou: float = 0.5,
    v0: float = 0.01,
) -> list[Region]:
    """Regions of one image, ground truth first and in its order, then phantoms as they appear.

    Args:
        samples: N arrays (n, 4) of the boxes of each response, clipped to the image; a malformed
            response is an empty one. Boxes without area are dropped. Image frame.
        gt_boxes: (G, 4) ground truth that is not ignored.
        ignore_boxes: (I, 4) regions in which a box that matches no ground truth is dropped.
        match_iou: the smallest IoU of a matched pair.
        v0: the box variance at which certainty has fallen to 1/e.

    Raises:
        ValueError: there are no samples.

    >>> [region] = box_variance([[[0, 0, 10, 10]], [[0, 0, 10, 10]]], [[0, 0, 10, 10]])
    >>> region.support, region.box_variance, round(region.uncertainty, 3)
    (1.0, 0.0, 0.556)
    """
    gathered = _gather(samples, as_boxes(gt_boxes), as_boxes(ignore_boxes), match_iou, v0)
    return [
        Region(
            kind="object" if gt_index >= 0 else "phantom",
            gt_index=gt_index if gt_index >= 0 else None,
            box=box,
            hull=hull,
            support=support,
            num_samples=len(samples),
            existence_variance=existence,
            box_variance=None if variance != variance else variance,
            uncertainty=uncertainty,
        )
        for gt_index, box, hull, support, existence, variance, uncertainty in zip(
            gathered.gt_index.tolist(),
            gathered.box,
            gathered.hull,
            gathered.support.tolist(),
            gathered.existence_variance.tolist(),
            gathered.box_variance.tolist(),
            gathered.uncertainty.tolist(),
            strict=True,
        )
    ]


def look_targets(
    hulls: ArrayLike, uncertainty: ArrayLike, threshold: float = 0.5, max_regions: int = 16
) -> np.ndarray:
    """Which regions a response should look at, the most important first.

    Args:
        hulls: (K, 4) hulls of an image's regions, any one frame; one without area is never chosen.
        uncertainty: (K,) values in [0, 1].
        threshold: the smallest uncertainty of a chosen region.
        max_regions: at most so many are chosen.

    Returns:
        (<= max_regions,) indices: the highest uncertainty first, of equal ones the larger hull
        first, of equal hulls the first.

    >>> look_targets([[0, 0, 1, 1], [0, 0, 3, 3], [0, 0, 2, 2]], [0.9, 0.2, 0.9])
    array([2, 0])
    """
    areas, uncertainty = area(hulls), np.asarray(uncertainty, dtype=np.float64)
    candidates = np.flatnonzero((uncertainty >= threshold) & (areas > 0.0))
    order = np.lexsort((-areas[candidates], -uncertainty[candidates]))
    return candidates[order[:max_regions]]


# --- one image ----------------------------------------------------------------------------------


@dataclass(slots=True)
class _Regions:
    """All regions of an image, as columns; gt_index is -1 and box_variance NaN for null."""

    gt_index: np.ndarray
    box: np.ndarray
    hull: np.ndarray
    support: np.ndarray
    existence_variance: np.ndarray
    box_variance: np.ndarray
    uncertainty: np.ndarray


def _gather(
    samples: Sequence[ArrayLike],
    gt_boxes: np.ndarray,
    ignore_boxes: np.ndarray,
    match_iou: float,
    v0: float,
) -> _Regions:
    """Measure the regions of one image."""
    if len(samples) == 0:
        raise ValueError("box_variance needs at least one sample")
    members, region = _assign(samples, gt_boxes, ignore_boxes, match_iou)
    num_regions = max(len(gt_boxes), int(region.max(initial=-1)) + 1)
    count = np.bincount(region, minlength=num_regions)
    mean = _sums(members, region, num_regions) / np.maximum(count, 1)[:, None]
    variance = _relative_variance(members, region, mean, count)
    # 4 q (1 - q) in whole numbers: found m times and missed m times give the same, to the last bit,
    # so that ties between regions are ties.
    existence = (2 * count + 1) * (2 * (len(samples) - count) + 1) / (len(samples) + 1) ** 2
    # u = 1 - (1 - e) exp(-v / v0), written so that it is e itself where v is 0 or null.
    unsteadiness = -np.expm1(-np.nan_to_num(variance) / v0)
    box = np.concatenate([gt_boxes, mean[len(gt_boxes) :]])
    hull = box.copy()
    np.minimum.at(hull[:, :2], region, members[:, :2])
    np.maximum.at(hull[:, 2:], region, members[:, 2:])
    gt_index = np.arange(num_regions)
    gt_index[len(gt_boxes) :] = -1
    return _Regions(
        gt_index=gt_index,
        box=box,
        hull=hull,
        support=count / len(samples),
        existence_variance=existence,
        box_variance=variance,
        uncertainty=existence + (1.0 - existence) * unsteadiness,
    )


def _assign(
    samples: Sequence[ArrayLike],
    gt_boxes: np.ndarray,
    ignore_boxes: np.ndarray,
    match_iou: float,
) -> tuple[np.ndarray, np.ndarray]:
    """The boxes that join a region, (M, 4) in order of the samples, and their regions (M,)."""
    num_gt = len(gt_boxes)
    # Of ground truth the anchor; of phantoms the sum of the members, divided by their number below.
    sums, counts = gt_boxes, np.ones(num_gt)
    members, regions = [np.empty((0, 4))], [np.empty(0, dtype=np.intp)]
    for boxes in samples:
        boxes = as_boxes(boxes)
        boxes = boxes[area(boxes) > 0.0]
        if len(boxes) == 0:
            continue
        ignored = (ioa(boxes, ignore_boxes) >= IGNORE_IOA).any(axis=1)
        pairs = overlapping(boxes, sums / counts[:, None], match_iou)
        # A box in an ignore region counts only where it is a ground truth's.
        allowed = ~ignored[pairs[0]] | (pairs[1] < num_gt)
        matched, anchors, _ = match_pairs(*(values[allowed] for values in pairs))
        region = np.full(len(boxes), -1)
        region[matched] = anchors
        new = np.flatnonzero((region < 0) & ~ignored)
        region[new] = len(sums) + np.arange(len(new))
        phantoms = anchors >= num_gt
        sums = np.concatenate([sums, boxes[new]])
        counts = np.concatenate([counts, np.ones(len(new))])
        sums[anchors[phantoms]] += boxes[matched[phantoms]]
        counts[anchors[phantoms]] += 1.0
        kept = region >= 0
        members.append(boxes[kept])
        regions.append(region[kept])
    return np.concatenate(members), np.concatenate(regions)


def _sums(values: np.ndarray, region: np.ndarray, num_regions: int) -> np.ndarray:
    """(num_regions, 4) sums of the rows of `values` (M, 4) by region."""
    return np.stack(
        [np.bincount(region, weights=side, minlength=num_regions) for side in values.T], axis=1
    )


def _relative_variance(
    members: np.ndarray, region: np.ndarray, mean: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """(R,) mean over the sides of their variance over the squared size; NaN below two members."""
    squares = _sums((members - mean[region]) ** 2, region, len(count))
    repeated = count >= 2
    size = (mean[:, 2:] - mean[:, :2])[repeated]
    relative = squares[repeated] / (count[repeated] - 1)[:, None] / np.tile(size, 2) ** 2
    variance = np.full(len(count), np.nan)
    variance[repeated] = relative.mean(axis=1)
    return variance


# --- the verb -----------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 variance``."""
    from dipr1.cli import add_options
    from dipr1.config import Variance

    parser.add_argument(
        "samples", nargs="+", metavar="SAMPLES", help="samples/*.parquet, all shards of one split"
    )
    parser.add_argument("--annotations", required=True, help="annotations/*.parquet of the split")
    parser.add_argument("--output", required=True, help="variance/*.parquet to write")
    parser.add_argument(
        "--allow-missing",
        action="store_true",
        help="leave out images without samples, which are an error otherwise",
    )
    add_options(parser, Variance)


def run(args: argparse.Namespace) -> None:
    """Write the regions of every annotated image, sorted by image_id and region.

    Raises:
        UserError: an image without samples (unless allowed), samples of an image that is not
            annotated, or the same sample twice.
    """
    from dipr1.cli import options
    from dipr1.config import Variance
    from dipr1.progress import progress, say
    from dipr1.tables import write_table

    chosen = options(args, Variance)
    images = _read_images(args.annotations)
    num_samples = _count_samples(args.samples)
    _check_images(images, num_samples, args)
    found: dict[str, tuple[_Regions, int]] = {}
    num_malformed = 0
    stream = _complete_images(args.samples, num_samples)
    for image_id, boxes in progress(stream, total=len(num_samples), desc="variance"):
        image = images[image_id]
        num_malformed += sum(sample is None for sample in boxes)
        samples = [_inside(sample, image) for sample in boxes]
        regions = _gather(samples, image.gt_boxes, image.ignore_boxes, chosen.match_iou, chosen.v0)
        found[image_id] = (regions, len(samples))
    table = _table(found)
    write_table(table, args.output, "variance")
    num_phantoms = table["gt_index"].null_count
    say(
        f"{args.output}: {len(found)} images, {sum(num_samples.values())} samples, "
        f"num_malformed {num_malformed}; {table.num_rows} regions, of which {num_phantoms} phantoms"
    )


@dataclass(frozen=True, slots=True)
class _Image:
    """What is annotated on an image, in the image frame."""

    width: int
    height: int
    gt_boxes: np.ndarray
    ignore_boxes: np.ndarray


def _read_images(path: str) -> dict[str, _Image]:
    """The annotated images by id."""
    from dipr1.tables import box_arrays, read_table

    table = read_table(path, "annotations", ["image_id", "width", "height", "boxes", "ignore"])
    images = {}
    for image_id, width, height, boxes, ignore in zip(
        table["image_id"].to_pylist(),
        table["width"].to_pylist(),
        table["height"].to_pylist(),
        box_arrays(table["boxes"]),
        table["ignore"].to_pylist(),
        strict=True,
    ):
        ignored = np.array(ignore, dtype=bool)
        images[image_id] = _Image(width, height, boxes[~ignored], boxes[ignored])
    return images


def _count_samples(paths: Sequence[str]) -> dict[str, int]:
    """The number of samples of each image over all shards.

    Raises:
        UserError: the same sample of an image occurs twice.
    """
    from dipr1.tables import read_table

    seen: dict[str, set[int]] = {}
    for path in paths:
        table = read_table(path, "samples", ["image_id", "sample"])
        for image_id, sample in zip(
            table["image_id"].to_pylist(), table["sample"].to_pylist(), strict=True
        ):
            samples = seen.setdefault(image_id, set())
            if sample in samples:
                raise UserError(
                    f"{path}: sample {sample} of image {image_id!r} is given twice; "
                    "give each shard once"
                )
            samples.add(sample)
    return {image_id: len(samples) for image_id, samples in seen.items()}


def _check_images(
    images: dict[str, _Image], num_samples: dict[str, int], args: argparse.Namespace
) -> None:
    """Raise UserError unless the images annotated and the images sampled are the same."""
    unknown = [image_id for image_id in num_samples if image_id not in images]
    if unknown:
        raise UserError(
            f"{args.annotations}: image {unknown[0]!r} has samples but no annotation "
            f"({len(unknown)} such images); give the annotations of the split that was sampled"
        )
    missing = [image_id for image_id in images if image_id not in num_samples]
    if missing and not args.allow_missing:
        raise UserError(
            f"{args.annotations}: image {missing[0]!r} has no samples ({len(missing)} such "
            "images); give all shards of the split, or leave such images out with --allow-missing"
        )


def _complete_images(
    paths: Sequence[str], num_samples: dict[str, int]
) -> Iterator[tuple[str, list[np.ndarray | None]]]:
    """Each image with the boxes of its samples in order, as soon as all of them have been read.

    Shards are read in pieces, and what an image has given is forgotten once it is complete.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    from dipr1.tables import SCHEMAS, box_arrays

    columns = ["image_id", "sample", "boxes"]
    schema = pa.schema([SCHEMAS["samples"].field(name) for name in columns])
    pending: dict[str, dict[int, np.ndarray | None]] = {}
    for path in paths:
        with pq.ParquetFile(path) as shard:
            for batch in shard.iter_batches(batch_size=4096, columns=columns):
                table = pa.Table.from_batches([batch]).select(columns).cast(schema)
                for image_id, sample, boxes in zip(
                    table["image_id"].to_pylist(),
                    table["sample"].to_pylist(),
                    box_arrays(table["boxes"]),
                    strict=True,
                ):
                    samples = pending.setdefault(image_id, {})
                    samples[sample] = boxes
                    if len(samples) == num_samples[image_id]:
                        del pending[image_id]
                        yield image_id, [samples[sample] for sample in sorted(samples)]


def _inside(boxes: np.ndarray | None, image: _Image) -> np.ndarray:
    """The boxes of one sample within the image; none where the answer could not be read."""
    if boxes is None:
        return np.empty((0, 4))
    return clip(boxes, image.width, image.height)


def _table(found: dict[str, tuple[_Regions, int]]) -> pa.Table:
    """The artifact, one row per region."""
    import pyarrow as pa

    from dipr1.tables import BOX

    image_ids = sorted(found)
    regions = [found[image_id][0] for image_id in image_ids]
    lengths = [len(image.gt_index) for image in regions]

    def joined(name: str, empty: Any) -> np.ndarray:
        return np.concatenate([empty, *(getattr(image, name) for image in regions)])

    def boxes(name: str) -> pa.Array:
        flat = joined(name, np.empty((0, 4))).astype(np.float32).ravel()
        return pa.FixedSizeListArray.from_arrays(pa.array(flat), type=BOX)

    gt_index = joined("gt_index", np.empty(0, dtype=np.intp))
    variance = joined("box_variance", np.empty(0))
    return pa.table(
        {
            "image_id": pa.array(
                np.repeat(np.array(image_ids, dtype=object), lengths), pa.string()
            ),
            "region": np.concatenate([np.empty(0, int), *(np.arange(n) for n in lengths)]),
            "kind": np.where(gt_index >= 0, "object", "phantom"),
            "gt_index": pa.array(gt_index, mask=gt_index < 0),
            "box": boxes("box"),
            "hull": boxes("hull"),
            "support": joined("support", np.empty(0)),
            "num_samples": np.repeat([found[image_id][1] for image_id in image_ids], lengths),
            "existence_variance": joined("existence_variance", np.empty(0)),
            "box_variance": pa.array(variance, mask=np.isnan(variance)),
            "uncertainty": joined("uncertainty", np.empty(0)),
        }
    )
