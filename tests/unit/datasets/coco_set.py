"""A small COCO data set on disk, and `dipr1 convert` on it."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

from PIL import Image

from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main


def make_source() -> dict:
    """A COCO document, its images in the working directory."""
    Path("images").mkdir()
    for name in ("one", "two", "ten"):
        Image.new("RGB", (40, 30)).save(f"images/{name}.png")
    return {
        "categories": [{"id": 1, "name": "person"}, {"id": 2, "name": "car"}],
        "images": [
            {"id": 10, "file_name": "ten.png", "width": 40, "height": 30},
            {"id": 2, "file_name": "two.png"},
            {"id": 1, "file_name": "one.png", "width": 40, "height": 30},
        ],
        "annotations": [
            {"image_id": 1, "category_id": 1, "bbox": [30, 20, 20, 20], "visibility": 0.5},
            {"image_id": 10, "category_id": 1, "bbox": [1, 2, 3, 4]},
            {"image_id": 1, "category_id": 2, "bbox": [0, 0, 5, 5]},
            {"image_id": 1, "category_id": 1, "bbox": [0, 0, 8, 8], "iscrowd": 1},
        ],
    }


def convert(document: dict, *flags: str) -> int:
    Path("coco.json").write_text(json.dumps(document))
    command = (
        "convert --format coco --annotations coco.json --images images --labels person"
        " --output out/a.parquet --rejects out/r.parquet"
    )
    return main([*shlex.split(command), *flags])


def rejects() -> list[tuple[str, str]]:
    rows = REJECTS.read("out/r.parquet").to_pylist()
    return [(row["record"], row["reason"]) for row in rows]
