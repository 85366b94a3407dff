"""The reward columns of a set of prompts: what trainers and the evaluation hand to the rewards."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.columns import ragged, split_rows
from dipr1.artifacts.variance import places_of_objects, regions_by_image
from dipr1.errors import UserError
from dipr1.frames import Frame
from dipr1.regions import Target, target_values


def reward_columns(
    prompts: pa.Table, variance: pa.Table | None, target: Target = "variance"
) -> dict[str, list[Any]]:
    """Columns for `dipr1.rewards`, one entry per prompt, all boxes in the model frame.

    Args:
        prompts: the prompts artifact.
        variance: the variance artifact of the same images; None leaves out `gt_uncertainty`,
            `region_boxes` and `region_uncertainty`.
        target: what `region_uncertainty` is, see :func:`dipr1.regions.target_values`.

    Returns:
        image_id, gt_boxes, gt_labels, ignore_boxes (and ignore_labels, where the prompts have
        them), labels, frame_width, frame_height and, with
        `variance`, gt_uncertainty (one per ground truth), region_boxes (hulls) and
        region_uncertainty; these are None for an image without statistics.

    Raises:
        UserError: the statistics are about other boxes, or have no `gain` where that is the target.
    """
    columns: dict[str, list[Any]] = {
        name: prompts[name].to_pylist()
        for name in ("image_id", "gt_boxes", "gt_labels", "ignore_boxes", "labels")
    }
    columns |= {name: prompts[name].to_pylist() for name in ("frame_width", "frame_height")}
    if "ignore_labels" in prompts.column_names:
        columns["ignore_labels"] = prompts["ignore_labels"].to_pylist()
    if variance is None:
        return columns
    regions = regions_by_image(prompts, variance)
    uncertainty = regions.rows["uncertainty"].to_numpy()
    _, offsets = ragged(prompts["gt_boxes"])
    rows, places = places_of_objects(prompts, regions, offsets)
    of_objects = np.zeros(offsets[-1])
    of_objects[places] = uncertainty[rows]
    hulls = _hulls_in_model_frame(prompts, regions.rows, regions.bounds)
    split = {
        "gt_uncertainty": split_rows(of_objects, offsets),
        "region_boxes": split_rows(hulls, regions.bounds),
        "region_uncertainty": split_rows(region_values(regions.rows, target), regions.bounds),
    }
    for name, values in split.items():
        of_images = zip(values, regions.measured, strict=True)
        columns[name] = [row.tolist() if known else None for row, known in of_images]
    return columns


def region_values(regions: pa.Table, target: Target) -> np.ndarray:
    """(R,) how much regions of the variance artifact are worth a look.

    Raises:
        UserError: the gain is asked for and the artifact does not have it.
    """
    if target != "gain":
        uncertainty, support = (regions[name].to_numpy() for name in ("uncertainty", "support"))
        return target_values(target, uncertainty, support, regions["gt_index"].is_valid())
    if "gain" not in regions.column_names:
        raise UserError(
            "looking_target: the variance has no column 'gain'; add it with `dipr1 gain`, or take"
            " 'variance' or 'miss'"
        )
    return regions["gain"].to_numpy()


def _hulls_in_model_frame(prompts: pa.Table, regions: pa.Table, bounds: np.ndarray) -> np.ndarray:
    """(R, 4) hulls of the regions; those of image i begin at ``bounds[i]``."""
    hulls = pc.list_flatten(regions["hull"]).to_numpy().reshape(-1, 4).astype(np.float64)
    sizes = [
        np.repeat(prompts[name].to_numpy().astype(np.float64), np.diff(bounds))
        for name in ("width", "height", "frame_width", "frame_height")
    ]
    return Frame("absolute", *sizes).to_model(hulls)
