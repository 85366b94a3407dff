"""Slow references in plain Python, written from the definitions and sharing no code with `dipr1`.

A box is a sequence of four numbers. They are taken as the fractions they are, so that nothing is
rounded: areas, overlaps, precisions and recalls come out exact. Unions are counted cell by cell or
taken apart into intersections, matchings are tried one after another.
"""

from __future__ import annotations

import itertools
import math
from collections import Counter
from collections.abc import Iterable, Sequence
from fractions import Fraction

Box = Sequence[float]
Pairs = list[tuple[int, int]]
HALF = Fraction(1, 2)
LARGEST = 1e100


class Ambiguous(Exception):
    """The definition allows several results here, or rounding decides between them."""


# --- boxes --------------------------------------------------------------------------------------


def exact(side: float) -> int | Fraction:
    return side if type(side) is int else Fraction(side)


def is_finite(box: Box) -> bool:
    return all(abs(side) <= LARGEST for side in box)


def box_area(box: Box) -> int | Fraction:
    """0 where degenerate, inverted or not finite."""
    x1, y1, x2, y2 = box
    if not (is_finite(box) and x1 < x2 and y1 < y2):
        return 0
    return (exact(x2) - exact(x1)) * (exact(y2) - exact(y1))


def intersection(boxes: Sequence[Box]) -> Box:
    """What finite boxes share; inverted where they share nothing, or one of them is inverted."""
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return max(x1), max(y1), min(x2), min(y2)


def common(a: Box, b: Box) -> int | Fraction:
    """Area that two boxes share."""
    return box_area(intersection([a, b])) if is_finite(a) and is_finite(b) else 0


def box_iou(a: Box, b: Box) -> Fraction:
    shared = common(a, b)
    return Fraction(shared, box_area(a) + box_area(b) - shared) if shared else Fraction(0)


def box_ioa(box: Box, region: Box) -> Fraction:
    shared = common(box, region)
    return Fraction(shared, box_area(box)) if shared else Fraction(0)


def clipped(box: Box, width: float, height: float) -> Box:
    """The part of a box inside the frame."""
    sides = zip(box, (width, height) * 2, strict=True)
    return tuple(min(max(side, 0), largest) for side, largest in sides)


def union_area(boxes: Sequence[Box]) -> Fraction:
    """Area of a union, by inclusion and exclusion: for few boxes."""
    boxes = [box for box in boxes if box_area(box)]
    return sum(
        (
            (-1) ** (num - 1) * box_area(intersection(chosen))
            for num in range(1, len(boxes) + 1)
            for chosen in itertools.combinations(boxes, num)
        ),
        Fraction(0),
    )


def cells(boxes: Iterable[Box]) -> set[tuple[int, int]]:
    """The unit cells that boxes with integer coordinates cover."""
    return {
        (x, y)
        for box in boxes
        if box_area(box)
        for x in range(int(box[0]), int(box[2]))
        for y in range(int(box[1]), int(box[3]))
    }


# --- matching -----------------------------------------------------------------------------------


def best_matchings(overlaps: Sequence[Sequence], threshold=HALF) -> list[Pairs]:
    """All one-to-one matchings with the most pairs and, among those, the largest total."""
    # For every set of columns in use: number of pairs, total, and the ways to get there.
    states: dict[int, tuple[int, Fraction, list[Pairs]]] = {0: (0, Fraction(0), [[]])}
    for row, values in enumerate(overlaps):
        extended = dict(states)
        for used, (num, total, ways) in states.items():
            for column, overlap in enumerate(values):
                if overlap < threshold or overlap <= 0 or used >> column & 1:
                    continue
                key = used | 1 << column
                worth = (num + 1, total + overlap)
                more = [[*pairs, (row, column)] for pairs in ways]
                best = extended.get(key, (-1, 0, []))
                if worth > best[:2]:
                    extended[key] = (*worth, more)
                elif worth == best[:2]:
                    extended[key] = (*worth, [*best[2], *more])
        states = extended
    best = max(state[:2] for state in states.values())
    return [pairs for state in states.values() if state[:2] == best for pairs in state[2]]


