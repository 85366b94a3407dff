"""UAVDT's average precision of vehicle detection, as its toolkit computes it.

Source: Du et al., "The Unmanned Aerial Vehicle Benchmark: Object Detection and Tracking"
(arXiv 1804.00518) and its Matlab toolkit UAV-benchmark-MOTD_v1.0
(`CalculateDetectionPR_overall.m`, `evalRes.m`, `VOCap.m`): all classes together, IoU >= 0.7, greedy
by score within a frame, of vehicles that overlap a detection equally the last is taken; the area
under the interpolated curve, in percent. A detection whose four sides lie strictly inside one
ignored region is removed first; a vehicle never is.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import read_number_rows
from dipr1.evaluation.protocols.records import stacked
from dipr1.evaluation.ranked import FALSE, TRUE, Ranked, rank, voc_ap
from dipr1.evaluation.stacks import by_score
from dipr1.matching import Stack, by_preference, greedy, overlapping_pairs, strictly_inside

IOU_THRESHOLD = 0.7
UAVDT_TEST = frozenset(
    f"M{number:04}"
    for number in (203, 205, 208, 209, 403, 601, 602, 606, 701, 801)
    + (802, 1001, 1004, 1007, 1009, 1101, 1301, 1302, 1303, 1401)
)
"""The sequences of UAVDT's test set."""


def uavdt(ground_truth: str, detections: str) -> dict[str, float]:
    """Average precision of vehicles, in percent.

    The sequences that have a file of detections are evaluated; one of the test set that has ground
    truth must have such a file. Vehicles are those of `{sequence}_gt_whole.txt`, as in the toolkit,
    or of `{sequence}_gt.txt` where that is missing.
    """
    names = _sequences(ground_truth, detections)
    scored, vehicles, ignore = [], [], []
    for number, name in enumerate(names):
        truth = os.path.join(ground_truth, f"{name}_gt_whole.txt")
        if not os.path.exists(truth):
            truth = os.path.join(ground_truth, f"{name}_gt.txt")
        ignored = os.path.join(ground_truth, f"{name}_gt_ignore.txt")
        scored.append(_frames(os.path.join(detections, f"{name}.txt"), 7, number))
        vehicles.append(_frames(truth, 6, number))
        if os.path.exists(ignored):
            ignore.append(_frames(ignored, 6, number))
    # sequence, frame, id, x, y, width, height, score
    tables = [np.concatenate([np.empty((0, 8)), *part]) for part in (scored, vehicles, ignore)]
    frames, image = np.unique(np.concatenate(tables)[:, :2], axis=0, return_inverse=True)
    images = np.split(image.reshape(-1), np.cumsum([len(table) for table in tables])[:-1])
    stacks = [
        stacked(table[:, 3:7], own, table[:, 7]) for table, own in zip(tables, images, strict=True)
    ]
    return {"AP_overall": uavdt_ap(*stacks, len(frames))}


def _sequences(ground_truth: str, detections: str) -> list[str]:
    known = {file.name.split("_gt")[0] for file in Path(ground_truth).glob("*_gt*.txt")}
    if not known:
        raise UserError(f"{ground_truth}: no file like M0203_gt_whole.txt; give the GT folder")
    answered = sorted(file.stem for file in Path(detections).glob("*.txt"))
    if not answered:
        raise UserError(f"{detections}: no file like M0203.txt; give the folder of detections")
    for name in answered:
        if name not in known:
            raise UserError(
                f"{detections}: {name}.txt: {ground_truth} has no {name}_gt_whole.txt; name the"
                " files of detections as the sequences"
            )
    missing = sorted((known & UAVDT_TEST).difference(answered))
    if missing:
        raise UserError(
            f"{detections}: {missing[0]}.txt is missing ({len(missing)} such sequences of the test"
            " set); an empty file says that nothing was found"
        )
    return answered


def _frames(path: str, width: int, sequence: int) -> np.ndarray:
    """(N, 8): the sequence's number, the first `width` columns of the file, zeros."""
    rows = read_number_rows(path, width)
    table = np.zeros((len(rows), 8))
    table[:, 0], table[:, 1 : width + 1] = sequence, rows
    return table


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
    scored = by_score(detections.take(~strictly_inside(detections, ignore)))
    pairs = overlapping_pairs(scored, vehicles, IOU_THRESHOLD)
    rows, columns, _ = by_preference(*pairs, last_wins=True)
    hits = greedy(rows, columns, len(scored), len(vehicles)) >= 0
    verdict = np.where(hits, TRUE, FALSE)
    return rank(scored.image, scored.score, verdict, vehicles.count(num_images))
