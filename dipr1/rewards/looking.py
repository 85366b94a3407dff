"""Variance-guided looking reward: does the response look where the policy is unsure?

The paper's abstract names a reward guided by the variance of the boxes. We have read the abstract
only, so the equation is ours (docs: the method, section 5): the F-beta of two ratios of exact
areas. Every look counts: one that is repeated, or drawn again beside the first, costs its whole
area.

The hulls are clipped to the frame like the look boxes, where the columns `frame_width` and
`frame_height` give it: of a region that reaches beyond the image, the visible part is what can be
looked at.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Hashable, Iterator, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import as_boxes, clip, shared_areas_of_images, stacked, union_area
from dipr1.matching import Stack
from dipr1.regions import (
    LEAST_RESPONSES,
    Region,
    Target,
    box_variance,
    look_targets_of_images,
    target_values,
)
from dipr1.responses import parse_response
from dipr1.rewards.accuracy import AccuracyReward
from dipr1.rewards.completions import (
    completion_text,
    f_beta,
    log_means,
    rows,
    uncertainties,
)

GIVEN_REGIONS = ("region_boxes", "region_uncertainty")
FRAME = ("frame_width", "frame_height")


class _Case(NamedTuple):
    """Where a response looks, and what there is to look at."""

    looks: np.ndarray
    hulls: ArrayLike
    uncertainty: Sequence[float | None]
    frame: tuple[float, float] | None


class LookingReward:
    """How well the look boxes cover the regions of high uncertainty, and nothing else.

    Args:
        threshold: regions of at least this uncertainty are to be looked at.
        max_regions: at most so many of them, the most uncertain ones that do not lie in each other
            (:func:`dipr1.regions.look_targets`).
        beta: of F-beta; above 1 favours recall.
        source: where the regions come from. "precomputed": the columns `region_boxes` and
            `region_uncertainty`. "group": the other responses to the same prompt in the call, so
            that no statistics are needed and the target follows the policy.
        match_iou: "group": the smallest IoU of boxes of one region.
        v0: "group": the box variance at which certainty has fallen to 1/e.
        target: "group": why to look at a region, as :func:`dipr1.regions.target_values` has it. Of
            source "precomputed" the column `region_uncertainty` tells it.
        gate: a response is paid only where its answer is better than the mean of its prompt's
            responses in the call, judged by `AccuracyReward` with its defaults. Else it gets 0.

    Raises:
        ValueError: `source` is none of the above, or has no such `target`.
    """

    __name__ = "looking_reward"

    def __init__(
        self,
        threshold: float = 0.5,
        max_regions: int = 4,
        beta: float = 1.0,
        source: Literal["precomputed", "group"] = "precomputed",
        match_iou: float = 0.5,
        v0: float = 0.01,
        target: Target = "variance",
        gate: bool = False,
    ) -> None:
        if source not in ("precomputed", "group"):
            raise ValueError(f"source: expected 'precomputed' or 'group' but got {source!r}")
        if source == "group" and target == "gain":
            raise ValueError(
                "looking_target 'gain' is measured on crops, which looking_source 'group' has not;"
                " take 'variance' or 'miss'"
            )
        self.threshold = threshold
        self.max_regions = max_regions
        self.beta = beta
        self.source = source
        self.target = target
        # and, of a group, `image_id`, `prompt_id` or `prompts`
        of_source = GIVEN_REGIONS if source == "precomputed" else ("gt_boxes",)
        self.needs = tuple(dict.fromkeys((*of_source, *(("gt_boxes",) if gate else ()))))
        self.match_iou = match_iou
        self.v0 = v0
        self.gate = gate

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion, None where there are no regions to judge it by.

        Columns: frame_width, frame_height; of source "precomputed" region_boxes and
        region_uncertainty (required), of source "group" gt_boxes (required), ignore_boxes, and
        image_id or prompts (one is required): responses that share it are one group. With `gate`
        those of the accuracy reward and of a group, too.

        Raises:
            ValueError: a required column is absent.

        >>> LookingReward()(
        ...     ['<look>[{"bbox_2d": [0, 0, 4, 2]}]</look>'],
        ...     region_boxes=[[[0, 0, 2, 2]]],
        ...     region_uncertainty=[[0.9]],
        ... )
        [0.6666666666666666]
        """
        metrics: dict[str, list[float]] = defaultdict(list)
        rewards: list[float | None] = [None] * len(completions)
        cases: dict[int, _Case] = {}
        regions = self._group_regions if self.source == "group" else self._given_regions
        given = rows(completions, columns, self.__name__, optional=FRAME)
        for place, ((hulls, uncertainty), (text, width, height)) in enumerate(
            zip(regions(completions, columns), given, strict=True)
        ):
            look = parse_response(text).look
            if hulls is None or look is None:
                rewards[place] = None if hulls is None else 0.0
                continue
            frame = None if width is None or height is None else (width, height)
            cases[place] = _Case(look.boxes, hulls, uncertainty, frame)
        paid = self._paid(completions, columns)
        compared = self._compare(list(cases.values()))
        for (place, case), (recall, precision) in zip(cases.items(), compared, strict=True):
            rewards[place] = f_beta(precision, recall, self.beta) if paid[place] else 0.0
            if self.gate:
                metrics["look/paid"].append(paid[place])
            if columns.get("log_metric") is not None:
                metrics["look/boxes"].append(len(case.looks))
                metrics["look/recall"].append(recall)
                metrics["look/precision"].append(precision)
                if case.frame is not None:
                    width, height = case.frame
                    share = union_area(clip(case.looks, width, height)) / (width * height)
                    metrics["look/area_share"].append(share)
        log_means(columns.get("log_metric"), metrics)
        return rewards

    def recall_precision(
        self,
        look_boxes: ArrayLike,
        hulls: ArrayLike,
        uncertainty: Sequence[float | None],
        frame: tuple[float, float] | None = None,
    ) -> tuple[float, float]:
        """Recall and precision of the regions looked at, by area.

        Recall is the mean share of a region that is looked at, weighted by its uncertainty;
        precision is the share of the looks' areas that lies where a region is, where n looks and m
        regions hold a point that of min(n, m) of n looks.

        Args:
            look_boxes: (N, 4), in the frame of `hulls`.
            hulls: (K, 4) of the regions.
            uncertainty: K values in [0, 1].
            frame: (width, height) to which all boxes are clipped.

        Returns:
            (1, 1) where there is nothing to look at and the response does not, and (0, 0) where
            only one of the two is so.
        """
        [compared] = self._compare([_Case(as_boxes(look_boxes), hulls, uncertainty, frame)])
        return compared

    def _compare(self, cases: Sequence[_Case]) -> list[tuple[float, float]]:
        """:meth:`recall_precision` of each case, all at once: of few boxes the calls cost."""
        if not cases:
            return []
        looks = [case.looks for case in cases]
        case_of = np.repeat(np.arange(len(cases)), list(map(len, looks)))
        looked = _in_frame(np.concatenate(looks), case_of, cases)
        regions, weights = self._targets(cases)
        total, within, shared = shared_areas_of_images(looked, regions, len(cases))
        # a target has an area
        shares = weights * np.minimum(within / regions.area, 1.0)
        gained = np.bincount(regions.image, shares, len(cases)).tolist()
        of_all = np.bincount(regions.image, weights, len(cases)).tolist()
        compared = []
        for case, num, area_looked, area_shared, gain, of in zip(
            cases,
            regions.count(len(cases)).tolist(),
            total.tolist(),
            shared.tolist(),
            gained,
            of_all,
            strict=True,
        ):
            if num == 0 or len(case.looks) == 0:
                agree = float(num == 0 and area_looked == 0.0)
                compared.append((agree, agree))
            elif area_looked == 0.0:
                compared.append((0.0, 0.0))
            else:
                compared.append((gain / of, min(area_shared / area_looked, 1.0)))
        return compared

    def _targets(self, cases: Sequence[_Case]) -> tuple[Stack, np.ndarray]:
        """The hulls to look at, at most `max_regions` of each case, and their uncertainty."""
        num = [len(case.hulls) for case in cases]
        values = [[None] * len(c.hulls) if c.uncertainty is None else c.uncertainty for c in cases]
        weights = uncertainties(list(chain.from_iterable(values)), sum(num))
        # Most regions are certain: what is done to boxes is done to the others only.
        uncertain = (weights >= self.threshold).nonzero()[0]
        hulls = list(chain.from_iterable([case.hulls for case in cases]))
        case_of, weights = np.repeat(np.arange(len(cases)), num)[uncertain], weights[uncertain]
        corners = chain.from_iterable([hulls[k] for k in uncertain.tolist()])
        boxes = np.array(list(corners), np.float64).reshape(-1, 4)
        hulls = _in_frame(boxes, case_of, cases)
        targets = look_targets_of_images(hulls, weights, self.threshold, self.max_regions)
        return hulls.take(targets), weights[targets]

    def _given_regions(
        self, completions: Sequence[Any], columns: dict[str, Any]
    ) -> Iterator[tuple[Any, Any]]:
        """The hulls and uncertainties of the columns."""
        given = rows(completions, columns, self.__name__, required=GIVEN_REGIONS)
        return (
            (None if uncertainty is None else hulls, uncertainty) for _, hulls, uncertainty in given
        )

    def _group_regions(
        self, completions: Sequence[Any], columns: dict[str, Any]
    ) -> Iterator[tuple[Any, Any]]:
        """For each completion the regions of the other ones of its group.

        None where fewer than two others can be read, or no ground truth is given.
        """
        keys = _group_keys(completions, columns, self.__name__)
        groups: dict[Hashable, list[int]] = {}
        for row, key in enumerate(keys):
            groups.setdefault(key, []).append(row)
        regions: list[tuple[Any, Any]] = [(None, None)] * len(completions)
        given = list(
            rows(
                completions,
                columns,
                self.__name__,
                required=self.needs,
                optional=("ignore_boxes", *FRAME),
            )
        )
        answers = [_answered_boxes(text) for text, *_ in given]
        for row, (_, gt_boxes, ignore_boxes, width, height) in enumerate(given):
            others = [answers[other] for other in groups[keys[row]] if other != row]
            others = [boxes for boxes in others if boxes is not None]
            if gt_boxes is None or len(others) < LEAST_RESPONSES:
                continue
            if width is not None and height is not None:
                others = [clip(boxes, width, height) for boxes in others]
            statistics = box_variance(
                others,
                gt_boxes,
                () if ignore_boxes is None else ignore_boxes,
                match_iou=self.match_iou,
                v0=self.v0,
            )
            regions[row] = (
                [region.hull for region in statistics],
                self._values(statistics),
            )
        return iter(regions)

    def _paid(self, completions: Sequence[Any], columns: dict[str, Any]) -> list[bool]:
        """Whether each response may be paid: all, or those that answer better than their group."""
        if not self.gate:
            return [True] * len(completions)
        accuracy = AccuracyReward()(completions, **columns | {"log_metric": None})
        keys = _group_keys(completions, columns, self.__name__)
        groups: dict[Hashable, list[float]] = defaultdict(list)
        for key, value in zip(keys, accuracy, strict=True):
            groups[key] += [] if value is None else [value]
        return [
            value is not None and value * len(groups[key]) > math.fsum(groups[key])
            for key, value in zip(keys, accuracy, strict=True)
        ]

    def _values(self, regions: Sequence[Region]) -> list[float]:
        """How much each region is worth a look."""
        return target_values(
            self.target,
            [region.uncertainty for region in regions],
            [region.support for region in regions],
            [region.kind == "object" for region in regions],
        ).tolist()


