"""What training sets of other trainers have in common: question, picture, ground truth."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Sequence
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
        pixels: of the picture, where it was written.
    """

    messages: list[dict[str, str]]
    image: str
    columns: dict[str, Any]
    pixels: int | None = None

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
        image, pixels = _picture(row, number, options)
        of_row = {name: values[number] for name, values in columns.items()}
        yield Question(_with_image(row["prompt"]), image, of_row, pixels)


def _picture(row: dict[str, Any], number: int, options: Exporting) -> tuple[str, int | None]:
    """The path that the row names, and the pixels of the picture where it was written."""
    path, pixels = row["image"], None
    if options.shown is not None:
        picture = load_image(*image_source(row))
        pixels = picture.width * picture.height
        path = os.path.join(options.shown, f"{number:07d}.png")
        os.makedirs(options.shown, exist_ok=True)
        mark = PngInfo()
        mark.add_text("Software", MADE_BY)
        with whole(Path(path)) as part:
            picture.save(part, format="PNG", pnginfo=mark)
    return (path if options.images is None else os.path.relpath(path, options.images)), pixels


def _with_image(messages: list[dict[str, str]]) -> list[dict[str, str]]:
    """The messages, the picture before the words of the user's first one."""
    first = next(place for place, one in enumerate(messages) if one["role"] == "user")
    return [
        {"role": one["role"], "content": (IMAGE if place == first else "") + one["content"]}
        for place, one in enumerate(messages)
    ]


def write_lines(
    source: str,
    output: Path,
    options: Exporting,
    row: Callable[[Question], dict[str, Any]],
    bounds: str = "",
) -> str:
    """Write JSON lines, one for each prompt; what was written, in words.

    Args:
        source: the prompts artifact.
        output: the file to write.
        options: of the export.
        row: what a line holds of a question.
        bounds: as :func:`said` takes it.

    Raises:
        UserError: as :func:`questions`.
    """
    found = list(questions(*read(source, options), options))
    with output.open("w", encoding="utf-8") as file:
        for one in found:
            file.write(json.dumps(row(one), ensure_ascii=False) + "\n")
    return said(found, "questions", bounds)


def said(found: Sequence[Question], what: str, bounds: str) -> str:
    """What was written and, of pictures that were, how the framework leaves their size as it is.

    Args:
        found: all questions.
        what: they are.
        bounds: the framework's settings, the fewest pixels of a picture and the most in braces;
            "" where its own let every size pass.

    >>> said([Question([], "a", {}, 90), Question([], "b", {}, 20)], "questions", "from={} to={}")
    '2 questions; set from=20 to=90'
    """
    pixels = [one.pixels for one in found if one.pixels is not None]
    hint = f"; set {bounds.format(min(pixels), max(pixels))}" if bounds and pixels else ""
    return f"{len(found)} {what}{hint}"
