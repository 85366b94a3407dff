"""The reward columns of a set of prompts: what trainers and the evaluation hand to the rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import box_arrays
from dipr1.errors import UserError
from dipr1.frames import Frame


def reward_columns(prompts: pa.Table, variance: pa.Table | None) -> dict[str, list[Any]]:
    """Columns for `dipr1.rewards`, one entry per prompt, all boxes in the model frame.

    Args:
        prompts: the prompts artifact.
        variance: the variance artifact of the same images; None leaves out `gt_uncertainty`,
            `region_boxes` and `region_uncertainty`.

    Returns:
        image_id, gt_boxes, gt_labels, ignore_boxes, labels, frame_width, frame_height and, with
        `variance`, gt_uncertainty (one per ground truth), region_boxes (hulls) and
        region_uncertainty.

    Raises:
        UserError: an image has no statistics, or they are about other boxes.
    """
    columns: dict[str, list[Any]] = {
        name: prompts[name].to_pylist()
        for name in ("image_id", "gt_boxes", "gt_labels", "ignore_boxes", "labels")
    }
    columns |= {name: prompts[name].to_pylist() for name in ("frame_width", "frame_height")}
    if variance is None:
        return columns
    row_of_image = {name: row for row, name in enumerate(prompts["image_id"].to_pylist())}
    image_ids = variance["image_id"].to_pylist()
    rows = np.array([row_of_image.get(name, -1) for name in image_ids], np.int64)
    variance = variance.filter(pa.array(rows >= 0))
    rows = rows[rows >= 0]
    order = np.argsort(rows, kind="stable")
    rows = rows[order]
    hulls = _hulls_in_model_frame(prompts, variance, order, rows)
    uncertainty = variance["uncertainty"].to_numpy()[order]
    gt_index = variance["gt_index"].to_numpy(zero_copy_only=False).astype(np.float64)[order]
    bounds = np.searchsorted(rows, np.arange(prompts.num_rows + 1))
    columns |= {"gt_uncertainty": [], "region_boxes": [], "region_uncertainty": []}
    for row, boxes in enumerate(box_arrays(prompts["gt_boxes"])):
        part = slice(bounds[row], bounds[row + 1])
        objects = np.isfinite(gt_index[part])
        if objects.sum() != len(boxes):
            raise UserError(
                f"image {prompts['image_id'][row].as_py()!r}: {len(boxes)} people are annotated but"
                f" the variance has {objects.sum()} of them; run `dipr1 variance` on it again"
            )
        by_object = np.zeros(len(boxes))
        by_object[gt_index[part][objects].astype(np.int64)] = uncertainty[part][objects]
        columns["gt_uncertainty"].append(by_object.tolist())
        columns["region_boxes"].append(hulls[part].tolist())
        columns["region_uncertainty"].append(uncertainty[part].tolist())
    return columns


def _hulls_in_model_frame(prompts: pa.Table, variance: pa.Table, order, rows) -> np.ndarray:
    """(R, 4) hulls of the regions `order`, whose images are the prompts `rows`."""
    if not len(rows):
        return np.zeros((0, 4))
    hulls = np.array(variance["hull"].to_pylist(), np.float64)[order]
    sizes = [
        prompts[name].to_numpy().astype(np.float64)[rows]
        for name in ("width", "height", "frame_width", "frame_height")
    ]
    return Frame("absolute", *sizes).to_model(hulls)
