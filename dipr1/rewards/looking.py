"""Variance-guided looking reward: does the response look where the base policy is unsure?

Published is a reward guided by the variance of the boxes. Its equation is not, so what is here is
our definition (docs: the method, section 5): the F-beta of two ratios of exact areas.

The hulls are clipped to the frame like the look boxes, where the columns `frame_width` and
`frame_height` give it: of a region that reaches beyond the image, the visible part is what can be
looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import Coverage, area, as_boxes, clip, union_area
from dipr1.responses import parse_response
from dipr1.rewards.completions import (
    column,
    completion_text,
    f_beta,
    log_means,
    required_column,
    uncertainties,
)
from dipr1.variance import look_targets


class LookingReward:
    """How well the look boxes cover the regions of high uncertainty, and nothing else.

    Args:
        threshold: regions of at least this uncertainty are to be looked at.
        max_regions: at most so many of them, the most uncertain ones.
        beta: of F-beta; above 1 favours recall.
    """

    __name__ = "looking_reward"

    def __init__(self, threshold: float = 0.5, max_regions: int = 16, beta: float = 1.0) -> None:
        self.threshold = threshold
        self.max_regions = max_regions
        self.beta = beta

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where its `region_boxes` is None.

        Columns: region_boxes and region_uncertainty (required), frame_width, frame_height.

        Raises:
            ValueError: a required column is absent.

        >>> LookingReward()(
        ...     ['<look>[{"bbox_2d": [0, 0, 4, 2]}]</look>'],
        ...     region_boxes=[[[0, 0, 2, 2]]],
        ...     region_uncertainty=[[0.9]],
        ... )
        [0.6666666666666666]
        """
        log_metric = columns.get("log_metric")
        metrics: dict[str, list[float]] = {}
        rewards: list[float | None] = []
        for completion, hulls, uncertainty, width, height in zip(
            completions,
            required_column(columns, "region_boxes", self.__name__),
            required_column(columns, "region_uncertainty", self.__name__),
            column(columns, "frame_width", len(completions)),
            column(columns, "frame_height", len(completions)),
            strict=True,
        ):
            if hulls is None:
                rewards.append(None)
                continue
            look = parse_response(completion_text(completion)).look
            if look is None:
                rewards.append(0.0)
                continue
            frame = None if width is None or height is None else (width, height)
            boxes = look.boxes if frame is None else clip(look.boxes, *frame)
            recall, precision = self.recall_precision(boxes, hulls, uncertainty, frame)
            rewards.append(f_beta(precision, recall, self.beta))
            if log_metric is not None:
                metrics.setdefault("look/boxes", []).append(len(boxes))
                metrics.setdefault("look/recall", []).append(recall)
                metrics.setdefault("look/precision", []).append(precision)
                if frame is not None:
                    share = union_area(boxes) / (width * height)
                    metrics.setdefault("look/area_share", []).append(share)
        log_means(log_metric, metrics)
        return rewards

    def recall_precision(
        self,
        look_boxes: ArrayLike,
        hulls: ArrayLike,
        uncertainty: Sequence[float | None],
        frame: tuple[float, float] | None = None,
    ) -> tuple[float, float]:
        """Recall and precision of the regions looked at, by area.

        Args:
            look_boxes: (N, 4), inside the frame.
            hulls: (K, 4) of the regions, the same frame.
            uncertainty: K values in [0, 1].
            frame: (width, height) to which the hulls are clipped.

        Returns:
            (1, 1) where there is nothing to look at and the response does not, and (0, 0) where
            only one of the two is so.
        """
        hulls = as_boxes(hulls)
        weights = uncertainties(uncertainty, len(hulls))
        if frame is not None:
            hulls = clip(hulls, *frame)
        targets = look_targets(hulls, weights, self.threshold, self.max_regions)
        hulls, weights = hulls[targets], weights[targets]
        if len(hulls) == 0 or len(look_boxes) == 0:
            looks = union_area(look_boxes) > 0.0
            agree = float(len(hulls) == 0 and not looks)
            return agree, agree
        grid = Coverage(np.concatenate([look_boxes, hulls]))
        looked = grid.union(slice(len(look_boxes)))
        of_hulls = slice(len(look_boxes), None)
        looked_area = grid.area(looked)
        if looked_area == 0.0:
            return 0.0, 0.0
        shares = np.minimum(grid.areas_within(looked, of_hulls) / area(hulls), 1.0)
        recall = float((weights * shares).sum() / weights.sum())
        precision = grid.area(looked & grid.union(of_hulls)) / looked_area
        return recall, precision


_DEFAULT = LookingReward()


def looking_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`LookingReward` with its defaults."""
    return _DEFAULT(completions, **columns)
