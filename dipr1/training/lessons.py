"""The training set as TRL's trainers read it: prompts with images, and the reward columns."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from dipr1.policies.load import load_image
from dipr1.prompts import render_response
from dipr1.rewards.columns import reward_columns
from dipr1.variance import look_targets

if TYPE_CHECKING:
    from datasets import Dataset

IMAGE_COLUMNS = ("image", "frame", "frame_width", "frame_height")


def grpo_lessons(prompts: pa.Table, variance: pa.Table | None) -> Dataset:
    """Rows with `prompt`, `image` and every column that the rewards use.

    Images are opened when a row is read and kept, so the G responses to one prompt decode it once.
    """
    columns = reward_columns(prompts, variance)
    return _with_images(prompts, {"prompt": prompts["prompt"].to_pylist(), **columns})


def sft_lessons(prompts: pa.Table, variance: pa.Table | None) -> Dataset:
    """Rows with `prompt`, `image` and the `completion` of a perfect teacher."""
    columns = reward_columns(prompts, variance)
    completions = [
        [{"role": "assistant", "content": teacher_response(columns, row)}]
        for row in range(prompts.num_rows)
    ]
    return _with_images(
        prompts, {"prompt": prompts["prompt"].to_pylist(), "completion": completions}
    )


def teacher_response(columns: dict[str, list[Any]], row: int) -> str:
    """What a teacher would answer to prompt `row`: every object, looking at the uncertain regions.

    Args:
        columns: of :func:`dipr1.rewards.columns.reward_columns`.
        row: which prompt.
    """
    boxes = columns["gt_boxes"][row]
    looks = np.zeros((0, 4))
    if "region_boxes" in columns:
        hulls = np.array(columns["region_boxes"][row]).reshape(-1, 4)
        looks = hulls[look_targets(hulls, np.array(columns["region_uncertainty"][row]))]
    asked = " and ".join(columns["labels"][row])
    think = f"{asked}: {len(boxes)} here, {len(looks)} uncertain."
    return render_response(think, looks, boxes, columns["gt_labels"][row])


def _with_images(prompts: pa.Table, columns: dict[str, list[Any]]) -> Dataset:
    from datasets import Dataset

    sources = prompts.select(IMAGE_COLUMNS).to_pylist()

    def open_images(batch: dict[str, list]) -> dict[str, list]:
        rows = batch.pop("row")
        return batch | {"image": [load_image(*sources[row].values()) for row in rows]}

    lessons = Dataset.from_dict(columns | {"row": list(range(len(sources)))})
    return lessons.with_transform(open_images)
