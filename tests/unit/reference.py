"""Slow references in plain Python, written from the definitions and sharing no code with `dipr1`.

Boxes are sequences of four numbers. Where coordinates are integers, areas are counts of unit cells
and ratios are fractions, so nothing is rounded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from fractions import Fraction

Box = Sequence[float]


def size(box: Box) -> tuple:
    """Width and height, 0 where inverted."""
    x1, y1, x2, y2 = box
    return (x2 - x1, y2 - y1) if x2 > x1 and y2 > y1 else (0, 0)


def box_area(box: Box):
    width, height = size(box)
    return width * height


def common(a: Box, b: Box):
    """Area that two boxes share."""
    if not box_area(a) or not box_area(b):
        return 0
    return box_area((max(a[0], b[0]), max(a[1], b[1]), min(a[2], b[2]), min(a[3], b[3])))


def ratio(a, b):
    """a / b, exact for integers; 0 for 0 / 0."""
    if not a:
        return 0
    return Fraction(a, b) if isinstance(a, int) and isinstance(b, int) else a / b


def box_iou(a: Box, b: Box):
    shared = common(a, b)
    return ratio(shared, box_area(a) + box_area(b) - shared)


def box_ioa(box: Box, region: Box):
    return ratio(common(box, region), box_area(box))


def best_pairs(overlaps: Sequence[Sequence], threshold=0.5) -> list[tuple[int, int]]:
    """Of all one-to-one matchings, the one with most pairs, then with the largest total."""

    def extend(row: int, free: frozenset) -> tuple[int, object, list]:
        if row == len(overlaps):
            return 0, 0, []
        best = extend(row + 1, free)
        for column in sorted(free):
            overlap = overlaps[row][column]
            if overlap >= threshold and overlap > 0:
                count, total, pairs = extend(row + 1, free - {column})
                candidate = (count + 1, total + overlap, [(row, column), *pairs])
                best = max(best, candidate, key=lambda found: found[:2])
        return best

    return extend(0, frozenset(range(len(overlaps[0]) if overlaps else 0)))[2]


def cells(boxes: Sequence[Box]) -> set[tuple[int, int]]:
    """The unit cells that boxes with integer coordinates cover."""
    return {
        (x, y)
        for x1, y1, x2, y2 in boxes
        if x1 < x2 and y1 < y2
        for x in range(x1, x2)
        for y in range(y1, y2)
    }


def harmonic(precision, recall):
    return 2 * precision * recall / (precision + recall) if precision + recall else 0


def looking(looks, hulls, uncertainty, width, height, threshold=0.5, max_regions=16):
    """The looking reward of integer boxes inside the frame."""
    frame = cells([(0, 0, width, height)])
    chosen = [k for k in range(len(hulls)) if uncertainty[k] >= threshold]
    chosen.sort(key=lambda k: (-uncertainty[k], -len(cells([hulls[k]])), k))
    chosen = chosen[:max_regions]
    looked = cells(looks) & frame
    if not chosen or not looked:
        return 1 if not chosen and not looked else 0
    weights = [Fraction(uncertainty[k]) for k in chosen]
    shares = [Fraction(len(looked & cells([hulls[k]])), len(cells([hulls[k]]))) for k in chosen]
    recall = sum(w * s for w, s in zip(weights, shares, strict=True)) / sum(weights)
    wanted = cells([hulls[k] for k in chosen])
    return harmonic(Fraction(len(looked & wanted), len(looked)), recall)


def accuracy(predictions, labels, truth, truth_labels, ignore, uncertainty, lam=1):
    """Precision, recall and their harmonic mean for integer boxes, quality = IoU."""
    overlaps = [
        [
            box_iou(box, other) if label == other_label else 0
            for other, other_label in zip(truth, truth_labels, strict=True)
        ]
        for box, label in zip(predictions, labels, strict=True)
    ]
    pairs = best_pairs(overlaps)
    matched = {row for row, _ in pairs}
    counted = [
        row
        for row, box in enumerate(predictions)
        if row in matched or all(box_ioa(box, region) < Fraction(1, 2) for region in ignore)
    ]
    if not counted or not truth:
        return (1, 1, 1) if not counted and not truth else (0, 0, 0)
    weights = [1 + lam * Fraction(u) for u in uncertainty]
    precision = Fraction(sum(overlaps[r][c] for r, c in pairs)) / len(counted)
    recall = sum(weights[c] * overlaps[r][c] for r, c in pairs) / Fraction(sum(weights))
    return precision, recall, harmonic(precision, recall)


def mean_box(boxes):
    return tuple(sum(side) / len(boxes) for side in zip(*boxes, strict=True))


def regions(samples, truth, ignore, v0=0.01):
    """Rows (gt_index or None, box, hull, support, e, v or None, u) of the box-variance regions."""
    found = [{"box": tuple(box), "members": [], "gt": index} for index, box in enumerate(truth)]
    for boxes in samples:
        boxes = [tuple(box) for box in boxes if box_area(box)]
        ignored = [any(box_ioa(box, region) >= 0.5 for region in ignore) for box in boxes]
        overlaps = [
            [
                0 if is_ignored and anchor["gt"] is None else box_iou(box, anchor["box"])
                for anchor in found
            ]
            for box, is_ignored in zip(boxes, ignored, strict=True)
        ]
        anchor_of = dict(best_pairs(overlaps))
        for row, box in enumerate(boxes):
            if row in anchor_of:
                found[anchor_of[row]]["members"].append(box)
            elif not ignored[row]:
                found.append({"box": box, "members": [box], "gt": None})
        for anchor in found:
            if anchor["gt"] is None:
                anchor["box"] = mean_box(anchor["members"])
    return [_statistics(anchor, len(samples), v0) for anchor in found]


def _statistics(anchor, num_samples, v0):
    members, everything = anchor["members"], [anchor["box"], *anchor["members"]]
    q = (len(members) + 0.5) / (num_samples + 1)
    existence = 4 * q * (1 - q)
    variance = None
    if len(members) >= 2:
        mean = mean_box(members)
        sizes = (mean[2] - mean[0], mean[3] - mean[1]) * 2
        variance = 0.0
        for side in range(4):
            squares = sum((box[side] - mean[side]) ** 2 for box in members)
            variance += squares / (len(members) - 1) / sizes[side] ** 2 / 4
    steadiness = 1.0 if variance is None else math.exp(-variance / v0)
    hull = tuple(
        pick(box[side] for box in everything) for side, pick in enumerate((min, min, max, max))
    )
    uncertainty = 1 - (1 - existence) * steadiness
    support = len(members) / num_samples
    return anchor["gt"], anchor["box"], hull, support, existence, variance, uncertainty
