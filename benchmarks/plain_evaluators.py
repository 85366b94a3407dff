"""The official evaluation programs restated in plain loops, one box after the other.

Written from the rules that the programs follow (the sources are named in `dipr1.metrics`), sharing
no code with `dipr1`: tests compare figures with them, `benchmarks/metrics.py` compares times.
Boxes are lists of [x1, y1, x2, y2], detections have the score as a fifth number.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Box = Sequence[float]

REFERENCES = (0.01, 0.0178, 0.0316, 0.0562, 0.1, 0.1778, 0.3162, 0.5623, 1.0)


def shared_area(a: Box, b: Box, longer: float = 0.0) -> float:
    width = min(a[2], b[2]) - max(a[0], b[0]) + longer
    height = min(a[3], b[3]) - max(a[1], b[1]) + longer
    return width * height if width > 0 and height > 0 else 0.0


def box_area(box: Box, longer: float = 0.0) -> float:
    return (box[2] - box[0] + longer) * (box[3] - box[1] + longer)


def overlap(a: Box, b: Box, longer: float = 0.0) -> float:
    shared = shared_area(a, b, longer)
    return shared / (box_area(a, longer) + box_area(b, longer) - shared) if shared else 0.0


def share_inside(box: Box, region: Box) -> float:
    shared = shared_area(box, region)
    return shared / box_area(box) if shared else 0.0


def clipped(box: Box, width: float, height: float) -> list[float]:
    x1, y1 = (min(max(box[k], 0), side - 1) for k, side in ((0, width), (1, height)))
    x2, y2 = (min(max(box[k], 0), side) for k, side in ((2, width), (3, height)))
    return [x1, y1, x2, y2, *box[4:]]


# --- CrowdHuman -----------------------------------------------------------------------------------


def crowdhuman_scores(
    detections: Sequence,
    people: Sequence,
    ignore: Sequence,
    sizes: Sequence,
    threshold: float = 0.5,
) -> tuple[list[tuple[float, bool]], int]:
    """(score, it found somebody) of every detection that counts, ranked; and the people."""
    ranked, num_people = [], 0
    for found, targets, areas, (width, height) in zip(
        detections, people, ignore, sizes, strict=True
    ):
        found = sorted((clipped(box, width, height) for box in found), key=lambda box: -box[4])
        targets = [clipped(box, width, height) for box in targets]
        areas = [clipped(box, width, height) for box in areas]
        taken = [False] * len(targets)
        num_people += len(targets)
        for box in found:
            best, best_overlap = -1, threshold
            for number, target in enumerate(targets):
                if not taken[number]:
                    value = overlap(box, target)
                    if value > best_overlap:
                        best, best_overlap = number, value
            if best >= 0:
                taken[best] = True
                ranked.append((box[4], True))
                continue
            for region in areas:
                if share_inside(box, region) > threshold:
                    break
            else:
                ranked.append((box[4], False))
    ranked.sort(key=lambda row: -row[0])
    return ranked, num_people


def crowdhuman_ap_mr(
    detections: Sequence, people: Sequence, ignore: Sequence, sizes: Sequence
) -> tuple[float, float]:
    ranked, num_people = crowdhuman_scores(detections, people, ignore, sizes)
    true = false = 0
    recalls, precisions, per_image = [], [], []
    for _, hit in ranked:
        true, false = true + hit, false + (not hit)
        recalls.append(true / num_people)
        precisions.append(true / (true + false))
        per_image.append(false / len(detections))
    area = 0.0
    for k in range(1, len(ranked)):
        area += (recalls[k] - recalls[k - 1]) * (precisions[k] + precisions[k - 1]) / 2
    rates = []
    for reference in REFERENCES:
        k = next((k for k, value in enumerate(per_image) if value >= reference), len(ranked) - 1)
        rates.append(1 - recalls[k])
    if min(rates) <= 0:
        return area, 0.0
    return area, math.exp(sum(map(math.log, rates)) / len(rates))


def crowdhuman_ji(detections: Sequence, people: Sequence, ignore: Sequence, sizes: Sequence):
    return max(jaccard_at(step / 10, detections, people, ignore, sizes)[0] for step in range(10))


def jaccard_at(
    score: float, detections: Sequence, people: Sequence, ignore: Sequence, sizes: Sequence
) -> tuple[float, int]:
    """The mean index at one score threshold, and the number of images that count."""
    # general maximum-weight matching in pure Python, as the official program has it
    import networkx

    total, num_images = 0.0, 0
    for found, targets, areas, (width, height) in zip(
        detections, people, ignore, sizes, strict=True
    ):
        found = [clipped(box, width, height) for box in found if box[4] > score]
        targets = [clipped(box, width, height) for box in targets]
        areas = [clipped(box, width, height) for box in areas]
        graph = networkx.Graph()
        for row, box in enumerate(found):
            for column, target in enumerate(targets):
                value = overlap(box, target)
                if value > 0.5:
                    graph.add_edge(("box", row), ("person", column), weight=value)
        pairs = networkx.max_weight_matching(graph)
        matched = {node for pair in pairs for node in pair}
        num_boxes = sum(
            ("box", row) in matched or not is_inside(box, areas) for row, box in enumerate(found)
        )
        num_people = sum(
            ("person", column) in matched or not is_inside(target, areas)
            for column, target in enumerate(targets)
        )
        if num_boxes + num_people:
            num_images += 1
            total += len(pairs) / (num_boxes + num_people - len(pairs))
    return (total / num_images if num_images else 0.0), num_images


def is_inside(box: Box, areas: Sequence[Box]) -> bool:
    return any(share_inside(box, region) > 0.5 for region in areas)


# --- CityPersons ----------------------------------------------------------------------------------


def citypersons_miss_rate(
    detections: Sequence,
    people: Sequence,
    heights: tuple[float, float],
    visibilities: tuple[float, float],
    wrap_fault: bool = False,
) -> float:
    """Percent.

    Args:
        detections: per image.
        people: per image (box, visible share, is ignored).
    """
    ranked, num_people = [], 0
    for found, annotated in zip(detections, people, strict=True):
        found = sorted(found, key=lambda box: -box[4])
        found = [box for box in found if heights[0] / 1.25 <= box[3] - box[1] < heights[1] * 1.25]
        wanted, areas = [], []
        for box, visibility, ignored in annotated:
            counts = (
                heights[0] <= box[3] - box[1] <= heights[1]
                and visibilities[0] <= visibility <= visibilities[1]
                and not ignored
            )
            (wanted if counts else areas).append(box)
        taken = [False] * len(wanted)
        num_people += len(wanted)
        for box in found:
            best, best_overlap = -1, 0.5
            for number, target in enumerate(wanted):
                if not taken[number] and overlap(box, target) >= best_overlap:
                    best, best_overlap = number, overlap(box, target)
            if best >= 0:
                taken[best] = True
                ranked.append((box[4], True))
            elif not any(share_inside(box, area) >= 0.5 for area in areas):
                ranked.append((box[4], False))
    ranked.sort(key=lambda row: -row[0])
    recalls, per_image, true = [], [], 0
    for rank, (_, hit) in enumerate(ranked, start=1):
        true += hit
        recalls.append(true / num_people)
        per_image.append((rank - true) / len(detections))
    rates = []
    for reference in REFERENCES:
        last = sum(value <= reference for value in per_image) - 1
        rates.append(1 - (recalls[last] if last >= 0 or (wrap_fault and recalls) else 0.0))
    return 0.0 if min(rates) <= 0 else 100 * math.exp(sum(map(math.log, rates)) / len(rates))


# --- WIDER Pedestrian -----------------------------------------------------------------------------


def wider_map(detections: dict, people: dict, ignore: dict, year: int) -> float:
    """Mean over the ten IoU thresholds; everything per image name."""
    found = []
    for name in sorted(detections):
        kept = without_ignored(detections[name], ignore.get(name, []), year)
        found += [(box, name) for box in kept]
    found.sort(key=lambda row: -row[0][4])
    people = {
        name: without_ignored(boxes, ignore.get(name, []), year) for name, boxes in people.items()
    }
    values = []
    for step in range(10):
        taken = {name: [False] * len(boxes) for name, boxes in people.items()}
        hits = []
        for box, name in found:
            overlaps = [overlap(box, target, longer=1.0) for target in people[name]]
            best = overlaps.index(max(overlaps)) if overlaps else -1
            hit = best >= 0 and overlaps[best] > 0.5 + step * 0.05 and not taken[name][best]
            if hit:
                taken[name][best] = True
            hits.append(hit)
        values.append(area_under_curve(hits, sum(map(len, people.values()))))
    return sum(values) / len(values)


def without_ignored(boxes: Sequence[Box], areas: Sequence[Box], year: int) -> list[Box]:
    kept = []
    for box in boxes:
        shared = -0.01
        for region in areas:
            if shared_area(box, region) > 0:
                shared += shared_area(box, region, longer=1.0 if year == 2019 else 0.0)
        if shared / box_area(box) <= 0.5:
            kept.append(box)
    return kept


def area_under_curve(hits: Sequence[bool], num_objects: int) -> float:
    recalls, precisions, true = [0.0], [0.0], 0
    for rank, hit in enumerate(hits, start=1):
        true += hit
        recalls.append(true / num_objects)
        precisions.append(true / rank)
    recalls.append(1.0)
    precisions.append(0.0)
    for k in range(len(precisions) - 1, 0, -1):
        precisions[k - 1] = max(precisions[k - 1], precisions[k])
    return sum((recalls[k] - recalls[k - 1]) * precisions[k] for k in range(1, len(recalls)))


# --- UAVDT ----------------------------------------------------------------------------------------


def uavdt_ap(detections: dict, vehicles: dict, ignore: dict) -> float:
    """Percent; everything per (sequence, frame)."""
    ranked = []
    for frame in sorted({*detections, *vehicles}):
        found = [
            box
            for box in detections.get(frame, [])
            if not any(
                box[0] > area[0] and box[1] > area[1] and box[2] < area[2] and box[3] < area[3]
                for area in ignore.get(frame, [])
            )
        ]
        targets = vehicles.get(frame, [])
        taken = [False] * len(targets)
        for box in sorted(found, key=lambda box: -box[4]):
            best, best_overlap = -1, 0.7
            for number, target in enumerate(targets):
                if not taken[number] and overlap(box, target) >= best_overlap:
                    best, best_overlap = number, overlap(box, target)
            if best >= 0:
                taken[best] = True
            ranked.append((box[4], best >= 0))
    ranked.sort(key=lambda row: -row[0])
    return 100 * area_under_curve(
        [hit for _, hit in ranked], sum(len(boxes) for boxes in vehicles.values())
    )
