"""Boxes: areas, overlaps and matching.

A box is ``(x1, y1, x2, y2)`` with continuous coordinates, ``x1 < x2`` and ``y1 < y2``; its area is
``(x2 - x1) * (y2 - y1)``. Every function works in any one frame and computes in float64.

A box that is degenerate (no width or no height), inverted or not finite has area 0, overlaps
nothing and matches nothing. None of the functions raises or warns on one: such boxes come from
model text and have to be counted, not to stop a training run.
"""

from __future__ import annotations

from itertools import islice

import numpy as np
from numpy.typing import ArrayLike

IGNORE_IOA = 0.5
"""A box lies in an ignore region if at least this share of its own area does (docs: the method)."""

# Larger coordinates are taken as not finite, so that no product of two sides can overflow.
_LARGEST_COORDINATE = 1e100


def as_boxes(boxes: ArrayLike) -> np.ndarray:
    """`boxes` as a float64 array of shape (N, 4); an empty sequence gives (0, 4).

    Raises:
        ValueError: the boxes do not have four coordinates each.

    >>> as_boxes([]).shape
    (0, 4)
    """
    array = np.asarray(boxes, np.float64)
    if array.size == 0:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"expected boxes of shape (N, 4) but got {array.shape}")
    return array


def _sides(boxes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates as (4, N), boxes without area set to zeros, and the areas (N,)."""
    # Of each side its own row in memory: four times as fast in what is done with them.
    coordinates = np.ascontiguousarray(as_boxes(boxes).T)
    # `max` of nothing is an error; NaN makes it NaN, which is not smaller than anything.
    if coordinates.size and not np.abs(coordinates).max() <= _LARGEST_COORDINATE:
        usable = (np.abs(coordinates) <= _LARGEST_COORDINATE).all(axis=0)
        coordinates = np.where(usable, coordinates, 0.0)
    sizes = coordinates[2:] - coordinates[:2]
    if sizes.size and not sizes.min() > 0.0:
        upright = (sizes > 0.0).all(axis=0)
        coordinates = np.where(upright, coordinates, 0.0)
        sizes = np.where(upright, sizes, 0.0)
    return coordinates, sizes[0] * sizes[1]


def _sides_of_both(a: ArrayLike, b: ArrayLike) -> tuple[tuple[np.ndarray, np.ndarray], ...]:
    """`_sides` of `a` and of `b`, in one pass: on few boxes it is the calls that cost."""
    a, b = as_boxes(a), as_boxes(b)
    sides, areas = _sides(np.concatenate((a, b)))
    num = len(a)
    return (sides[:, :num], areas[:num]), (sides[:, num:], areas[num:])


def _intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) areas of intersection of the coordinates (4, N) and (4, M)."""
    # (2, N, M): widths and heights together.
    shared = np.minimum(a[2:, :, None], b[2:, None, :])
    shared -= np.maximum(a[:2, :, None], b[:2, None, :])
    np.maximum(shared, 0.0, out=shared)
    return shared[0] * shared[1]


def area(boxes: ArrayLike) -> np.ndarray:
    """Area of each box.

    Args:
        boxes: (N, 4) xyxy, any frame.

    Returns:
        (N,) float64, squared units of the frame; 0 where a box is degenerate or not finite.

    >>> area([[0, 0, 2, 3], [5, 5, 1, 9]])
    array([6., 0.])
    """
    return _sides(boxes)[1]


def iou(a: ArrayLike, b: ArrayLike) -> np.ndarray:
    """Intersection over union, for every pair.

    Args:
        a: (N, 4) xyxy, any one frame.
        b: (M, 4) xyxy, the same frame.

    Returns:
        (N, M) float64 in [0, 1]; 0 where either box has no area.

    >>> iou([[0, 0, 2, 2]], [[1, 0, 3, 2]])
    array([[0.33333333]])
    """
    (sides_a, area_a), (sides_b, area_b) = _sides_of_both(a, b)
    inter = _intersections(sides_a, sides_b)
    union = area_a[:, None] + area_b
    union -= inter
    # Two boxes without area have a union of 0; so is what they share, whatever it is divided by.
    np.divide(inter, union, out=inter, where=union > 0.0)
    return inter


def ioa(boxes: ArrayLike, regions: ArrayLike) -> np.ndarray:
    """Intersection over the area of `boxes`, for every pair.

    Args:
        boxes: (N, 4) xyxy, any one frame.
        regions: (M, 4) xyxy, the same frame.

    Returns:
        (N, M) float64 in [0, 1]; 0 where a box has no area.

    >>> ioa(np.array([[0, 0, 2, 2]]), np.array([[1, 0, 4, 4]]))
    array([[0.5]])
    """
    (sides, areas), (region_sides, _) = _sides_of_both(boxes, regions)
    inter = _intersections(sides, region_sides)
    inter /= np.where(areas > 0.0, areas, 1.0)[:, None]
    return inter


def lies_in(boxes: ArrayLike, regions: ArrayLike, share: float = IGNORE_IOA) -> np.ndarray:
    """Which boxes lie in one of the regions: at least `share` of their area in a single one.

    Args:
        boxes: (N, 4) xyxy, any one frame.
        regions: (M, 4) xyxy, the same frame.
        share: the smallest part of a box's own area, above 0.

    Returns:
        (N,) bool; False where a box has no area.

    >>> lies_in([[0, 0, 2, 2], [8, 8, 9, 9]], [[1, 0, 4, 4], [5, 5, 6, 6]])
    array([ True, False])
    """
    boxes, regions = as_boxes(boxes), as_boxes(regions)
    if len(boxes) * len(regions) <= _HANDFUL:
        rows = regions.tolist()
        return np.array([_lies_in_one(box, rows, share) for box in boxes.tolist()], dtype=bool)
    return (ioa(boxes, regions) >= share).any(axis=1)


# Up to so many pairs plain Python is faster than the calls of `ioa`, to which it is equal.
_HANDFUL = 64


def _lies_in_one(box: list[float], regions: list[list[float]], share: float) -> bool:
    x1, y1, x2, y2 = box
    # One by one: `max` may pass over a NaN.
    if not (x1 < x2 and y1 < y2 and all(abs(side) <= _LARGEST_COORDINATE for side in box)):
        return False
    own = (x2 - x1) * (y2 - y1)
    if own == 0.0:  # two sides so short that their product is rounded to nothing
        return False
    for left, top, right, bottom in regions:
        width, height = min(x2, right) - max(x1, left), min(y2, bottom) - max(y1, top)
        shared = max(width, 0.0) * max(height, 0.0)
        # A side that is infinite or NaN has no place in any overlap, see `_sides`.
        if shared / own >= share and all(
            abs(side) <= _LARGEST_COORDINATE for side in (left, top, right, bottom)
        ):
            return True
    return False


def clip(boxes: ArrayLike, width: float, height: float) -> np.ndarray:
    """The part of each box inside the frame ``(0, 0, width, height)``.

    Args:
        boxes: (N, 4) xyxy, any frame; not changed.
        width: width of the frame, in its own units.
        height: height of the frame.

    Returns:
        (N, 4) float64. A box outside the frame becomes degenerate; NaN stays NaN.

    >>> clip([[-5, 2, 12, 8]], 10, 10)
    array([[ 0.,  2., 10.,  8.]])
    """
    largest = np.array([width, height, width, height], dtype=np.float64)
    return np.minimum(np.maximum(as_boxes(boxes), 0.0), largest)


def union_area(boxes: ArrayLike) -> float:
    """Exact area of the union of `boxes`: what several cover counts once.

    Args:
        boxes: (N, 4) xyxy, any one frame.

    Returns:
        The area in squared units of the frame; 0.0 for no boxes.

    >>> union_area([[0, 0, 2, 2], [1, 0, 3, 2], [1, 0, 3, 2]])
    6.0
    """
    return union_areas(boxes, [])[0]


def union_areas(boxes: ArrayLike, regions: ArrayLike) -> tuple[float, np.ndarray, float]:
    """Exact areas of the union of `boxes`: all of it, and what lies in `regions`.

    Args:
        boxes: (N, 4) xyxy, any one frame.
        regions: (K, 4) xyxy, the same frame.

    Returns:
        The area of the union, the (K,) areas of its part in each region, and the area of its part
        in the union of the regions.

    >>> union_areas([[0, 0, 2, 2], [1, 0, 3, 2]], [[0, 0, 1, 1], [0, 0, 1, 4]])
    (6.0, array([1., 2.]), 2.0)
    """
    (sides, areas), (region_sides, _) = _sides_of_both(boxes, regions)
    usable = areas > 0.0
    if not usable.all():
        sides = sides[:, usable]
    num_boxes, num_regions = sides.shape[1], region_sides.shape[1]
    if num_boxes == 0:
        return 0.0, np.zeros(num_regions), 0.0
    if num_boxes + num_regions > _MANY_BOXES:
        return _union_areas_of_many(sides, region_sides)
    return _union_areas_on_grid(sides, region_sides)


# The grid grows with the square of the boxes; from here on polygons are faster.
_MANY_BOXES = 400


def _union_areas_on_grid(sides: np.ndarray, regions: np.ndarray) -> tuple[float, np.ndarray, float]:
    """`union_areas` of coordinates (4, N) and (4, K).

    The plane is cut at every side: within a cell of that grid a union covers everything or nothing,
    so that areas are plain sums over cells.
    """
    both = np.concatenate((sides, regions), axis=1)
    xs, ys = both[::2].ravel(), both[1::2].ravel()
    xs.sort()
    ys.sort()
    widths, heights = xs[1:] - xs[:-1], ys[1:] - ys[:-1]
    # Of each box the first and last column and row, the last ones excluded.
    columns, rows = xs.searchsorted(both[::2]), ys.searchsorted(both[1::2])
    covered = np.zeros((len(widths), len(heights)))
    inside = np.zeros(covered.shape, dtype=bool)
    cells = zip(*columns.tolist(), *rows.tolist(), strict=True)
    for x1, x2, y1, y2 in islice(cells, sides.shape[1]):
        covered[x1:x2, y1:y2] = 1.0
    for x1, x2, y1, y2 in cells:
        inside[x1:x2, y1:y2] = True
    covered *= heights
    of_column = covered.sum(axis=1)
    in_any = widths @ (covered * inside).sum(axis=1)
    # (K, columns) of a region's rows, then (K,) of its columns as well.
    low, high = rows[:, sides.shape[1] :, None]
    position = np.arange(len(heights))
    within = ((position >= low) & (position < high)).astype(np.float64) @ covered.T
    within *= widths
    low, high = columns[:, sides.shape[1] :, None]
    position = np.arange(len(widths))
    within *= (position >= low) & (position < high)
    return float(widths @ of_column), within.sum(axis=1), float(in_any)


def _union_areas_of_many(sides: np.ndarray, regions: np.ndarray) -> tuple[float, np.ndarray, float]:
    import shapely

    union, region_boxes = shapely.union_all(shapely.box(*sides)), shapely.box(*regions)
    within = shapely.area(shapely.intersection(union, region_boxes))
    both = shapely.intersection(union, shapely.union_all(region_boxes))
    return float(union.area), within, float(both.area)


def overlapping(
    a: ArrayLike, b: ArrayLike, threshold: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs whose IoU is at least `threshold`, without looking at all N x M of them.

    Args:
        a: (N, 4) xyxy, any one frame.
        b: (M, 4) xyxy, the same frame.
        threshold: the smallest IoU of a pair; pairs that share no area never count.

    Returns:
        Three arrays of length P: the index in `a`, which does not decrease, the index in `b`, and
        the IoU, the same numbers as those of `iou`.

    >>> overlapping([[0, 0, 2, 2], [9, 9, 10, 10]], [[0, 0, 2, 3], [0, 0, 2, 2]], 0.7)
    (array([0]), array([1]), array([1.]))
    """
    a, b = as_boxes(a), as_boxes(b)
    if len(a) * len(b) <= _FEW_PAIRS or threshold < _LOW_THRESHOLD:
        return _pairs_of(iou(a, b), threshold)
    (sides_a, area_a), (sides_b, area_b) = _sides_of_both(a, b)
    rows, columns = _near(sides_a, sides_b, threshold)
    inter = _overlap_along(0, sides_a, rows, sides_b, columns)
    inter *= _overlap_along(1, sides_a, rows, sides_b, columns)
    union = area_a[rows] + area_b[columns] - inter
    ious = np.divide(inter, union, out=inter, where=union > 0.0)
    keep = np.flatnonzero(ious >= threshold)
    return rows[keep], columns[keep], ious[keep]


def _overlap_along(
    axis: int, a: np.ndarray, rows: np.ndarray, b: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) width (axis 0) or height (axis 1) of what two boxes share, for pairs of them."""
    # Side by side: short arrays are taken from memory at hand, long ones from the system.
    shared = np.minimum(a[axis + 2].take(rows), b[axis + 2].take(columns))
    shared -= np.maximum(a[axis].take(rows), b[axis].take(columns))
    return np.maximum(shared, 0.0, out=shared)


def _pairs_of(overlaps: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of an IoU matrix that reach the threshold and share any area."""
    reached = overlaps >= threshold if threshold > 0.0 else overlaps > 0.0
    rows, columns = reached.nonzero()
    return rows, columns, overlaps[rows, columns]


# Up to here computing all pairs is faster than choosing some.
_FEW_PAIRS = 4096
# Below, two boxes may match that are far apart for their size, and little can be left out.
_LOW_THRESHOLD = 0.1


def _near(a: np.ndarray, b: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray]:
    """Pairs of the coordinates (4, N) and (4, M) that hold all whose IoU reaches `threshold`.

    Two boxes of IoU t share at least t of the width of either. So, with w the width of the first,
    the second is at most w / t wide, and its left side lies between x1 - (1 / t - 1) w and
    x1 + (1 - t) w. The same holds for the upper sides.
    """
    sizes = a[2:] - a[:2]
    # A little more, for what rounding takes.
    first = a[:2] - (1.0 / threshold - 1.0 + 1e-6) * sizes
    last = a[:2] + (1.0 - threshold + 1e-6) * sizes
    order = np.argsort(b[0], kind="stable")
    starts = b[0, order]
    begin = np.searchsorted(starts, first[0], side="left")
    num = np.searchsorted(starts, last[0], side="right") - begin
    rows = np.repeat(np.arange(len(num)), num)
    # Each row's run of positions in `order`: begin, begin + 1, ...
    runs = np.arange(len(rows)) + (begin - np.cumsum(num) + num)[rows]
    columns = order[runs]
    upper = b[1, columns]
    near = (upper >= first[1, rows]) & (upper <= last[1, rows])
    return rows[near], columns[near]


def match(
    predictions: ArrayLike,
    targets: ArrayLike,
    threshold: float = 0.5,
    iou_matrix: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match predictions and targets one to one.

    Of all one-to-one matchings on pairs with IoU >= `threshold`, one with the largest number of
    pairs, and among those one with the largest total IoU. The same input gives the same pairs.

    Args:
        predictions: (N, 4) xyxy, any one frame.
        targets: (M, 4) xyxy, the same frame.
        threshold: the smallest IoU of a pair.
        iou_matrix: (N, M), where the caller has it; pairs that must not match hold 0. The boxes
            themselves are then not looked at.

    Returns:
        Three arrays of length K: the matched predictions in increasing order, the target of each,
        and their IoU.

    >>> match([[0, 0, 2, 2], [0, 0, 2, 3]], [[0, 0, 2, 2], [9, 9, 10, 10]])
    (array([0]), array([0]), array([1.]))
    """
    if iou_matrix is None:
        return match_pairs(*overlapping(predictions, targets, threshold))
    return match_pairs(*_pairs_of(iou_matrix, threshold))


def match_pairs(
    rows: np.ndarray, columns: np.ndarray, ious: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Match one to one as `match` does, on the pairs that are allowed.

    Args:
        rows: (P,) index of the prediction of each pair, not decreasing.
        columns: (P,) index of the target; no pair occurs twice.
        ious: (P,) above 0.

    Returns:
        As `match`.
    """
    if len(rows) == 0:
        return rows, columns, ious
    # A pair whose two boxes have no other candidate is in every best matching.
    of_row, of_column = np.bincount(rows), np.bincount(columns)
    if of_row.max() == 1 and of_column.max() == 1:
        return rows, columns, ious
    sure = (of_row[rows] == 1) & (of_column[columns] == 1)
    contested = np.flatnonzero(~sure)
    chosen = _assign(rows[contested], columns[contested], ious[contested])
    sure[contested[chosen]] = True
    return rows[sure], columns[sure], ious[sure]


def _assign(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """Positions of the pairs of a best matching."""
    # Half a second to import, and many images have no contested pair.
    from scipy.optimize import linear_sum_assignment

    row_index, num_rows = _ranks(rows)
    column_index, num_columns = _ranks(columns)
    # One more pair is worth more than any total IoU, which is at most the number of pairs.
    worth = min(num_rows, num_columns) + 1.0 + ious
    chosen = np.full(num_rows, -1)
    left = np.arange(len(rows))
    # A solver's time grows faster than the square: of many pairs the plain ones are settled first.
    while len(left) > _MANY_PAIRS:
        settled = left[_settled(row_index[left], column_index[left], worth[left])]
        if len(settled) == 0:
            break
        chosen[row_index[settled]] = column_index[settled]
        taken = np.zeros(num_columns, dtype=bool)
        taken[column_index[settled]] = True
        left = left[(chosen[row_index[left]] < 0) & ~taken[column_index[left]]]
    if len(left):
        some_rows, num_rows = _ranks(row_index[left])
        some_columns, num_columns = _ranks(column_index[left])
        gain = np.zeros((num_rows, num_columns))
        gain[some_rows, some_columns] = worth[left]
        best = np.full(num_rows, -1)
        best_rows, best_columns = linear_sum_assignment(gain, maximize=True)
        best[best_rows] = best_columns
        matched = left[best[some_rows] == some_columns]
        chosen[row_index[matched]] = column_index[matched]
    return np.flatnonzero(chosen[row_index] == column_index)


_MANY_PAIRS = 100


def _settled(rows: np.ndarray, columns: np.ndarray, worth: np.ndarray) -> np.ndarray:
    """Positions of pairs that are in one best matching together; no two share a box.

    A pair that is the best of one of its boxes, while its other box has no other: whatever a
    matching does with the two boxes, it gains by this pair.
    """
    best_of_row, best_of_column = np.zeros(rows.max() + 1), np.zeros(columns.max() + 1)
    np.maximum.at(best_of_row, rows, worth)
    np.maximum.at(best_of_column, columns, worth)
    settled = np.flatnonzero(
        ((np.bincount(rows)[rows] == 1) & (worth >= best_of_column[columns]))
        | ((np.bincount(columns)[columns] == 1) & (worth >= best_of_row[rows]))
    )
    # Of equally good ones that share a box, one.
    for index in (rows, columns):
        last = np.empty(index.max() + 1, dtype=np.intp)
        last[index[settled]] = settled
        settled = settled[last[index[settled]] == settled]
    return settled


def _ranks(values: np.ndarray) -> tuple[np.ndarray, int]:
    """The rank of each value among the different ones, and how many those are.

    >>> _ranks(np.array([7, 2, 7]))
    (array([1, 0, 1]), 2)
    """
    rank = np.cumsum(np.bincount(values) > 0) - 1
    return rank[values], int(rank[-1]) + 1
