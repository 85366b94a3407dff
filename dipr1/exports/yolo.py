"""Ultralytics YOLO: a folder with one text file per image, from annotations.

``labels/NAME.txt`` has ``class x y width height`` of each box, its centre, as shares of the image,
cut at its border; ``images.txt`` names the images and ``data.yaml`` the classes. YOLO finds labels
by the path of the image (``/images/`` becomes ``/labels/``), so ``images/`` holds links to the
pictures; with ``--images``, which says where they shall be looked for, it does not, and `labels`
have to be put beside that folder. YOLO knows no ignore regions: boxes that are ignored are left
out, and whoever is found there counts as a false box.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.boxes import area, clip
from dipr1.errors import UserError
from dipr1.exports.coco import known_labels
from dipr1.exports.options import Exporting

READS = "annotations"
FOLDER = True


def write(source: str, output: Path, options: Exporting) -> str:
    """Fill the folder.

    Raises:
        UserError: the labels are not known, or two images have one name.
    """
    rows = ANNOTATIONS.read(source).to_pylist()
    labels = options.labels or known_labels(source)
    if not labels:
        raise UserError("--labels: needed, since the annotations name none")
    for name in ("images", "labels"):
        (output / name).mkdir(parents=True)
    paths, count = [], 0
    for row in rows:
        lines = _lines(row, labels)
        file = output / "labels" / f"{Path(row['image']).stem}.txt"
        if file.exists():
            raise UserError(f"{row['image']}: another image has this name; YOLO cannot tell them")
        file.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        paths.append(_path(row["image"], options.images, output))
        count += len(lines)
    (output / "images.txt").write_text("".join(f"{path}\n" for path in paths), encoding="utf-8")
    names = "".join(f"  {number}: {json.dumps(name)}\n" for number, name in enumerate(labels))
    (output / "data.yaml").write_text(
        f"train: images.txt\nval: images.txt\nnames:\n{names}", encoding="utf-8"
    )
    return f"{len(rows)} images, {count} boxes"


def _path(image: str, folder: str | None, output: Path) -> str:
    """How the list names a picture: its link, from the list on, or its place in `folder`."""
    if folder is not None:
        return os.path.relpath(image, folder)
    link = output / "images" / Path(image).name
    link.symlink_to(os.path.abspath(image))
    return f"./images/{link.name}"


def _lines(row: dict[str, Any], labels: list[str]) -> list[str]:
    """A line for each box that is not ignored, of those that lie inside the image."""
    size = row["width"], row["height"]
    boxes = clip(np.reshape(row["boxes"], (-1, 4)), *size)
    kept = ~np.array(row["ignore"], bool) & (area(boxes) > 0)
    centres = np.concatenate([(boxes[:, :2] + boxes[:, 2:]) / 2, boxes[:, 2:] - boxes[:, :2]], 1)
    shares = centres / np.tile(size, 2)
    return [
        " ".join([str(_number(label, labels)), *(f"{share:.6f}" for share in of_box)])
        for label, of_box, keep in zip(row["labels"], shares, kept, strict=True)
        if keep
    ]


def _number(label: str, labels: list[str]) -> int:
    if label not in labels:
        raise UserError(f"--labels: {label!r} occurs in the annotations; add it")
    return labels.index(label)
