"""Prompts for the tiny policy about a few drawn scenes."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.demo.scenes import scene
from dipr1.policies.families import read_policy_frames


def scene_prompts(folder: Path, number: int) -> pa.Table:
    """The prompts artifact of so many scenes; their images lie in `folder`."""
    rows = []
    for index in range(number):
        drawn = scene(index, seed=3, style="street")
        drawn.image.save(folder / f"{index}.png")
        rows.append(
            {
                "image_id": str(index),
                "image": str(folder / f"{index}.png"),
                "width": drawn.image.width,
                "height": drawn.image.height,
                "boxes": drawn.boxes.tolist(),
                "labels": ["person"] * len(drawn.boxes),
                "ignore": [False] * len(drawn.boxes),
                "visibility": [None] * len(drawn.boxes),
            }
        )
    table = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    return prompt_rows(table, ["person"], read_policy_frames("tiny"))
