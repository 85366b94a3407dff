"""The sampled boxes of a split beside its annotations: read in shards, measured in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dipr1.artifacts.aligning import image_rows
from dipr1.artifacts.annotations import ANNOTATIONS, objects_and_areas
from dipr1.artifacts.columns import BOXES, narrowed, ragged
from dipr1.artifacts.samples import SAMPLES
from dipr1.boxes import stacked
from dipr1.errors import UserError
from dipr1.matching import Stack, runs
from dipr1.progress import progress
from dipr1.regions import LEAST_RESPONSES, Block, RegionTable

Table = TypeVar("Table", bound=RegionTable)

# A few hundred images are measured at once: as fast as more, in tens of megabytes.
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class BoxesByImage:
    """Boxes (B, 4) of the images 0, 1, ...: those of image i begin at offsets[i]."""

    boxes: np.ndarray
    offsets: np.ndarray

    def of(self, images: np.ndarray) -> Stack:
        """The boxes of the chosen images; `image` is the position in `images`."""
        begin = self.offsets[images]
        owner, position = runs(begin, self.offsets[images + 1] - begin)
        return stacked(self.boxes[position], owner)


@dataclass(frozen=True, slots=True, eq=False)
class SampledSplit:
    """A split's annotations, and the image that each row of its shards is a sample of.

    Attributes:
        ids, paths: (I,) image_id and path of each image.
        sizes: (I, 2) width and height.
        truth, ignore: the boxes that are not ignored, and those that are. Image frame.
        shards: the files of samples, whose S rows are counted through from the first file on.
        image: (S,) the image that each row is a sample of.
        turn: (S,) which of its image's samples a row is: 0, 1, ...
    """

    ids: pa.Array
    paths: pa.Array
    sizes: np.ndarray
    truth: BoxesByImage
    ignore: BoxesByImage
    shards: Sequence[str]
    image: np.ndarray
    turn: np.ndarray

    def sampled(self) -> np.ndarray:
        """(I,) whether an image has samples."""
        return np.bincount(self.image, minlength=len(self.ids)) > 0

    def counted(self) -> str:
        """The images of the split in words: those with samples, and those that are left out.

        >>> two = pa.array(["a", "b"])
        >>> SampledSplit(two, two, *[np.empty(0)] * 3, [], np.array([1, 1]), np.arange(2)).counted()
        'images in 2 = sampled 1 + without samples 1'
        """
        total, num_sampled = len(self.ids), int(np.count_nonzero(self.sampled()))
        return f"images in {total} = sampled {num_sampled} + without samples {total - num_sampled}"

    def by_id(self) -> np.ndarray:
        """(I,) the images in the order of their image_id."""
        return pc.sort_indices(self.ids).to_numpy().astype(np.intp)


def read_sampled_split(
    shards: Sequence[str], annotations: str, allow_missing: bool = False
) -> SampledSplit:
    """Read a split's annotations and the index of its samples; the boxes are not read yet.

    Args:
        shards: samples/*.parquet, all of one split.
        annotations: annotations/*.parquet of the split.
        allow_missing: images may have no samples.

    Raises:
        UserError: an image has samples but is not annotated, or the same sample occurs twice, or
            an image has no samples (unless allowed).
    """
    names = ["image_id", "image", "width", "height", "boxes", "ignore"]
    table = ANNOTATIONS.read(annotations, names)
    ids = table["image_id"].combine_chunks()
    boxes, offsets = ragged(table["boxes"])
    objects, areas = objects_and_areas(table)
    image, turn = _index(shards, ids, annotations)
    split = SampledSplit(
        ids=ids,
        paths=table["image"].combine_chunks(),
        sizes=np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1),
        truth=BoxesByImage(boxes[objects], narrowed(offsets, objects)),
        ignore=BoxesByImage(boxes[areas], narrowed(offsets, areas)),
        shards=shards,
        image=image,
        turn=turn,
    )
    missing = np.flatnonzero(~split.sampled())
    if len(missing) and not allow_missing:
        raise UserError(
            f"{annotations}: image {ids[int(missing[0])].as_py()!r} has no samples "
            f"({len(missing)} such images); give all shards of the split, or leave such images out "
            "with --allow-missing"
        )
    return split


def _index(paths: Sequence[str], ids: pa.Array, annotations: str) -> tuple[np.ndarray, np.ndarray]:
    """The image and the turn of each row of the shards."""
    shards = [SAMPLES.read(path, ["image_id", "sample"]) for path in paths]
    rows = pa.concat_tables(shards)
    image = image_rows(rows["image_id"], ids)
    if image.min(initial=0) < 0:
        unknown = rows["image_id"].filter(image < 0).unique()
        raise UserError(
            f"{annotations}: image {unknown[0].as_py()!r} has samples but no annotation "
            f"({len(unknown)} such images); give the annotations of the split that was sampled"
        )
    sample = rows["sample"].to_numpy()
    order = np.lexsort((sample, image))
    begins_image = np.diff(image[order], prepend=-1) != 0
    repeated = order[~begins_image & (np.diff(sample[order], prepend=0) == 0)]
    if len(repeated):
        row = int(repeated.min())
        shard = np.searchsorted(np.cumsum([table.num_rows for table in shards]), row, side="right")
        raise UserError(
            f"{paths[shard]}: sample {sample[row]} of image {rows['image_id'][row].as_py()!r} is "
            "given twice; give each shard once"
        )
    first = np.flatnonzero(begins_image)
    turn = np.empty(len(order), dtype=np.int32)
    turn[order] = np.arange(len(order)) - np.repeat(first, np.diff(first, append=len(order)))
    return image, turn


@dataclass(frozen=True, slots=True, eq=False)
class MeasuredSplit(Generic[Table]):
    """The regions of a split.

    Attributes:
        regions: by image_id, `image` being the index in the split; none of images with fewer than
            `LEAST_RESPONSES` readable responses.
        num_readable: (I,) readable responses to each image: only these are samples of it.
        num_responses: of all images, whether they can be read or not.
    """

    regions: Table
    num_readable: np.ndarray
    num_responses: int

    def measured(self) -> np.ndarray:
        """(I,) whether an image has statistics."""
        return self.num_readable >= LEAST_RESPONSES

    def check_readable(self, least: float) -> str:
        """The share of the responses that can be read, in words.

        Raises:
            UserError: it is below `least`.
        """
        num_readable = int(self.num_readable.sum())
        share = num_readable / max(self.num_responses, 1)
        said = f"{num_readable} of {self.num_responses} responses are readable ({share:.1%})"
        if self.num_responses and share < least:
            raise UserError(
                f"{said}, fewer than --least-readable {least:g}: raise sample.max_new_tokens where"
                " answers are cut, see that the prompt suits the policy, or train it with sft first"
                " and sample from that"
            )
        return said


def measure_split(split: SampledSplit, measure: Callable[[Block], Table]) -> MeasuredSplit[Table]:
    """Measure every image of a split, a block of images at a time.

    Args:
        measure: gives the regions of a block, `image` being the index in the block.
    """
    columns: dict[str, list[np.ndarray]] = {}
    num_readable = np.zeros(len(split.ids), np.int64)
    # As many pieces as there are row groups of this size, and what is left at the end.
    total = -(-len(split.image) // ROWS_AT_ONCE) + 1
    for rows, boxes in progress(_complete_images(split), total, "pieces measured"):
        readable = boxes.is_valid().to_numpy()
        num_readable += np.bincount(split.image[rows[readable]], minlength=len(split.ids))
        kept = readable & (num_readable[split.image[rows]] >= LEAST_RESPONSES)
        images, block = _block(split, rows[kept], boxes.filter(pa.array(kept)))
        regions = measure(block)
        regions.image = images[regions.image]
        for field in fields(regions):
            values = getattr(regions, field.name)
            stored = values.astype(_STORED.get(field.name, values.dtype))
            columns.setdefault(field.name, []).append(stored)
    rank = np.argsort(split.by_id())
    order = np.argsort(rank[np.concatenate(columns["image"])], kind="stable")
    # Popped, so that of all columns only one is held twice.
    joined = {name: np.concatenate(columns.pop(name))[order] for name in list(columns)}
    return MeasuredSplit(type(regions)(**joined), num_readable, len(split.image))


# As the artifacts keep them; a large split has millions of regions.
_STORED = {name: np.int32 for name in ("image", "region", "gt_index", "num_samples")} | {
    name: np.float32 for name in ("box", "hull", "mean", "label_iou")
}


def _block(
    split: SampledSplit, rows: np.ndarray, boxes: pa.ChunkedArray
) -> tuple[np.ndarray, Block]:
    """The images that these rows are samples of, and their boxes."""
    images, image = np.unique(split.image[rows], return_inverse=True)
    order = np.lexsort((image, split.turn[rows]))
    rows, image, boxes = rows[order], image[order], boxes.take(pa.array(order))
    flat, offsets = ragged(boxes)
    lengths = np.diff(offsets)
    owner = np.repeat(image, lengths)
    return images, Block(
        boxes=stacked(_clipped(flat.astype(np.float64), split.sizes[images][owner]), owner),
        turn=np.repeat(split.turn[rows], lengths),
        truth=split.truth.of(images),
        ignore=split.ignore.of(images),
        num_samples=np.bincount(image),
    )


def _complete_images(split: SampledSplit) -> Iterator[tuple[np.ndarray, pa.ChunkedArray]]:
    """The rows of images all of whose samples have been read, and their boxes.

    Shards are read in pieces, and what an image has given is forgotten once it is complete.
    """
    last = np.full(len(split.ids), -1)
    last[split.image] = np.arange(len(split.image))
    end = 0
    rows, boxes = np.empty(0, dtype=np.intp), pa.chunked_array([], BOXES)
    for path in split.shards:
        with pq.ParquetFile(path) as shard:
            for batch in shard.iter_batches(batch_size=ROWS_AT_ONCE, columns=["boxes"]):
                begin, end = end, end + batch.num_rows
                rows = np.concatenate([rows, np.arange(begin, end)])
                boxes = pa.chunked_array([*boxes.chunks, batch["boxes"].cast(BOXES)])
                complete = last[split.image[rows]] < end
                yield rows[complete], boxes.filter(complete)
                rows, boxes = rows[~complete], boxes.filter(~complete)
    # None is left. Without any samples this is the only block.
    yield rows, boxes


def _clipped(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """`dipr1.boxes.clip` of boxes (B, 4) that each have their own frame (B, 2)."""
    return np.minimum(np.maximum(boxes, 0.0), np.tile(sizes, 2))