def _group_keys(
    completions: Sequence[Any], columns: dict[str, Any], reward: str
) -> Sequence[Hashable]:
    """What the responses to one prompt share, one per completion."""
    if ids := [name for name in ("image_id", "prompt_id") if columns.get(name) is not None]:
        return [tuple(those) for _, *those in rows(completions, columns, reward, required=ids)]
    if columns.get("prompts") is None:
        raise ValueError(f"{reward} by group needs the column 'image_id', 'prompt_id' or 'prompts'")
    # Many images are asked the same question; what is annotated tells them apart.
    given = rows(completions, columns, reward, required=("prompts", "gt_boxes"))
    return [(completion_text(prompt), repr(boxes)) for _, prompt, boxes in given]


def _in_frame(boxes: np.ndarray, case: np.ndarray, cases: Sequence[_Case]) -> Stack:
    """The boxes (N, 4) of the cases (N,), clipped to the frame of each where it has one."""
    frames = [case.frame for case in cases]
    if len(set(frames)) == 1:
        return stacked(boxes if frames[0] is None else clip(boxes, *frames[0]), case)
    of_box = np.array([frame or (np.nan, np.nan) for frame in frames], np.float64)[case].T
    return stacked(np.where(np.isnan(of_box[:1].T), boxes, clip(boxes, *of_box)), case)


def _answered_boxes(text: str) -> np.ndarray | None:
    """(N, 4) boxes of the answer; None where it cannot be read."""
    answer = parse_response(text).answer
    return None if answer is None else answer.boxes


_DEFAULT = LookingReward()


def looking_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`LookingReward` with its defaults."""
    return _DEFAULT(completions, **columns)
