"""Crops of uncertain regions: the prompts of a split, asked again about a part of the image.

A policy that is to look again must have seen what it looks at: people enlarged, and cut by the
border of a window. And it learns most where it is unsure.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.prompts import window_row
from dipr1.artifacts.variance import regions_by_image
from dipr1.boxes import clip
from dipr1.frames import PolicyFrames
from dipr1.policies.looking_again import windows_of
from dipr1.policies.options import Crop
from dipr1.regions import look_targets


def crop_table(
    prompts: pa.Table, variance: pa.Table, policy: PolicyFrames, options: Crop
) -> pa.Table:
    """The crops artifact: windows around what a response to each prompt should look at.

    Args:
        prompts: the prompts artifact of a split.
        variance: the variance artifact of the same images.
        policy: whose frame the windows are brought into.
        options: how many windows, and how large.

    Returns:
        Image by image in the order of `prompts`, the most uncertain region first. An image without
        statistics, or without an uncertain region, has none.
    """
    regions = regions_by_image(prompts, variance)
    hulls = np.array(regions.rows["hull"].to_pylist(), np.float64).reshape(-1, 4)
    uncertainty = regions.rows["uncertainty"].to_numpy()
    rows = []
    for number, row in enumerate(prompts.to_pylist()):
        part = slice(*regions.bounds[number : number + 2])
        rows += _crops(row, hulls[part], uncertainty[part], policy, options)
    return pa.Table.from_pylist(rows, CROPS.schema_with(prompts.column_names))


def _crops(
    row: dict[str, Any],
    hulls: np.ndarray,
    uncertainty: np.ndarray,
    policy: PolicyFrames,
    options: Crop,
) -> Iterator[dict[str, Any]]:
    """The rows of one image; `hulls` are in its frame."""
    size = row["width"], row["height"]
    visible = clip(hulls, *size)
    targets = look_targets(visible, uncertainty, max_regions=options.max_regions)
    windows = windows_of(
        visible[targets],
        size,
        max_regions=options.max_regions,
        margin=options.margin,
        least_share=options.least_share,
    )
    for place, window in enumerate(windows):
        about = {"image_id": f"{row['image_id']}#{place}", "crop_of": row["image_id"]}
        yield window_row(row, window, policy) | about
