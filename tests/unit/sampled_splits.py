"""Samples and annotations of made-up splits, as arrays and as files."""

from __future__ import annotations

import json

import numpy as np
import pyarrow as pa

from dipr1.artifacts import artifact_named
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.samples import SAMPLES


def noisy_samples(rng: np.random.Generator, truth: np.ndarray, num_samples: int) -> list:
    samples = []
    for _ in range(num_samples):
        boxes = truth[rng.random(len(truth)) < 0.7]
        boxes = boxes + rng.normal(0, 3, boxes.shape)
        corner = rng.uniform(0, 30, (1, 2))
        samples.append(
            np.vstack([boxes, np.hstack([corner, corner + rng.uniform(15, 30, (1, 2))])])
        )
    return samples


def filled(columns: dict, schema_name: str) -> pa.Table:
    """A table of the artifact, null where nothing is given."""
    num_rows = len(columns["image_id"])
    values = {
        name: columns.get(name, [None] * num_rows)
        for name in artifact_named(schema_name).schema.names
    }
    return pa.table(values, schema=artifact_named(schema_name).schema)


def write_annotations(
    path, images: dict[str, tuple[list, list]], width=100, height=80, labels: list | None = None
) -> str:
    table = {
        "image_id": list(images),
        "image": [f"{name}.png" for name in images],
        "width": [width] * len(images),
        "height": [height] * len(images),
        "boxes": [boxes for boxes, _ in images.values()],
        "ignore": [ignore for _, ignore in images.values()],
    }
    table |= {} if labels is None else {"labels": labels}
    ANNOTATIONS.write(filled(table, "annotations"), path)
    return str(path)


def write_samples(
    path, samples: list[tuple[str, int, list | None]], labels: list | None = None
) -> str:
    """Samples of boxes; their `labels` stand in the text, or nothing does."""
    table = {
        "image_id": [image_id for image_id, _, _ in samples],
        "sample": [number for _, number, _ in samples],
        "boxes": [boxes for _, _, boxes in samples],
    }
    if labels is not None:
        table["text"] = [
            _response(boxes, names) for (_, _, boxes), names in zip(samples, labels, strict=True)
        ]
    SAMPLES.write(filled(table, "samples"), path)
    return str(path)


def _response(boxes: list | None, names: list[str]) -> str:
    if boxes is None:
        return "nothing that can be read"
    items = [{"bbox_2d": box, "label": name} for box, name in zip(boxes, names, strict=True)]
    return f"<answer>{json.dumps(items)}</answer>"
