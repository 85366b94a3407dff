"""Train on the images that are neither too easy nor too hard for the base policy.

Where all responses of a group earn alike, nothing is learned from it. V-Triune (arXiv 2505.18129)
keeps the images whose IoU rewards of 16 samples of the base sum up to 2 at least and 10 at most:
means of 0.125 and 0.625. Here the mean is the F1 of the boxes of all readable samples, which the
variance artifact tells without the samples: an object's support is the share of the samples that
found it, and a phantom's that of those that made it up.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.columns import ragged
from dipr1.artifacts.variance import places_of_objects, regions_by_image
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.training.options import TrainedOptions


def base_f1(prompts: pa.Table, variance: pa.Table) -> np.ndarray:
    """(I,) how much of each image the base policy finds: 2 TP / (2 TP + FP + FN) over its samples.

    Boxes in ignore regions count for nothing. Where nobody is there and no sample says otherwise it
    is 1; where fewer than two samples can be read it is 0.

    Args:
        prompts: the prompts artifact.
        variance: the variance artifact of the same images.

    Raises:
        UserError: the variance is about other boxes.
    """
    regions = regions_by_image(prompts, variance)
    _, offsets = ragged(prompts["gt_boxes"])
    places_of_objects(prompts, regions, offsets)  # only to check that they are the same
    image = np.repeat(np.arange(prompts.num_rows), np.diff(regions.bounds))
    support = regions.rows["support"].to_numpy()
    is_object = regions.rows["gt_index"].is_valid().to_numpy()
    found = np.bincount(image[is_object], support[is_object], prompts.num_rows)
    answered = np.bincount(image, support, prompts.num_rows)
    boxes = answered + np.diff(offsets)
    f1 = np.where(boxes > 0.0, 2.0 * found / np.where(boxes > 0.0, boxes, 1.0), 1.0)
    return np.where(regions.measured, f1, 0.0)


def kept(
    options: TrainedOptions, variance: pa.Table | None, prompts: pa.Table, crops: pa.Table | None
) -> tuple[pa.Table, pa.Table | None, pa.Table | None]:
    """The prompts, variance and crops of the images within the bounds; says how many these are.

    By default the bounds hold every image, and the three come back as they are.

    Raises:
        UserError: there is no variance to judge by, or no image is left.
    """
    least, most = options.least_base_f1, options.most_base_f1
    if (least, most) == (0.0, 1.0):
        return prompts, variance, crops
    if variance is None:
        raise UserError(
            "--least-base-f1, --most-base-f1: what the base finds is not known; give --variance"
            " FILE or take them out"
        )
    f1 = base_f1(prompts, variance)
    chosen = (f1 >= least) & (f1 <= most)
    told = (
        f"of {len(f1)} images {chosen.sum()} are trained on; the base's F1 is below {least:g} on"
        f" {(f1 < least).sum()} and above {most:g} on {(f1 > most).sum()}"
    )
    if not chosen.any():
        raise UserError(f"--least-base-f1, --most-base-f1: {told}; widen the bounds")
    say(told)
    prompts = prompts.filter(pa.array(chosen))
    ids = prompts["image_id"].combine_chunks()
    variance = variance.filter(pc.is_in(variance["image_id"], ids))
    if crops is not None:
        crops = crops.filter(pc.is_in(crops["crop_of"], ids))
    return prompts, variance, crops
