"""What training sets of other trainers have in common: question, picture, ground truth."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from PIL.PngImagePlugin import PngInfo

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import MADE_BY, whole
from dipr1.exports.options import Exporting
from dipr1.policies.load import image_source, load_image
from dipr1.rewards.scores import GROUND_TRUTH

IMAGE = "<image>"
"""Where all four frameworks put the picture."""


@dataclass(frozen=True)
class Question:
    """One row of a training set.

    Attributes:
        messages: role and content of each; `IMAGE` begins the first one of the user.
        image: path of the picture.
        columns: of :mod:`dipr1.rewards`, for this image; model frame. None where not known.
    """

    messages: list[dict[str, str]]
    image: str
    columns: dict[str, Any]

    @property
    def text(self) -> str:
        """The user's first message."""
        return next(one["content"] for one in self.messages if one["role"] == "user")

    @property
    def ground_truth(self) -> str:
        """JSON of what :func:`dipr1.rewards.scores.score_response` takes, with the image's id."""
        known = {
            name: self.columns[name]
            for name in ("image_id", *GROUND_TRUTH)
            if self.columns.get(name) is not None
        }
        return json.dumps(known, ensure_ascii=False)


def read(source: str, options: Exporting) -> tuple[pa.Table, dict[str, list[Any]]]:
    """The prompts artifact and its reward columns."""
    prompts = PROMPTS.read(source)
    variance = None if options.variance is None else VARIANCE.read(options.variance)
    return prompts, reward_columns(prompts, variance, options.looking_target)


def questions(
    prompts: pa.Table, columns: dict[str, list[Any]], options: Exporting
) -> Iterator[Question]:
    """One for each row of the prompts artifact; pictures are written on the way, if asked for.

    Raises:
        UserError: an image cannot be read.
    """
    for number, row in enumerate(prompts.to_pylist()):
        image = _picture(row, number, options)
        of_row = {name: values[number] for name, values in columns.items()}
        yield Question(_with_image(row["prompt"]), image, of_row)


def _picture(row: dict[str, Any], number: int, options: Exporting) -> str:
    if options.shown is None:
        path = row["image"]
    else:
        path = os.path.join(options.shown, f"{number:07d}.png")
        os.makedirs(options.shown, exist_ok=True)
        mark = PngInfo()
        mark.add_text("Software", MADE_BY)
        with whole(Path(path)) as part:
            load_image(*image_source(row)).save(part, format="PNG", pnginfo=mark)
    return path if options.images is None else os.path.relpath(path, options.images)


def _with_image(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages, the picture before the words of the user's first one."""
    first = next(place for place, one in enumerate(messages) if one["role"] == "user")
    return [
        {"role": one["role"], "content": (IMAGE if place == first else "") + one["content"]}
        for place, one in enumerate(messages)
    ]


def write_lines(
    source: str, output: Path, options: Exporting, row: Callable[[Question], dict[str, Any]]
) -> str:
    """Write JSON lines, one for each prompt; what was written, in words.

    Raises:
        UserError: as :func:`questions`.
    """
    prompts, columns = read(source, options)
    with output.open("w", encoding="utf-8") as file:
        for one in questions(prompts, columns, options):
            file.write(json.dumps(row(one), ensure_ascii=False) + "\n")
    return f"{prompts.num_rows} questions"
