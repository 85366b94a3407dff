"""What policies answered in their training: the best and the worst response to some images."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

from dipr1.boxes import clip
from dipr1.evaluation.answers import judge
from dipr1.pixels import TURN
from dipr1.report.pictures import data_uri, open_picture
from dipr1.report.results import Results
from dipr1.training.symptoms import warnings_of

UPDATES, PROMPTS = 4, 2  # of an arm: shown updates, and images of each
LARGEST_SIDE, LARGEST_BYTES = 480, 24_000  # of a picture
LONGEST_TEXT = 1500  # characters of a response

Shown = tuple[str, float, float, float, float]
"""What a box is, and its x, y, width and height."""


@dataclass(frozen=True)
class Completion:
    """One response, ready to be drawn.

    Attributes:
        step: the update that learned from it.
        image_id: of the question.
        rank: `best` or `worst` of its group.
        reward: the weighted sum.
        rewards: what it is made of, by name.
        text: of the response, not longer than `LONGEST_TEXT`.
        size: (width, height) of what was shown.
        picture: a data URI.
        boxes: to be drawn, in the frame of what was shown.
    """

    step: int
    image_id: str
    rank: str
    reward: float
    rewards: dict[str, float]
    text: str
    size: tuple[int, int]
    picture: str
    boxes: list[Shown]


def shown_completions(of_arms: Mapping[str, pa.Table]) -> dict[str, list[Completion]]:
    """Of each arm the first, the last and some updates between, with two images each.

    Args:
        of_arms: the completions artifact of one seed of each arm.

    Raises:
        UserError: a picture cannot be opened.
    """
    return {arm: list(_chosen(table)) for arm, table in of_arms.items()}


def _chosen(table: pa.Table) -> Iterator[Completion]:
    rows = pl.from_arrow(table).filter(pl.col("reward").is_not_null())
    steps = rows["step"].unique().sort()
    places = np.unique(np.linspace(0, len(steps) - 1, UPDATES).round().astype(int))
    for step in steps.gather(places) if len(steps) else ():
        of_step = rows.filter(pl.col("step") == step)
        for image in of_step["image_id"].unique(maintain_order=True)[:PROMPTS]:
            group = of_step.filter(pl.col("image_id") == image).sort("reward", maintain_order=True)
            yield from _of_group(group[-1].to_dicts()[0], group[0].to_dicts()[0])


def _of_group(best: dict, worst: dict) -> Iterator[Completion]:
    """The best response of a group, and the worst where it earned less."""
    image = open_picture(best["image"], exif=best.get("exif") or TURN)
    if best.get("window"):
        image = image.crop(tuple(round(side) for side in best["window"]))
    picture = data_uri(image, LARGEST_SIDE, LARGEST_BYTES)
    for rank, row in (("best", best), ("worst", worst)):
        if rank == "best" or row["reward"] < best["reward"]:
            yield Completion(
                step=row["step"],
                image_id=row["image_id"],
                rank=rank,
                reward=row["reward"],
                rewards={r["name"]: r["value"] for r in row["rewards"] if r["value"] is not None},
                text=row["text"][:LONGEST_TEXT],
                size=(row["width"], row["height"]),
                picture=picture,
                boxes=_boxes(row),
            )


def _boxes(row: dict) -> list[Shown]:
    """The boxes of a response by what they are, clipped to the picture."""
    size = row["width"], row["height"]
    answer, objects = _array(row["boxes"]), _array(row["gt_boxes"])
    ignore = _array(row["ignore_boxes"])
    [judged] = judge(answer, objects, ignore)
    kinds = (
        ("ignore", ignore),
        ("missed", objects[~judged.found]),
        ("look", _array(row["look_boxes"])),
        ("skipped", answer[judged.ignored]),
        ("false", answer[judged.false]),
        ("hit", answer[judged.matched]),
    )
    return [
        (kind, *(round(float(side), 1) for side in (x1, y1, x2 - x1, y2 - y1)))
        for kind, boxes in kinds
        for x1, y1, x2, y2 in clip(boxes, *size)
        if x2 > x1 and y2 > y1
    ]


def _array(boxes: Sequence | None) -> np.ndarray:
    return np.array(boxes if boxes is not None else [], np.float64).reshape(-1, 4)


def symptoms(results: Results) -> list[tuple[str, int, str]]:
    """(arm, seed, words) of what went wrong at the end of a training, by its log."""
    found = []
    for arm in results.arms:
        logs = results.logs.filter(arm=arm).sort("seed", "step", maintain_order=True)
        for (seed,), run in logs.group_by("seed", maintain_order=True):
            steps = run.group_by("step", maintain_order=True).agg("name", "value")
            history = [dict(zip(names, values, strict=True)) for _, names, values in steps.rows()]
            updates = [entry for entry in history if "loss" in entry]
            found += [(arm, seed, words) for words in warnings_of(updates)]
    return found
