"""Answers improved by looking again: regions, windows, further answers, and what they agree on.

Whose regions are looked at says `source` (:class:`dipr1.policies.options.LookAgain`); the rest is
the same for all. What is drawn at random for an image depends on the seed and the image's id, not
on the images beside it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import cache, partial
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.prompts import frame_of, window_row
from dipr1.artifacts.samples import SAMPLES
from dipr1.boxes import clip
from dipr1.frames import PolicyFrames
from dipr1.policies.engines import transformers
from dipr1.policies.load import LoadedPolicy
from dipr1.policies.looking_again import (
    Seen,
    from_window,
    fused,
    grid_windows,
    merge_by_agreement,
    merge_by_ios,
    missed,
    random_windows,
    windows_of,
)
from dipr1.policies.options import Generation, LookAgain, Sample
from dipr1.policies.sampling import Batch, answered, batches_of, images_together, seed_from
from dipr1.progress import say
from dipr1.regions import LEAST_RESPONSES, box_variance, look_targets
from dipr1.responses import box_labels, parse_response

COLUMNS = [*SAMPLES.schema.names, *SAMPLES.optional.names]


class Image:
    """One image with what has been said about it.

    Args:
        prompt: its row of the prompts artifact.
        prediction: the first view's row of the samples artifact.
    """

    def __init__(self, prompt: dict[str, Any], prediction: dict[str, Any]) -> None:
        self.prompt, self.prediction = prompt, prediction
        self.size = prompt["width"], prompt["height"]
        self.first = seen(prediction, prompt["labels"])
        self.num_tokens = prediction["num_tokens"]
        self.windows = np.empty((0, 4))
        self.crops: list[Seen] = []
        self.texts: list[str] = []
        self.samples: list[dict[str, Any]] = []
        self.waiting: list[dict[str, Any]] = []  # rows of windows that are not answered yet
        self.regions = np.reshape(prediction["look_boxes"] or [], (-1, 4))

    def show(self, windows: np.ndarray, frames: PolicyFrames) -> None:
        """Let windows wait for their answers, but for those of a shape that the policy refuses."""
        for window in windows:
            try:
                row = window_row(self.prompt, window, frames)
            except ValueError:
                continue
            self.waiting.append(row)
            self.windows = np.concatenate([self.windows, window[None]])

    def see(self, answers: Sequence[dict[str, Any]]) -> None:
        """Take the answers to the windows that waited; the looks in them are the next regions."""
        looks = []
        for row, window in zip(answers, self.windows[len(self.crops) :], strict=True):
            crop = seen(row, self.prompt["labels"], window, len(self.crops) + 1)
            self.crops.append(crop)
            self.texts.append(row["text"])
            self.num_tokens += row["num_tokens"]
            looks.append(from_window(np.reshape(row["look_boxes"] or [], (-1, 4)), window))
        self.waiting = []
        self.regions = np.concatenate([np.empty((0, 4)), *looks])

    def see_whole(self, samples: list[dict[str, Any]]) -> None:
        """Take further answers to the whole image."""
        self.samples = samples
        self.num_tokens += sum(row["num_tokens"] for row in samples)

    def row(self, merged: Seen) -> dict[str, Any]:
        """The image's row of the samples artifact."""
        boxes = {
            "boxes": list(merged.boxes),
            "confidence": merged.confidence,
            "log_likelihood": merged.log_likelihood,
        }
        # what stays as it is stays so to the last bit, and what cannot be read stays unreadable
        same = merged is self.first or (self.prediction["boxes"] is None and not len(merged))
        return (
            self.prediction
            | ({} if same else boxes)
            | {
                "num_tokens": self.num_tokens,
                "labels": merged.labels.tolist(),
                "view": merged.view,
                "windows": list(self.windows),
                "num_crops": len(self.windows),
                "crop_texts": self.texts,
                "first_boxes": self.prediction["boxes"],
                "first_confidence": self.prediction["confidence"],
            }
        )


