"""Annotations with all that a data card tells: several labels, ignored boxes, known visibility."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.rejects import REJECTS


def annotations(num_images: int, seed: int = 0) -> list[dict]:
    """Rows with 0..9 boxes each, some ignored, some of known visibility."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(num_images):
        count = int(rng.integers(0, 10))
        corners = rng.uniform(0, 50, (count, 2))
        sides = rng.uniform(1, 40, (count, 2))
        known = rng.random(count) < 0.6
        shares = rng.random(count).astype(np.float32).tolist()
        rows.append(
            {
                "image_id": f"{index:03d}",
                "image": f"{index}.png",
                "width": int(rng.integers(100, 103)),
                "height": 100,
                "boxes": np.concatenate([corners, corners + sides], 1).astype(np.float32).tolist(),
                "labels": rng.choice(["person", "rider", "<b>"], count, p=[0.6, 0.3, 0.1]).tolist(),
                "ignore": (rng.random(count) < 0.3).tolist(),
                "visibility": [s if k else None for s, k in zip(shares, known, strict=True)],
            }
        )
    return rows


def table(rows: list[dict]) -> pa.Table:
    # slices and several chunks are what a reader of a large file is given
    whole = pa.Table.from_pylist([rows[0], *rows], ANNOTATIONS.schema).slice(1)
    half = len(rows) // 2
    return pa.concat_tables([whole.slice(0, half), whole.slice(half)])


ROWS = annotations(60)
REJECTED = pa.Table.from_pylist(
    [
        {"source": "a", "record": str(index), "reason": reason, "raw": ""}
        for index, reason in enumerate(["broken", "missing", "broken"])
    ],
    REJECTS.schema,
)


def write_crowd(folder: Path) -> str:
    """Write pictures, annotations and rejects; the images are named relative to `folder`."""
    for row in ROWS:
        picture = Image.new("RGB", (row["width"], row["height"]), (90, 120, 60))
        picture.save(folder / row["image"])
    ANNOTATIONS.write(table(ROWS), folder / "crowd.parquet")
    REJECTS.write(REJECTED, folder / "crowd.rejects.parquet")
    return "crowd.parquet"