def best_pairs(overlaps: Sequence[Sequence], threshold=HALF) -> Pairs:
    """The first of the best matchings in lexicographic order."""
    return min(best_matchings(overlaps, threshold))


# --- rewards ------------------------------------------------------------------------------------


def f_beta(precision, recall, beta=1):
    denominator = beta * beta * precision + recall
    return (1 + beta * beta) * precision * recall / denominator if denominator else 0


def known(uncertainty: Sequence[float | None]) -> list[Fraction]:
    """Uncertainties as fractions; what is not known is 0."""
    return [Fraction(0 if u is None or u != u else u) for u in uncertainty]


def targets(hulls, uncertainty, threshold=0.5, max_regions=4) -> list[int]:
    """Which regions are to be looked at, in order."""
    wanted = [k for k, u in enumerate(uncertainty) if u >= threshold and box_area(hulls[k])]
    chosen = []
    for k in sorted(wanted, key=lambda k: (-uncertainty[k], -box_area(hulls[k]), k)):
        if all(box_ioa(hulls[k], hulls[other]) < HALF for other in chosen):
            chosen.append(k)
    return chosen[:max_regions]


def counted_cells(boxes: Iterable[Box]) -> Counter[tuple[int, int]]:
    """How many boxes with integer coordinates hold each unit cell."""
    return Counter(cell for box in boxes for cell in cells([box]))


def look_recall_precision(
    looks, hulls, uncertainty, frame=None, threshold=0.5, max_regions=4
) -> tuple[Fraction, Fraction]:
    """Recall and precision of look boxes with integer coordinates, by counting cells."""
    if frame is not None:
        looks = [clipped(box, *frame) for box in looks]
        hulls = [clipped(box, *frame) for box in hulls]
    weights = known(uncertainty)
    chosen = targets(hulls, weights, threshold, max_regions)
    looked = cells(looks)
    if not chosen or not looked:
        agree = Fraction(not chosen and not looked)
        return agree, agree
    wanted = {k: cells([hulls[k]]) for k in chosen}
    recall = sum(weights[k] * Fraction(len(looked & wanted[k]), len(wanted[k])) for k in chosen)
    # The least of two counters is their intersection.
    num_looks = counted_cells(looks)
    shared = num_looks & counted_cells(hulls[k] for k in chosen)
    precision = Fraction(shared.total(), num_looks.total())
    return recall / sum(weights[k] for k in chosen), precision


def looking(looks, hulls, uncertainty, width, height, threshold=0.5, max_regions=4):
    """The looking reward of boxes with integer coordinates."""
    frame = (width, height)
    recall, precision = look_recall_precision(
        looks, hulls, uncertainty, frame, threshold, max_regions
    )
    return f_beta(precision, recall)


def labels_to_compare(labels, truth_labels, asked):
    """The labels of the answer, those that are left out being the only one that is possible."""
    possible = set(truth_labels if asked is None else asked)
    only = next(iter(possible)) if len(possible) == 1 else None
    return [only if label is None else label for label in labels]


