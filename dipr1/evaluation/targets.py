"""What is worth a look: which value of a region warns best of the errors of an answer.

Each target of the looking reward (docs: the method, section 5) is judged by two questions: is its
value higher where the answer errs (see :mod:`dipr1.evaluation.calibration`), and do the errors lie
in the regions that it chooses, at most so many of an image (see :mod:`dipr1.evaluation.looks`)?
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import pyarrow as pa

from dipr1.artifacts.reward_columns import region_values
from dipr1.artifacts.variance import regions_by_image
from dipr1.boxes import clip
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.calibration import JudgedRegions, regions_erred
from dipr1.evaluation.looks import Looked, looked
from dipr1.regions import Target, look_targets


@dataclass(frozen=True)
class Warned:
    """How well one target warns of the errors of a set of answers.

    Attributes:
        auc: of all regions, see :func:`dipr1.evaluation.calibration.auc`.
        auc_of_objects: of the annotated ones.
        num_targets: regions that are to be looked at.
        share: mean over the images of what they cover.
        missed, false: errors in them: missed objects and false boxes.
        by_chance: errors that would lie in them if they lay at random.
        num_missed, num_false: errors that there are.
    """

    auc: float
    auc_of_objects: float
    num_targets: int
    share: float
    missed: int
    false: int
    by_chance: float
    num_missed: int
    num_false: int


def warned(
    images: Sequence[AnsweredImage],
    annotations: pa.Table,
    variance: pa.Table,
    target: Target = "variance",
    threshold: float = 0.5,
    max_regions: int = 4,
) -> Warned:
    """Judge a target by the answers to images that have statistics.

    Args:
        images: with the answers, in the order of `annotations`.
        annotations: the annotations artifact.
        variance: the variance artifact, which says what the policy is unsure of, and for "gain"
            with that column.
        target: which value of a region is judged.
        threshold, max_regions: as of :func:`dipr1.regions.look_targets`.

    Raises:
        UserError: the artifact has no such value.
    """
    regions = regions_by_image(annotations, variance)
    values = region_values(regions.rows, target)
    boxes, hulls = (
        np.array(regions.rows[name].to_pylist(), np.float64).reshape(-1, 4)
        for name in ("box", "hull")
    )
    gt_index = regions.rows["gt_index"].to_numpy().astype(np.float64)
    erred, looks, num_targets = np.zeros(len(values), dtype=bool), [], 0
    measured = np.flatnonzero(regions.measured)
    for row, (first, last) in enumerate(pairwise(regions.bounds)):
        image, part = images[row], slice(first, last)
        erred[part] = regions_erred(boxes[part], gt_index[part], image.boxes, image.judged[0])
        if not regions.measured[row]:
            continue
        visible = clip(hulls[part], *image.size)
        chosen = visible[look_targets(visible, values[part], threshold, max_regions)]
        looks.append(looked(chosen, image.boxes, image.objects, image.judged[0], image.size))
        num_targets += len(chosen)
    judged = JudgedRegions(values, erred, np.isfinite(gt_index))
    halves = [images[row].judged[0] for row in measured]
    return Warned(
        auc=judged.auc(),
        auc_of_objects=judged.auc(judged.is_object),
        num_targets=num_targets,
        share=_sum(looks, "share") / max(len(looks), 1),
        missed=int(_sum(looks, "missed")),
        false=int(_sum(looks, "false")),
        by_chance=_sum(looks, "by_chance"),
        num_missed=sum(int((~half.found).sum()) for half in halves),
        num_false=sum(int(half.false.sum()) for half in halves),
    )


def _sum(looks: Sequence[Looked], name: str) -> float:
    return float(sum(getattr(look, name) for look in looks))
