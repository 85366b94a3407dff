"""The training set as TRL's trainers read it: prompts with images, and the reward columns."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.prompts import frame_of
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.boxes import clip, ioa
from dipr1.policies.load import IMAGE_COLUMNS, ImageCache, image_source, load_image
from dipr1.prompts import render_response
from dipr1.regions import SEEN_IOA, Target, look_targets
from dipr1.responses import Form
from dipr1.training.questions import variations

if TYPE_CHECKING:
    from datasets import Dataset

CACHED_BYTES = 1 << 30
FRAME_COLUMNS = ("image_id", "labels", "window", "frame", "width", "height")
FRAME_COLUMNS += ("frame_width", "frame_height")


def asked(
    prompts: pa.Table,
    variance: pa.Table | None,
    crops: pa.Table | None = None,
    target: Target = "variance",
    **variety: Any,
) -> tuple[pa.Table, dict[str, list[Any]]]:
    """The prompts with all their variations end to end, then the crops', and their reward columns.

    The `image_id` of a variation ends in `?` and its number: responses are grouped by it, and
    answers to different questions are no group.

    Args:
        prompts: the prompts artifact.
        variance: the variance artifact of the same images, if any; it says nothing about the crops.
        crops: the crops artifact, if any.
        target: what :func:`dipr1.artifacts.reward_columns.reward_columns` takes.
        variety: what :func:`dipr1.training.questions.variations` takes.
    """
    parts = _numbered(prompts, variance, target, variety)
    if crops is not None:
        parts += _numbered(crops, None, target, variety)
    known = parts[0][1]
    columns: dict[str, list[Any]] = {name: [] for name in known}
    for part, of_part in parts:
        for name, values in columns.items():
            values += of_part.get(name, [None] * part.num_rows)
    tables = [part for part, _ in parts]
    return pa.concat_tables(tables, promote_options="default"), columns


def _numbered(
    prompts: pa.Table, variance: pa.Table | None, target: Target, variety: dict[str, Any]
) -> list[tuple[pa.Table, dict[str, list[Any]]]]:
    """The variations of prompts and their reward columns, told apart by their `image_id`."""
    parts = []
    for number, (part, statistics) in enumerate(variations(prompts, variance, **variety)):
        columns = reward_columns(part, statistics, target)
        if number:
            columns["image_id"] = [f"{image_id}?{number}" for image_id in columns["image_id"]]
        parts.append((part, columns))
    return parts


def first_crops(crops: pa.Table, most: int) -> pa.Table:
    """The first `most` crops of each image.

    >>> first_crops(pa.table({"crop_of": ["a", "a", "b"]}), 1)["crop_of"].to_pylist()
    ['a', 'b']
    """
    count: Counter[str] = Counter()
    kept = []
    for image in crops["crop_of"].to_pylist():
        kept.append(count[image] < most)
        count[image] += 1
    return crops.filter(pa.array(kept, pa.bool_()))


def with_targets_on_crops(prompts: pa.Table, columns: dict[str, list[Any]]) -> dict[str, list[Any]]:
    """The columns with the looks of a whole image for each of its crops, for a teacher to give.

    Rewards have no use for them: a crop has no statistics of its own.

    Args:
        prompts, columns: of :func:`asked`.

    Returns:
        The same, with `region_boxes` and `region_uncertainty` of the whole image's targets that lie
        by half or more in the crop, in the crop's model frame.
    """
    if "crop_of" not in prompts.column_names or "region_boxes" not in columns:
        return columns
    boxes, values = list(columns["region_boxes"]), list(columns["region_uncertainty"])
    rows = prompts.select([*FRAME_COLUMNS, "crop_of"]).to_pylist()
    whole = {(row["image_id"], *row["labels"]): k for k, row in enumerate(rows)}
    for number, row in enumerate(rows):
        around = whole.get((row["crop_of"], *row["labels"]))
        if around is None or boxes[around] is None:
            continue
        of_whole = rows[around]
        hulls = frame_of(of_whole).to_image(boxes[around])
        hulls = clip(hulls, of_whole["width"], of_whole["height"])
        targets = look_targets(hulls, values[around])
        shown = hulls[targets] - np.tile(row["window"][:2], 2)
        inside = ioa(shown, [[0, 0, row["width"], row["height"]]])[:, 0] >= SEEN_IOA
        boxes[number] = frame_of(row).to_model(shown[inside]).tolist()
        values[number] = [values[around][k] for k in targets[inside]]
    return columns | {"region_boxes": boxes, "region_uncertainty": values}


def teacher_response(
    columns: dict[str, list[Any]],
    row: int,
    think: str,
    why: str | None = None,
    form: Form = "steps",
) -> str:
    """What a teacher would answer to prompt `row`: all objects, and looks at what is uncertain.

    Args:
        columns: of :func:`dipr1.artifacts.reward_columns.reward_columns`.
        row: which prompt.
        think: text of the first section; `{count}` becomes the number of objects. Better in words
            that the policy uses already, since a few updates teach no new ones.
        why: what is said of each look, if anything.
        form: of the response.
    """
    boxes = np.array(columns["gt_boxes"][row], np.float64).reshape(-1, 4)
    order = _left_to_right(boxes)
    labels = [columns["gt_labels"][row][k] for k in order]
    looks = np.zeros((0, 4))
    if columns.get("region_boxes") and columns["region_boxes"][row] is not None:
        frame = columns["frame_width"][row], columns["frame_height"][row]
        hulls = clip(columns["region_boxes"][row], *frame)
        uncertainty = np.array(columns["region_uncertainty"][row])
        looks = hulls[look_targets(hulls, uncertainty)]
        # the most uncertain first could not be seen, and a policy taught so says one over and over
        looks = looks[_left_to_right(looks)]
    return render_response(
        think.format(count=len(boxes)),
        looks,
        boxes[order],
        labels,
        whys=None if why is None else [why] * len(looks),
        form=form,
    )


def _left_to_right(boxes: np.ndarray) -> np.ndarray:
    """An order that can be seen in the picture, where that of the annotations cannot."""
    return np.argsort(boxes[:, 0] + boxes[:, 2], kind="stable")


def with_images(prompts: pa.Table, columns: dict[str, list[Any]], together: int = 0) -> Dataset:
    """Rows with `prompt`, `image` and further columns.

    What a row shows of an image is decoded when the row is first read, and kept for the other
    responses to its prompt.

    Args:
        prompts: the prompts artifact.
        columns: the further columns.
        together: so many prompts are read over and over before the next ones are.
    """
    from datasets import Dataset

    known = [name for name in IMAGE_COLUMNS if name in prompts.column_names]
    sources = [image_source(row) for row in prompts.select(known).to_pylist()]
    images = ImageCache(load_image, CACHED_BYTES, together)

    def open_images(batch: dict[str, list]) -> dict[str, list]:
        rows = batch.pop("row")
        return batch | {"image": [images.load(*sources[row]) for row in rows]}

    row = {"row": list(range(len(sources)))}
    lessons = Dataset.from_dict({"prompt": prompts["prompt"].to_pylist()} | columns | row)
    return lessons.with_transform(open_images)