def precisions_and_recalls(
    predictions,
    labels,
    truth,
    truth_labels=None,
    ignore=(),
    uncertainty=None,
    *,
    asked=None,
    lam=1,
    quality="soft",
    match_iou=HALF,
) -> set[tuple[Fraction, Fraction]]:
    """(precision, recall) of an answer: one, or as many as there are equally good matchings.

    Of a box that is given several times, whatever its labels, only the pairs of the largest IoU
    count.
    """
    overlaps = [[box_iou(box, other) for other in truth] for box in predictions]
    if truth_labels is not None:
        for row, label in enumerate(labels_to_compare(labels, truth_labels, asked)):
            for column, other in enumerate(truth_labels):
                if label is None or label != other:
                    overlaps[row][column] = Fraction(0)
    for row, box in enumerate(predictions):
        if predictions.count(box) > 1:
            overlaps[row] = [value if value == max(overlaps[row]) else 0 for value in overlaps[row]]
    weights = [1 + lam * u for u in known(uncertainty or [0] * len(truth))]
    results = set()
    for pairs in best_matchings(overlaps, match_iou):
        matched = {row for row, _ in pairs}
        num_counted = sum(
            row in matched or not any(box_ioa(box, region) >= HALF for region in ignore)
            for row, box in enumerate(predictions)
        )
        if num_counted == 0 or len(truth) == 0:
            agree = Fraction(num_counted == len(truth))
            results.add((agree, agree))
            continue
        worth = {pair: overlaps[pair[0]][pair[1]] if quality == "soft" else 1 for pair in pairs}
        precision = Fraction(sum(worth.values())) / num_counted
        recall = sum(weights[pair[1]] * worth[pair] for pair in pairs) / Fraction(sum(weights))
        results.add((precision, recall))
    return results


# --- box variance -------------------------------------------------------------------------------


def mean_box(boxes: Sequence[Box]) -> Box:
    return tuple(sum(map(Fraction, side)) / len(boxes) for side in zip(*boxes, strict=True))


def regions(samples, truth, ignore, v0=0.01, match_iou=HALF):
    """Rows (gt_index or None, box, hull, support, e, v or None, u) of the box-variance regions.

    Raises:
        Ambiguous: two matchings are equally good, or a phantom's mean is so near to the threshold
            that its rounding decides.
    """
    anchors = [{"box": tuple(box), "members": [], "gt": index} for index, box in enumerate(truth)]
    for boxes in samples:
        boxes = [tuple(box) for box in boxes if box_area(box)]
        ignored = [any(box_ioa(box, region) >= HALF for region in ignore) for box in boxes]
        overlaps = [
            [
                Fraction(0)
                if is_ignored and anchor["gt"] is None
                else _iou_with_anchor(box, anchor, match_iou)
                for anchor in anchors
            ]
            for box, is_ignored in zip(boxes, ignored, strict=True)
        ]
        matchings = best_matchings(overlaps, match_iou)
        if len(matchings) > 1:
            raise Ambiguous
        anchor_of = dict(matchings[0])
        for row, box in enumerate(boxes):
            if row in anchor_of:
                anchors[anchor_of[row]]["members"].append(box)
            elif not ignored[row]:
                anchors.append({"box": box, "members": [box], "gt": None})
        for anchor in anchors:
            if anchor["gt"] is None:
                anchor["box"] = mean_box(anchor["members"])
    return [_statistics(anchor, len(samples), v0) for anchor in anchors]


def _iou_with_anchor(box, anchor, match_iou):
    overlap = box_iou(box, anchor["box"])
    if anchor["gt"] is None and abs(overlap - match_iou) < 1e-9:
        raise Ambiguous
    return overlap


def _statistics(anchor, num_samples, v0):
    members, everything = anchor["members"], [anchor["box"], *anchor["members"]]
    q = (len(members) + HALF) / (num_samples + 1)
    existence = 4 * q * (1 - q)
    variance = None
    if len(members) >= 2:
        mean = mean_box(members)
        sizes = (mean[2] - mean[0], mean[3] - mean[1]) * 2
        variance = Fraction(0)
        for side in range(4):
            squares = sum((Fraction(box[side]) - mean[side]) ** 2 for box in members)
            variance += squares / (len(members) - 1) / sizes[side] ** 2 / 4
    steadiness = 1.0 if variance is None else math.exp(-variance / Fraction(v0))
    hull = [pick(box[side] for box in everything) for side, pick in enumerate((min, min, max, max))]
    return (
        anchor["gt"],
        tuple(map(float, anchor["box"])),
        tuple(map(float, hull)),
        len(members) / num_samples,
        float(existence),
        None if variance is None else float(variance),
        1 - (1 - float(existence)) * steadiness,
    )
