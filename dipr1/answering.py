"""Ask a policy about pictures: what a program does with one, and the verb ``answer``.

::

    from dipr1.answering import LookAgain, answer

    [found] = answer(["street.jpg"], look_again=LookAgain())
    print(found.boxes, found.confidence)
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows, reworded
from dipr1.errors import UserError
from dipr1.pixels import seen_size
from dipr1.policies.engines import engine_named, load_engine
from dipr1.policies.families import read_policy_frames
from dipr1.policies.inspecting import inspect
from dipr1.policies.inspecting import seen as seen_boxes
from dipr1.policies.options import Answering, Generation, LookAgain, Sample
from dipr1.policies.sampling import sample
from dipr1.responses import Form


@dataclass(frozen=True)
class Answer:
    """What a policy said of one picture. All boxes are x1 y1 x2 y2 in pixels of the upright image.

    Attributes:
        image: its path.
        size: width and height.
        boxes: (N, 4).
        labels: of each; None where none is written and several are asked for.
        confidence: (N,) in [0, 1].
        view: (N,) int: 0 the first view, k the k-th window.
        first_boxes: (F, 4) of the first view alone.
        looks: (L, 4) regions that the response said it would look at.
        windows: (W, 4) what was looked at again, whole pixels.
        text: the response.
        window_texts: the response to each window.
        problems: why the response, or parts of it, could not be read.
    """

    image: str
    size: tuple[int, int]
    boxes: np.ndarray
    labels: list[str | None]
    confidence: np.ndarray
    view: np.ndarray
    first_boxes: np.ndarray
    looks: np.ndarray
    windows: np.ndarray
    text: str
    window_texts: list[str]
    problems: list[str]

    def as_json(self) -> dict[str, Any]:
        """The same in lists; box by box, the most confident first."""
        order = np.argsort(-self.confidence, kind="stable")
        boxes = [
            {
                "box": _rounded(self.boxes[k]),
                "label": self.labels[k],
                "confidence": round(float(self.confidence[k]), 4),
                "view": int(self.view[k]),
            }
            for k in order
        ]
        return {
            "image": self.image,
            "width": self.size[0],
            "height": self.size[1],
            "boxes": boxes,
            "looks": [_rounded(box) for box in self.looks],
            "windows": [_rounded(box) for box in self.windows],
            "text": self.text,
            "window_texts": self.window_texts,
            "problems": self.problems,
        }


def answer(
    images: Sequence[str | os.PathLike],
    policy: Answering | str = "tiny",
    labels: Sequence[str] = ("person",),
    *,
    look_again: LookAgain | None = None,
    generation: Generation | None = None,
    form: Form = "steps",
    seed: int = 0,
    threads: int | None = None,
) -> list[Answer]:
    """Ask a policy to find all that is of some labels.

    Args:
        images: paths of pictures.
        policy: a checkpoint folder, `tiny` (the shipped one), or how it answers.
        labels: what is asked for.
        look_again: at what the answer is looked at again; None leaves the first view as it is.
        generation: how responses are generated, always greedily.
        form: of the response.
        seed: of what a `source` draws at random.
        threads: of the CPU; all by default.

    Returns:
        One answer per image, in their order.

    Raises:
        UserError: a file is no image, the policy refuses its shape or is none.
    """
    if isinstance(policy, str):
        policy = Answering(model=policy)
    generation = generation or Generation()
    frames = read_policy_frames(policy.model, None, policy.bounds)
    prompts = reworded(
        prompt_rows(_unlabelled([str(image) for image in images]), labels, frames),
        frames.fixed is not None,
        form=form,
    )
    load = cache(lambda: load_engine(policy, threads))
    greedy = Sample(num_samples=1, temperature=0, **generation.model_dump())
    with TemporaryDirectory() as folder:
        keep = {"seed": seed, "folder": Path(folder), "engine": engine_named(policy.engine)}
        rows = sample(prompts, load, greedy, **keep)
        if look_again is not None:
            rows = inspect(prompts, rows, load, frames, generation, look_again, **keep)
    return [
        _answer(prompt, row)
        for prompt, row in zip(prompts.to_pylist(), rows.to_pylist(), strict=True)
    ]


def _unlabelled(images: list[str]) -> pa.Table:
    """The annotations artifact of images of which nothing is known."""
    rows = []
    for path in images:
        try:
            with Image.open(path) as picture:
                width, height = seen_size(picture)
        except (OSError, ValueError) as error:
            reason = getattr(error, "strerror", None) or "not an image"
            raise UserError(f"{path}: {reason}; name pictures that can be read") from None
        row = {"image_id": path, "image": path, "width": width, "height": height}
        rows.append(row | dict.fromkeys(("boxes", "labels", "ignore", "visibility"), []))
    return pa.Table.from_pylist(rows, ANNOTATIONS.schema)


def _answer(prompt: dict[str, Any], row: dict[str, Any]) -> Answer:
    first = seen_boxes(row, prompt["labels"]) if row.get("view") is None else None
    return Answer(
        image=prompt["image"],
        size=(prompt["width"], prompt["height"]),
        boxes=_boxes(row["boxes"]),
        labels=[*(row["labels"] if first is None else first.labels)],
        confidence=np.array(row["confidence"] or [], np.float64),
        view=np.array(row["view"] if first is None else [0] * len(first), np.intp),
        first_boxes=_boxes(row["boxes"] if first is not None else row["first_boxes"]),
        looks=_boxes(row["look_boxes"]),
        windows=_boxes(row.get("windows")),
        text=row["text"],
        window_texts=row.get("crop_texts") or [],
        problems=row["problems"],
    )


def _boxes(boxes: Sequence | None) -> np.ndarray:
    return np.reshape(boxes or [], (-1, 4)).astype(np.float64)


def _rounded(box: np.ndarray) -> list[float]:
    return [round(float(side), 1) for side in box]
