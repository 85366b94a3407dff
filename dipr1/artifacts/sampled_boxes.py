"""The sampled boxes of a split beside its annotations: read in shards, measured in blocks."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, fields
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from dipr1.artifacts.aligning import image_rows
from dipr1.artifacts.annotations import ANNOTATIONS, objects_and_areas
from dipr1.artifacts.columns import BOXES, listed, narrowed, ragged
from dipr1.artifacts.samples import SAMPLES
from dipr1.boxes import stacked
from dipr1.errors import UserError
from dipr1.matching import Stack, runs
from dipr1.progress import progress
from dipr1.regions import LEAST_RESPONSES, Block, RegionTable
from dipr1.responses import box_labels, parse_response

Table = TypeVar("Table", bound=RegionTable)

# A few hundred images are measured at once: as fast as more, in tens of megabytes.
ROWS_AT_ONCE = 4096


@dataclass(frozen=True, slots=True, eq=False)
class BoxesByImage:
    """Boxes (B, 4) of the images 0, 1, ...: those of image i begin at offsets[i].

    Attributes:
        names: (B,) their labels, as indices of the split's `names`; None where these are not read.
    """

    boxes: np.ndarray
    offsets: np.ndarray
    names: np.ndarray | None = None

    def of(self, images: np.ndarray) -> Stack:
        """The boxes of the chosen images; `image` is the position in `images`."""
        owner, position = self._places(images)
        return stacked(self.boxes[position], owner)

    def names_of(self, images: np.ndarray) -> np.ndarray | None:
        """The names of the boxes of the chosen images."""
        return None if self.names is None else self.names[self._places(images)[1]]

    def _places(self, images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        begin = self.offsets[images]
        return runs(begin, self.offsets[images + 1] - begin)


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
        names: the labels of the objects, where these and those of the samples are to be compared
            and there are several.
    """

    ids: pa.Array
    paths: pa.Array
    sizes: np.ndarray
    truth: BoxesByImage
    ignore: BoxesByImage
    shards: Sequence[str]
    image: np.ndarray
    turn: np.ndarray
    names: Sequence[str] = ()

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
    shards: Sequence[str],
    annotations: str,
    allow_missing: bool = False,
    *,
    with_names: bool = False,
) -> SampledSplit:
    """Read a split's annotations and the index of its samples; the boxes are not read yet.

    Args:
        shards: samples/*.parquet, all of one split.
        annotations: annotations/*.parquet of the split.
        allow_missing: images may have no samples.
        with_names: the labels of the boxes as well, where they have several.

    Raises:
        UserError: an image has samples but is not annotated, or the same sample occurs twice, or
            an image has no samples (unless allowed).
    """
    columns = ["image_id", "image", "width", "height", "boxes", "ignore"]
    table = ANNOTATIONS.read(annotations, [*columns, "labels"] if with_names else columns)
    ids = table["image_id"].combine_chunks()
    boxes, offsets = ragged(table["boxes"])
    objects, areas = objects_and_areas(table)
    image, turn = _index(shards, ids, annotations)
    names, of_objects = names_of_objects(table, objects) if with_names else ([], None)
    split = SampledSplit(
        ids=ids,
        paths=table["image"].combine_chunks(),
        sizes=np.stack([table["width"].to_numpy(), table["height"].to_numpy()], axis=1),
        truth=BoxesByImage(boxes[objects], narrowed(offsets, objects), of_objects),
        ignore=BoxesByImage(boxes[areas], narrowed(offsets, areas)),
        shards=shards,
        image=image,
        turn=turn,
        names=names,
    )
    missing = np.flatnonzero(~split.sampled())
    if len(missing) and not allow_missing:
        raise UserError(
            f"{annotations}: image {ids[int(missing[0])].as_py()!r} has no samples "
            f"({len(missing)} such images); give all shards of the split, or leave such images out "
            "with --allow-missing"
        )
    return split


def names_of_objects(
    annotations: pa.Table, objects: np.ndarray, known: Sequence[str] = ()
) -> tuple[list[str], np.ndarray | None]:
    """The labels of the objects, and the index of each one's among them; none where all are alike,
    or not given.

    Args:
        annotations: the columns `labels`, of B boxes in all.
        objects: (B,) which of the boxes are meant.
        known: the labels that are counted, the others having the index -1; by default those of the
            objects, by name.
    """
    labels = pc.list_flatten(annotations["labels"].combine_chunks())
    if len(labels) != len(objects):
        return [], None
    labels = labels.filter(pa.array(objects))
    names = list(known) or sorted(set(labels.unique().to_pylist()) - {None})
    if len(names) < 2:
        return [], None
    return names, _numbers(labels, names)


