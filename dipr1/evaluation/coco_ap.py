"""COCO's average precision and recall.

Source: Lin et al., "Microsoft COCO: Common Objects in Context", and its evaluation code
(pycocotools), with which the figures agree to rounding. The matching of all images runs at once
(:mod:`dipr1.matching`).

:func:`coco_metrics` departs from COCO's defaults so that crowds are measured whole: all detections
count instead of the best 100 of each image. :func:`coco_summary` gives the official figures.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from dipr1.evaluation.ranked import DROPPED, FALSE, TRUE, Ranked, coco_ap, recall_of
from dipr1.evaluation.stacks import by_score, rank_in_image, stack
from dipr1.matching import Stack, by_preference, greedy, inside_pairs, overlapping_pairs

IOU_THRESHOLDS = np.linspace(0.5, 0.95, 10)
AREA_RANGES = {
    "all": (0.0, 1e10),
    "small": (0.0, 32.0**2),
    "medium": (32.0**2, 96.0**2),
    "large": (96.0**2, 1e10),
}
MAX_DETECTIONS = 100
Pairs = tuple[np.ndarray, np.ndarray, np.ndarray]
SUMMARY = ("AP", "AP50", "AP75", "APs", "APm", "APl", "AR1", "AR10", "AR100", "ARs", "ARm", "ARl")


@dataclass(frozen=True)
class Objects:
    """The ground truth of one category.

    Attributes:
        boxes: M boxes, those of an image in the order of the file: of objects that overlap a
            detection equally, the last is taken.
        crowd: (M,) bool, areas that swallow any number of detections.
        size: (M,) the area by which an object counts as small, medium or large.
        num_images: number of images, with objects or without.
    """

    boxes: Stack
    crowd: np.ndarray
    size: np.ndarray
    num_images: int


def coco_metrics(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
) -> dict[str, float]:
    """AP, AP50, AP75 and AR of one category, with all detections.

    Args:
        detections: per image (N, 5) xyxy and score. A box without an area (degenerate, inverted or
            not finite) stays as a false positive.
        ground_truth: per image (M, 4) xyxy, the same frame.
        ignore: per image (K, 4) xyxy, areas where detections do not count.

    Returns:
        ``AP`` (mean over IoU 0.50, 0.55 ... 0.95), ``AP50``, ``AP75``, and ``AR`` (recall with all
        detections, mean over the same IoUs), each in [0, 1]; NaN where nothing is to be found.

    >>> boxes = np.array([[0.0, 0.0, 10.0, 10.0]])
    >>> scored = np.array([[0.0, 0.0, 10.0, 9.0, 0.8]])
    >>> coco_metrics([scored], [boxes], [np.empty((0, 4))])["AP50"]
    1.0
    """
    rankings = coco_ranked(detections, ground_truth, ignore)
    precision = [coco_ap(ranking) for ranking in rankings]
    return {
        "AP": float(np.mean(precision)),
        "AP50": precision[0],
        "AP75": precision[5],
        "AR": float(np.mean([recall_of(ranking) for ranking in rankings])),
    }


def coco_ranked(
    detections: Sequence[np.ndarray],
    ground_truth: Sequence[np.ndarray],
    ignore: Sequence[np.ndarray],
) -> list[Ranked]:
    """Match by COCO's rules and rank all detections, once per IoU threshold 0.50, 0.55 ... 0.95.

    Args:
        detections, ground_truth, ignore: as in :func:`coco_metrics`.
    """
    both = [
        np.concatenate([objects[:, :4], areas[:, :4]]) if len(areas) else objects
        for objects, areas in zip(ground_truth, ignore, strict=True)
    ]
    boxes = stack(both)
    crowd = rank_in_image(boxes) >= np.array([len(rows) for rows in ground_truth], int)[boxes.image]
    objects = Objects(boxes, crowd, boxes.area, len(both))
    return _rankings(_candidates(by_score(stack(detections)), objects), AREA_RANGES["all"])


def coco_summary(categories: Sequence[tuple[Stack, Objects]]) -> dict[str, float]:
    """The twelve figures of COCO's official summary.

    Args:
        categories: the detections and the ground truth of each category, over the same images.

    Returns:
        By the names of `SUMMARY`: only the best 100 detections of each image and category count,
        1 and 10 for ``AR1`` and ``AR10``. Means over the categories that have such objects; NaN
        where none has.
    """
    values: dict[str, list[np.ndarray]] = {name: [] for name in SUMMARY}
    for detections, objects in categories:
        scored = by_score(detections)
        scored = scored.take(rank_in_image(scored) < MAX_DETECTIONS)
        candidates = _candidates(scored, objects)
        for name, letter in zip(AREA_RANGES, ("", "s", "m", "l"), strict=True):
            rankings = _rankings(candidates, AREA_RANGES[name])
            precision = np.array([coco_ap(ranking) for ranking in rankings])
            values[f"AP{letter}"].append(precision)
            values[f"AR{letter or MAX_DETECTIONS}"].append(_recalls(rankings))
            if name == "all":
                values["AP50"].append(precision[:1])
                values["AP75"].append(precision[5:6])
                place_in_image = rank_in_image(scored)[candidates.order]
                for most in (1, 10):
                    best = np.flatnonzero(place_in_image < most)
                    values[f"AR{most}"].append(_recalls(_take(rankings, best)))
    return {name: _mean_of_defined(rows) for name, rows in values.items()}


def _recalls(rankings: Sequence[Ranked]) -> np.ndarray:
    return np.array([recall_of(ranking) for ranking in rankings])


def _take(rankings: Sequence[Ranked], rows: np.ndarray) -> list[Ranked]:
    """The same rows of rankings of the same detections."""
    image, score = rankings[0].image[rows], rankings[0].score[rows]
    return [Ranked(image, score, each.verdict[rows], each.objects) for each in rankings]


def _mean_of_defined(rows: list[np.ndarray]) -> float:
    row = np.concatenate([np.zeros(0), *rows])
    row = row[~np.isnan(row)]
    return float(row.mean()) if len(row) else math.nan


@dataclass(frozen=True)
class _Candidates:
    """Detections, objects, and what may be matched.

    Attributes:
        scored: N detections, within each image the highest score first.
        objects: the ground truth.
        pairs: rows, columns and overlaps of the pairs that may match at any threshold, for each
            detection the largest overlap first.
        order: (N,) the detections of all images, the highest score first.
    """

    scored: Stack
    objects: Objects
    pairs: Pairs
    order: np.ndarray


def _candidates(scored: Stack, objects: Objects) -> _Candidates:
    parts = []
    for chosen, overlaps_of in (
        (np.flatnonzero(~objects.crowd), overlapping_pairs),
        (np.flatnonzero(objects.crowd), inside_pairs),
    ):
        rows, columns, overlaps = overlaps_of(scored, objects.boxes.take(chosen), IOU_THRESHOLDS[0])
        parts.append((rows, chosen[columns], overlaps))
    pairs = (np.concatenate(part) for part in zip(*parts, strict=True))
    order = np.argsort(-scored.score, kind="stable")
    return _Candidates(scored, objects, by_preference(*pairs, last_wins=True), order)


def _rankings(candidates: _Candidates, area_range: tuple[float, float]) -> list[Ranked]:
    """One ranking per IoU threshold; objects and unmatched boxes out of range do not count."""
    scored, objects, order = candidates.scored, candidates.objects, candidates.order
    ignored = objects.crowd | (objects.size < area_range[0]) | (objects.size > area_range[1])
    out_of_range = (scored.area < area_range[0]) | (scored.area > area_range[1])
    num_objects = np.bincount(objects.boxes.image[~ignored], minlength=objects.num_images)
    rows, columns, _ = candidates.pairs
    # each detection's best first, but all that count before all that do not
    preferred = np.argsort(2 * rows + ignored.take(columns), kind="stable")
    rows, columns, overlaps = (each.take(preferred) for each in candidates.pairs)
    image, score = scored.image[order], scored.score[order]
    unmatched = np.where(out_of_range, DROPPED, FALSE).astype(np.int8)
    rankings = []
    for threshold in IOU_THRESHOLDS:
        allowed = np.flatnonzero(overlaps >= threshold)
        rows, columns, overlaps = (each.take(allowed) for each in (rows, columns, overlaps))
        taken = greedy(rows, columns, len(scored), len(ignored), reusable=objects.crowd)
        matched = np.flatnonzero(taken >= 0)
        verdict = unmatched.copy()
        verdict[matched] = np.where(ignored[taken[matched]], DROPPED, TRUE)
        rankings.append(Ranked(image, score, verdict.take(order), num_objects))
    return rankings
