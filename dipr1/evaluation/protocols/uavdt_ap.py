"""UAVDT's average precision of vehicle detection, as its toolkit computes it.

Source: Du et al., "The Unmanned Aerial Vehicle Benchmark: Object Detection and Tracking"
(arXiv 1804.00518) and its Matlab toolkit UAV-benchmark-MOTD_v1.0
(`CalculateDetectionPR_overall.m`, `evalRes.m`, `VOCap.m`): all classes together, IoU >= 0.7, greedy
by score within a frame, of vehicles that overlap a detection equally the last is taken; the area
under the interpolated curve, in percent. A detection whose four sides lie strictly inside one
ignored region is removed first; a vehicle never is.
"""

from __future__ import annotations

import numpy as np

from dipr1.evaluation.ranked import FALSE, TRUE, Ranked, ranked, voc_ap
from dipr1.matching import (
    Stack,
    by_score,
    greedy,
    in_order_of_liking,
    overlapping_pairs,
    strictly_inside,
)

IOU_THRESHOLD = 0.7


def uavdt_ap(detections: Stack, vehicles: Stack, ignore: Stack, num_images: int) -> float:
    """Average precision in percent, not rounded (the toolkit rounds to two digits).

    Args:
        detections: xyxy, image frame; an image is a frame of a sequence.
        vehicles: of the same frames.
        ignore: regions to ignore, of the same frames.
        num_images: number of frames.

    Returns:
        In [0, 100]; 0 without detections, NaN without vehicles.
    """
    return 100.0 * voc_ap(uavdt_ranked(detections, vehicles, ignore, num_images))


def uavdt_ranked(detections: Stack, vehicles: Stack, ignore: Stack, num_images: int) -> Ranked:
    """Match and rank; the arguments are those of :func:`uavdt_ap`."""
    found = by_score(detections.take(~strictly_inside(detections, ignore)))
    pairs = overlapping_pairs(found, vehicles, IOU_THRESHOLD)
    rows, columns, _ = in_order_of_liking(*pairs, last_wins=True)
    hits = greedy(rows, columns, len(found), len(vehicles)) >= 0
    verdict = np.where(hits, TRUE, FALSE)
    return ranked(found.image, found.score, verdict, vehicles.count(num_images))