def _numbers(labels: pa.Array, names: Sequence[str]) -> np.ndarray:
    """(B,) the index of each label among the names; -1 for others and null."""
    numbers = pc.index_in(labels, pa.array(names, pa.string()))
    return pc.fill_null(numbers, -1).to_numpy(zero_copy_only=False)


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
    for rows, answers in progress(_complete_images(split), total, "pieces measured"):
        readable = answers["boxes"].is_valid().to_numpy()
        num_readable += np.bincount(split.image[rows[readable]], minlength=len(split.ids))
        kept = readable & (num_readable[split.image[rows]] >= LEAST_RESPONSES)
        images, block = _block(split, rows[kept], answers.filter(pa.array(kept)))
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
_STORED = {
    name: np.int32
    for name in ("image", "region", "gt_index", "num_samples", "name", "answered_name")
} | {name: np.float32 for name in ("box", "hull", "mean", "label_iou")}


def _block(split: SampledSplit, rows: np.ndarray, answers: pa.Table) -> tuple[np.ndarray, Block]:
    """The images that these rows are samples of, and their boxes."""
    images, image = np.unique(split.image[rows], return_inverse=True)
    order = np.lexsort((image, split.turn[rows]))
    rows, image, answers = rows[order], image[order], answers.take(pa.array(order))
    flat, offsets = ragged(answers["boxes"])
    lengths = np.diff(offsets)
    owner = np.repeat(image, lengths)
    return images, Block(
        boxes=stacked(_clipped(flat.astype(np.float64), split.sizes[images][owner]), owner),
        turn=np.repeat(split.turn[rows], lengths),
        truth=split.truth.of(images),
        ignore=split.ignore.of(images),
        num_samples=np.bincount(image),
        names=ragged(answers["names"])[0] if split.names else None,
        truth_names=split.truth.names_of(images),
    )


def _complete_images(split: SampledSplit) -> Iterator[tuple[np.ndarray, pa.Table]]:
    """The rows of images all of whose samples have been read, and their `boxes` (and `names`).

    Shards are read in pieces, and what an image has given is forgotten once it is complete.
    """
    last = np.full(len(split.ids), -1)
    last[split.image] = np.arange(len(split.image))
    end = 0
    rows, answers = np.empty(0, dtype=np.intp), _ANSWERS.empty_table()
    if not split.names:
        answers = answers.select(["boxes"])
    for path in split.shards:
        with pq.ParquetFile(path) as shard:
            wanted = ["boxes"]
            if split.names:
                wanted.append("labels" if "labels" in shard.schema_arrow.names else "text")
            for batch in shard.iter_batches(batch_size=ROWS_AT_ONCE, columns=wanted):
                begin, end = end, end + batch.num_rows
                rows = np.concatenate([rows, np.arange(begin, end)])
                columns = {"boxes": batch["boxes"].cast(BOXES)}
                if split.names:
                    columns["names"] = _names(batch, split.names)
                answers = pa.concat_tables([answers, pa.table(columns)])
                complete = last[split.image[rows]] < end
                yield rows[complete], answers.filter(pa.array(complete))
                rows, answers = rows[~complete], answers.filter(pa.array(~complete))
    # None is left. Without any samples this is the only block.
    yield rows, answers


_ANSWERS = pa.schema({"boxes": BOXES, "names": pa.list_(pa.int32())})


def _names(batch: pa.RecordBatch, names: Sequence[str]) -> pa.ListArray:
    """The label of each box of some samples, as an index of the names: as it was told where it was
    looked again, else as the response has it."""
    number = pc.fill_null(pc.list_value_length(batch["boxes"]), 0).to_numpy(zero_copy_only=False)
    offsets = np.concatenate([[0], np.cumsum(number)])
    if "labels" in batch.schema.names:
        labels = pc.list_flatten(batch["labels"])
    else:
        labels = pa.array(
            itertools.chain.from_iterable(
                box_labels(parse_response(text or ""), num, names)
                for text, num in zip(batch["text"].to_pylist(), number.tolist(), strict=True)
            ),
            pa.string(),
        )
    return listed(_numbers(labels, names), offsets)


def _clipped(boxes: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """`dipr1.boxes.clip` of boxes (B, 4) that each have their own frame (B, 2)."""
    return np.minimum(np.maximum(boxes, 0.0), np.tile(sizes, 2))
