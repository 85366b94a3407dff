"""CityPersons' log-average miss rate over its four official subsets.

Source: Zhang et al., "CityPersons: A Diverse Dataset for Pedestrian Detection" (arXiv 1702.05693)
and the evaluation code of its repository (`evaluation/eval_script`). A person outside the subset's
range of height or visibility becomes an area to ignore. Matching is greedy with IoU >= 0.5, of
objects that overlap a detection equally the last is taken, and a detection that finds none is
dropped where half of its area lies in one ignore area. Each miss rate is read at the last detection
whose FPPI (false positives per image) does not exceed the reference.

Where the first detection's FPPI exceeds a reference already, the official code reads the table at
index -1, its end: the recall of all detections instead of none. That fault flatters a detector
whose most certain box is wrong; it is reproduced on request only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dipr1.evaluation.protocols.coco_files import CocoResults, CocoTruth
from dipr1.evaluation.protocols.records import stacked
from dipr1.evaluation.ranked import (
    DROPPED,
    FALSE,
    FPPI_REFERENCES,
    TRUE,
    Ranked,
    fppi_and_recall,
    log_average,
    rank,
)
from dipr1.evaluation.stacks import by_score, order_by_score, rank_in_image
from dipr1.matching import Stack, by_preference, greedy, largest_ioa, overlapping_pairs

PEDESTRIAN = 1
"""The only one of the categories that the evaluation looks at."""

IOU_THRESHOLD = 0.5
MAX_DETECTIONS = 1000
# a detection counts if its height is within the subset's range, widened by this factor
HEIGHT_MARGIN = 1.25
UNBOUNDED = 1e10


@dataclass(frozen=True)
class Subset:
    """Who counts: height in pixels and visible share of the box, both bounds included."""

    heights: tuple[float, float]
    visibilities: tuple[float, float]


SUBSETS = {
    "Reasonable": Subset((50, UNBOUNDED), (0.65, UNBOUNDED)),
    "Reasonable_small": Subset((50, 75), (0.65, UNBOUNDED)),
    "Reasonable_occ=heavy": Subset((50, UNBOUNDED), (0.2, 0.65)),
    "All": Subset((20, UNBOUNDED), (0.2, UNBOUNDED)),
}


@dataclass(frozen=True)
class People:
    """The ground truth.

    Attributes:
        boxes: M boxes, those of an image in the order of the file.
        height: (M,) pixels.
        visibility: (M,) visible share of the box.
        ignored: (M,) bool, never to be found.
        num_images: number of images, with people or without.
    """

    boxes: Stack
    height: np.ndarray
    visibility: np.ndarray
    ignored: np.ndarray
    num_images: int


def citypersons(ground_truth: str, detections: str, wrap_fault: bool = False) -> dict[str, float]:
    """The log-average miss rate in four subsets, in percent."""
    truth = CocoTruth(ground_truth)
    scored, heights = CocoResults(detections, truth, [PEDESTRIAN]).of(PEDESTRIAN)
    numbers = truth.columns({"bbox": 4, "height": 1, "vis_ratio": 1})
    rows = truth.rows_of(PEDESTRIAN)
    people = People(
        stacked(numbers["bbox"][rows], truth.image[rows]),
        numbers["height"][rows, 0],
        numbers["vis_ratio"][rows, 0],
        truth.flags("ignore")[rows],
        truth.num_images,
    )
    return citypersons_miss_rates(scored, heights, people, wrap_fault)


def citypersons_miss_rates(
    detections: Stack, heights: np.ndarray, people: People, wrap_fault: bool = False
) -> dict[str, float]:
    """The log-average miss rate of each of the `SUBSETS`, in percent; lower is better.

    Args:
        detections: the best 1,000 of each image count.
        heights: (D,) of the detections, pixels, as written: y2 - y1 may miss a bound by rounding.
        people: of the same images.
        wrap_fault: reproduce the official fault (see the module's head).

    Returns:
        100 without detections, NaN where a subset is empty.
    """
    order = order_by_score(detections)
    order = order[rank_in_image(detections.take(order)) < MAX_DETECTIONS]
    scored, heights = detections.take(order), heights[order]
    return {
        name: 100.0
        * citypersons_miss_rate(citypersons_ranked(scored, heights, people, subset), wrap_fault)
        for name, subset in SUBSETS.items()
    }


def citypersons_ranked(
    detections: Stack, heights: np.ndarray, people: People, subset: Subset
) -> Ranked:
    """Match within each image and rank the detections whose height may belong to the subset.

    Args:
        detections: D boxes.
        heights: (D,) pixels.
        people: of the same images.
        subset: who counts.
    """
    lowest, highest = subset.heights
    in_range = (heights >= lowest / HEIGHT_MARGIN) & (heights < highest * HEIGHT_MARGIN)
    scored = by_score(detections.take(in_range))
    ignored = (
        people.ignored
        | _outside(people.height, subset.heights)
        | _outside(people.visibility, subset.visibilities)
    )
    wanted = people.boxes.take(~ignored)
    pairs = overlapping_pairs(scored, wanted, IOU_THRESHOLD)
    rows, columns, _ = by_preference(*pairs, last_wins=True)
    hits = greedy(rows, columns, len(scored), len(wanted)) >= 0
    in_ignored = largest_ioa(scored, people.boxes.take(ignored)) >= IOU_THRESHOLD
    verdict = np.where(hits, TRUE, np.where(in_ignored, DROPPED, FALSE))
    return rank(scored.image, scored.score, verdict, wanted.count(people.num_images))


def citypersons_miss_rate(ranked: Ranked, wrap_fault: bool = False) -> float:
    """Log-average miss rate by CityPersons' rule.

    Args:
        ranked: the detections of one subset.
        wrap_fault: reproduce the official fault (see the module's head).

    Returns:
        In [0, 1]: 1 without detections, 0 as soon as one of the nine rates is 0, NaN where nobody
        is to be found.

    >>> one = Ranked(np.array([0, 0]), np.array([0.9, 0.8]), np.array([0, 1]), np.array([2]))
    >>> round(citypersons_miss_rate(one), 3), round(citypersons_miss_rate(one, wrap_fault=True), 3)
    (0.926, 0.5)
    """
    if ranked.num_objects() == 0:
        return float("nan")
    false_per_image, recall = fppi_and_recall(ranked)
    if len(recall) == 0:
        return 1.0
    read_at = np.searchsorted(false_per_image, FPPI_REFERENCES, side="right") - 1
    before_any = 0.0 if not wrap_fault else recall[-1]
    return log_average(1.0 - np.where(read_at < 0, before_any, recall[read_at]))


def _outside(values: np.ndarray, bounds: tuple[float, float]) -> np.ndarray:
    return (values < bounds[0]) | (values > bounds[1])
