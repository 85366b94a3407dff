"""The mean average precision of the WIDER Pedestrian challenges (2018 and 2019).

Source: Loy et al., "WIDER Face and Pedestrian Challenge 2018: Methods and Results"
(arXiv 1902.06854), and the evaluation scripts that the organisers gave out, one per year. The mean
runs over IoU 0.50, 0.55 ... 0.95; each average precision is the area under the interpolated curve.
A detection is true if the one object that it overlaps most (IoU strictly above the threshold, all
sides one pixel longer than their difference) is not taken yet: it never falls back to the next
best. Boxes of either kind that lie in ignore areas are removed first, by the sum of what each area
covers; the scripts differ in how they measure that.

Detections of equal scores count one after another, in the order of the images' names. The script of
2018 groups them, so that figures of 2018 can differ from its own by up to 3e-3 where scores are
tied.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np

from dipr1.datasets.formats.wider import ignore_file, numbers_per_box
from dipr1.errors import UserError
from dipr1.evaluation.protocols.files import read_json_list, read_named_lines
from dipr1.evaluation.protocols.records import columns, ids, images_of, index_of, numbered, stacked
from dipr1.evaluation.ranked import FALSE, TRUE, Ranked, rank, voc_ap
from dipr1.evaluation.stacks import by_score
from dipr1.matching import Stack, by_preference, greedy, overlapping_pairs, summed_ioa
from dipr1.progress import say

# as the scripts make them, whose last digits differ from linspace's
IOU_THRESHOLDS = np.arange(0.5, 1.0, 0.05)
IGNORE_SHARE = 0.5


def wider(ground_truth: str, detections: str, ignore: str | None = None) -> dict[str, float]:
    """The challenge's mean average precision.

    The ground truth of 2018 has five numbers per box, the first a class (all count alike), that of
    2019 has four; areas to ignore are treated as that year's script did.
    """
    names, rows, where = read_named_lines(ground_truth)
    per_box = _numbers_per_box(rows, ground_truth)
    # the scripts go through images by name
    index = {name: row for row, name in enumerate(sorted(index_of(names, where)))}
    pedestrians = _boxes_of_lines(names, rows, per_box, index)
    areas = _areas(ignore or ignore_file(ground_truth), index, ground_truth)
    scored = _scored_boxes(detections, index, ground_truth)
    year = 2018 if per_box == 5 else 2019
    return {"Average AP": wider_map(scored, pedestrians, areas, len(index), year)}


def _areas(path: str | None, index: dict[str, int], ground_truth: str) -> Stack:
    """The areas to ignore of the images in the index; none without a file."""
    if path is None:
        say(f"{ground_truth}: no file of areas to ignore beside it; give one with --ignore")
        return _boxes_of_lines([], [], 4, index)
    names, rows, where = read_named_lines(path)
    for line, row in enumerate(rows):
        if len(row) % 4:
            raise UserError(f"{where(line)}: expected a name and x y width height per area")
    return _boxes_of_lines(names, rows, 4, index)


def _numbers_per_box(rows: Sequence[Sequence[float]], path: str) -> int:
    per_box = numbers_per_box(rows)
    if any(len(row) % per_box for row in rows) or (
        per_box == 5 and not all({1.0, 2.0}.issuperset(row[::5]) for row in rows)
    ):
        raise UserError(
            f"{path}: expected a name and, per box, either class (1 or 2) x y width height or"
            " x y width height, the same in all lines"
        )
    return per_box


def _boxes_of_lines(
    names: Sequence[str], rows: Sequence[Sequence[float]], per_box: int, index: dict[str, int]
) -> Stack:
    """The boxes of `name [number]*` lines; images that are not in the index are left out."""
    known = [(index[name], row) for name, row in zip(names, rows, strict=True) if name in index]
    numbers = np.array([number for _, row in known for number in row], np.float64)
    image = np.repeat(
        np.array([image for image, _ in known], np.int64), [len(row) // per_box for _, row in known]
    )
    return stacked(numbers.reshape(-1, per_box)[:, -4:], image)


def _scored_boxes(path: str, index: dict[str, int], ground_truth: str) -> Stack:
    if path.endswith(".json"):
        records = read_json_list(path)
        where = numbered(path, "record")
        names: Sequence[Hashable] = ids(records, "image_id", where)
        numbers = columns(records, {"score": 1, "bbox": 4}, where)
        table = np.hstack([numbers["score"], numbers["bbox"]])
    else:
        names, rows, where = read_named_lines(path)
        for line, row in enumerate(rows):
            if len(row) != 5:
                raise UserError(f"{where(line)}: expected name, score, x, y, width and height")
        table = np.array(rows, np.float64).reshape(-1, 5)
    image = images_of(names, index, where, ground_truth)
    return stacked(table[:, 1:], image, table[:, 0])


def wider_map(
    detections: Stack, pedestrians: Stack, ignore: Stack, num_images: int, year: int = 2019
) -> float:
    """The challenge's figure (`Average AP`).

    Args:
        detections: xyxy with x2 = x + width, image frame.
        pedestrians: of the same images.
        ignore: of the same images.
        num_images: number of images, with pedestrians or without.
        year: 2018 or 2019, whose rule for ignore areas to use.

    Returns:
        In [0, 1]; 0 without detections, NaN where nobody is to be found.
    """
    rankings = wider_ranked(detections, pedestrians, ignore, num_images, year)
    return float(np.mean([voc_ap(ranking) for ranking in rankings]))


def wider_ranked(
    detections: Stack, pedestrians: Stack, ignore: Stack, num_images: int, year: int = 2019
) -> list[Ranked]:
    """Match and rank, once per IoU threshold; the arguments are those of :func:`wider_map`."""
    scored = by_score(detections.take(~in_ignored(detections, ignore, year)))
    people = pedestrians.take(~in_ignored(pedestrians, ignore, year))
    pairs = overlapping_pairs(_one_longer(scored), _one_longer(people), IOU_THRESHOLDS[0])
    rows, columns, ious = by_preference(*pairs, last_wins=False)
    best = np.append(True, rows[1:] != rows[:-1]) if len(rows) else np.zeros(0, bool)
    rows, columns, ious = rows[best], columns[best], ious[best]
    rankings = []
    for threshold in IOU_THRESHOLDS:
        above = ious > threshold
        hits = greedy(rows[above], columns[above], len(scored), len(people)) >= 0
        verdict = np.where(hits, TRUE, FALSE)
        rankings.append(rank(scored.image, scored.score, verdict, people.count(num_images)))
    return rankings


def in_ignored(boxes: Stack, ignore: Stack, year: int) -> np.ndarray:
    """(N,) bool: more than half of the box lies in ignore areas.

    The areas' shares are summed, so that what two of them cover counts twice. The script of 2019
    takes the sides of what is shared one pixel longer, but not those of the box.
    """
    shared = summed_ioa(boxes, ignore, longer=1.0 if year == 2019 else 0.0)
    # both start the sum at -0.01 square pixels
    return shared - 0.01 / np.where(boxes.area > 0.0, boxes.area, 1.0) > IGNORE_SHARE


def _one_longer(boxes: Stack) -> Stack:
    """The boxes with the last row and column of pixels counted in."""
    longer = boxes.boxes + [0.0, 0.0, 1.0, 1.0]
    sides = longer[:, 2:] - longer[:, :2]
    return Stack(longer, boxes.image, np.maximum(sides, 0.0).prod(axis=1), boxes.score)