def seen(
    row: dict[str, Any], asked: Sequence[str], window: np.ndarray | None = None, view: int = 0
) -> Seen:
    """The boxes of a row of the samples artifact; those of a window are brought to the image."""
    if row["boxes"] is None:
        return Seen.of([], [])
    boxes = np.reshape(row["boxes"], (-1, 4)).astype(np.float64)
    labels = box_labels(parse_response(row["text"]), len(boxes), asked)
    if window is not None:
        boxes = from_window(boxes, window)
    return Seen.of(boxes, row["confidence"], row["log_likelihood"], labels, view)


def inspect(
    prompts: pa.Table,
    predictions: pa.Table,
    load: Callable[[], LoadedPolicy],
    frames: PolicyFrames,
    generation: Generation,
    looking: LookAgain,
    *,
    seed: int,
    folder: Path,
    first: int = 0,
    engine: ModuleType = transformers,
) -> pa.Table:
    """The predictions, improved by looking again.

    Args:
        prompts: the prompts artifact that was answered, or a shard of it that begins where one of
            its blocks does (:func:`images_of_a_block`).
        predictions: the first view: rows of the samples artifact, one per row of `prompts`.
        load: gives the policy; not called where every batch is there.
        frames: the policy's frames.
        generation: how responses are generated; those to windows greedily.
        looking: what is looked at again, and how views are merged.
        seed: of what is drawn at random.
        folder: where each batch that is done is kept as a file.
        first: the place of the first prompt in the whole artifact.
        engine: what generates responses, one of :mod:`dipr1.policies.engines`.

    Returns:
        Rows of the samples artifact with its optional columns.
    """
    pairs = zip(prompts.to_pylist(), predictions.to_pylist(), strict=True)
    images = [Image(*pair) for pair in pairs]
    size = images_of_a_block(generation)
    blocks = dict(enumerate(batches_of(images, size), first // size))
    answer = partial(answered, load=cache(load), folder=folder, engine=engine)
    if looking.samples_whole:
        options = Sample(
            num_samples=looking.num_samples,
            temperature=looking.temperature,
            **generation.model_dump(include={*Generation.model_fields}),
        )
        _sample_whole(blocks, answer, options, seed)
    if looking.source == "samples":
        rows = [image.row(_fused(image, looking)) for image in images]
        return _table(rows, predictions)
    greedy = Sample(
        num_samples=1, temperature=0, **generation.model_dump(include={*Generation.model_fields})
    )
    for number in range(looking.rounds):
        for image in images:
            image.show(_windows(image, looking, number, seed), frames)
        say(f"look {number + 1}: {len(_waiting(images))} windows of {len(images)} images")
        batches = [
            Batch(f"look{number}-{block:06d}-{k:04d}", rows)
            for block, of_block in blocks.items()
            for k, rows in enumerate(batches_of(_waiting(of_block), greedy.batch_size))
        ]
        _hand_out(images, answer(batches, options=greedy).to_pylist())
    return _table([image.row(_merged(image, looking)) for image in images], predictions)


def images_of_a_block(generation: Generation) -> int:
    """Images that follow each other, whose windows are put into batches without regard to others.

    As many as fill a few batches: the last batch of windows is seldom full.
    """
    return 4 * generation.batch_size


def _waiting(images: list[Image]) -> list[dict[str, Any]]:
    """The rows of all windows that wait for their answers."""
    return [row for image in images for row in image.waiting]


def _sample_whole(
    blocks: dict[int, list[Image]], answer: Callable, options: Sample, seed: int
) -> None:
    """Sample the policy on every whole image."""
    batches = [
        Batch(
            f"whole-{block:06d}-{k:04d}",
            [image.prompt for image in images],
            [seed_from(seed, number_of(image.prompt["image_id"])) for image in images],
        )
        for block, of_block in blocks.items()
        for k, images in enumerate(batches_of(of_block, images_together(options)))
    ]
    rows = answer(batches, options=options).to_pylist()
    images = (image for of_block in blocks.values() for image in of_block)
    for image, samples in zip(images, batches_of(rows, options.num_samples), strict=True):
        image.see_whole(samples)


def number_of(image_id: str) -> int:
    """A whole number that tells images apart.

    >>> number_of("a") == number_of("a") != number_of("b")
    True
    """
    return int.from_bytes(hashlib.sha256(image_id.encode()).digest()[:8], "big")


def _hand_out(images: list[Image], rows: list[dict[str, Any]]) -> None:
    """Give each image the answers to the windows that waited."""
    begin = 0
    for image in images:
        end = begin + len(image.waiting)
        image.see(rows[begin:end])
        begin = end


def _windows(image: Image, looking: LookAgain, number: int, seed: int) -> np.ndarray:
    """The windows of an image in a round: after the first one, of what was looked at in windows."""
    if number == 0 and looking.source == "grid":
        return grid_windows(image.size, looking.overlap)[: looking.max_regions]
    regions = _REGIONS.get(looking.source, _own)(image, looking) if number == 0 else image.regions
    windows = windows_of(
        regions,
        image.size,
        max_regions=looking.max_regions,
        margin=looking.margin,
        least_share=looking.least_share,
        window_iou=looking.window_iou,
        seen=image.windows,
    )
    if looking.source == "random":
        numbers = seed, number_of(image.prompt["image_id"]), number
        windows = random_windows(windows, image.size, np.random.default_rng(numbers))
    return windows


def _own(image: Image, _: LookAgain) -> np.ndarray:
    return image.regions


def _variance(image: Image, looking: LookAgain) -> np.ndarray:
    """Regions whose boxes vary over samples of the whole image, the most uncertain first."""
    samples = [clip(row["boxes"], *image.size) for row in image.samples if row["boxes"] is not None]
    if len(samples) < LEAST_RESPONSES:
        return np.empty((0, 4))
    regions = box_variance(samples, ())
    hulls = np.reshape([region.hull for region in regions], (-1, 4))
    uncertainty = [region.uncertainty for region in regions]
    chosen = look_targets(hulls, uncertainty, looking.least_uncertainty, len(regions))
    return hulls[chosen]


def _oracle(image: Image, looking: LookAgain) -> np.ndarray:
    """The annotated objects that the first view missed."""
    objects = frame_of(image.prompt).to_image(np.reshape(image.prompt["gt_boxes"], (-1, 4)))
    names = np.array(image.prompt["gt_labels"], object)
    return missed(image.first.boxes, objects, image.first.labels, names, looking.match_iou)


_REGIONS = {"variance": _variance, "oracle": _oracle}


def _merged(image: Image, looking: LookAgain) -> Seen:
    if not image.crops:
        return image.first
    if looking.merge == "ios":
        return merge_by_ios(image.first, image.crops)
    return merge_by_agreement(
        image.first,
        image.crops,
        image.windows,
        image.size,
        match_iou=looking.match_iou,
        confirmed=looking.confirmed,
        denied=looking.denied,
        suppression_iou=looking.suppression_iou,
    )


def _fused(image: Image, looking: LookAgain) -> Seen:
    """What the first view and the samples that can be read agree on."""
    rows = [row for row in (image.prediction, *image.samples) if row["boxes"] is not None]
    if not rows:
        return image.first
    return fused([seen(row, image.prompt["labels"]) for row in rows], looking.match_iou)


def _table(rows: list[dict[str, Any]], predictions: pa.Table) -> pa.Table:
    names = [name for name in COLUMNS if name in NEW or name in predictions.column_names]
    return pa.Table.from_pylist(rows, SAMPLES.schema_with(names))


NEW = ("labels", "view", "windows", "num_crops", "crop_texts", "first_boxes", "first_confidence")
"""The optional columns that looking again fills."""
