"""Boxes: areas, overlaps and matching.

A box is ``(x1, y1, x2, y2)`` with continuous coordinates, ``x1 < x2`` and ``y1 < y2``; its area is
``(x2 - x1) * (y2 - y1)``. Every function works in any one frame and computes in float64.

A box that is degenerate (no width or no height), inverted or not finite has area 0, overlaps
nothing and matches nothing. None of the functions raises or warns on one: such boxes come from
model text and have to be counted, not to stop a training run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

# Larger coordinates are taken as not finite, so that no product of two sides can overflow.
_LARGEST_COORDINATE = 1e100


def as_boxes(boxes: ArrayLike) -> np.ndarray:
    """`boxes` as a float64 array of shape (N, 4); an empty sequence gives (0, 4).

    Raises:
        ValueError: the boxes do not have four coordinates each.

    >>> as_boxes([]).shape
    (0, 4)
    """
    array = np.asarray(boxes, dtype=np.float64)
    if array.size == 0:
        return np.empty((0, 4))
    if array.ndim != 2 or array.shape[1] != 4:
        raise ValueError(f"expected boxes of shape (N, 4) but got {array.shape}")
    return array


def _sides(boxes: ArrayLike) -> tuple[np.ndarray, np.ndarray]:
    """The coordinates as (4, N), boxes without area set to zeros, and the areas (N,)."""
    coordinates = as_boxes(boxes).T
    usable = np.abs(coordinates) <= _LARGEST_COORDINATE
    if not usable.all():
        coordinates = np.where(usable.all(axis=0), coordinates, 0.0)
    x1, y1, x2, y2 = coordinates
    widths, heights = x2 - x1, y2 - y1
    upright = (widths > 0) & (heights > 0)
    if not upright.all():
        coordinates = np.where(upright, coordinates, 0.0)
        return coordinates, np.where(upright, widths * heights, 0.0)
    return coordinates, widths * heights


def _intersections(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(N, M) areas of intersection of the coordinates (4, N) and (4, M)."""
    widths = np.minimum.outer(a[2], b[2])
    widths -= np.maximum.outer(a[0], b[0])
    heights = np.minimum.outer(a[3], b[3])
    heights -= np.maximum.outer(a[1], b[1])
    np.maximum(widths, 0.0, out=widths)
    np.maximum(heights, 0.0, out=heights)
    widths *= heights
    return widths


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
    (sides_a, area_a), (sides_b, area_b) = _sides(a), _sides(b)
    inter = _intersections(sides_a, sides_b)
    union = np.add.outer(area_a, area_b)
    union -= inter
    # Two boxes without area have a union of 0; so is what they share, whatever it is divided by.
    union[union <= 0.0] = 1.0
    inter /= union
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
    (sides, areas), (region_sides, _) = _sides(boxes), _sides(regions)
    inter = _intersections(sides, region_sides)
    inter /= np.where(areas > 0.0, areas, 1.0)[:, None]
    return inter


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


class Coverage:
    """The plane cut at every side of `boxes`: a grid on which unions of them are exact.

    Within a cell of the grid a union of these boxes either covers everything or nothing, so that
    areas of unions and of their intersections are plain sums over cells.
    """

    def __init__(self, boxes: ArrayLike) -> None:
        sides, _ = _sides(boxes)
        xs, ys = np.sort(sides[::2], axis=None), np.sort(sides[1::2], axis=None)
        self.widths, self.heights = np.diff(xs), np.diff(ys)
        # Rows of ranges: (first column, first row, last column, last row), the last ones excluded.
        columns, rows = np.searchsorted(xs, sides[::2]), np.searchsorted(ys, sides[1::2])
        self._ranges = np.stack([columns[0], rows[0], columns[1], rows[1]], axis=1)

    def union(self, chosen: slice) -> np.ndarray:
        """(columns, rows) bool: the cells that the union of the `chosen` boxes covers."""
        covered = np.zeros((len(self.widths), len(self.heights)), dtype=bool)
        for x1, y1, x2, y2 in self._ranges[chosen].tolist():
            covered[x1:x2, y1:y2] = True
        return covered

    def area(self, covered: np.ndarray) -> float:
        """Area of a set of cells."""
        return float(self.widths @ covered @ self.heights)

    def areas_within(self, covered: np.ndarray, chosen: slice) -> np.ndarray:
        """(K,) area of the part of a set of cells that lies in each of the `chosen` boxes."""
        first_column, first_row, last_column, last_row = self._ranges[chosen].T[:, :, None]
        column, row = np.arange(covered.shape[0]), np.arange(covered.shape[1])
        widths = self.widths * ((column >= first_column) & (column < last_column))
        heights = self.heights * ((row >= first_row) & (row < last_row))
        return ((widths @ covered) * heights).sum(axis=1)


def union_area(boxes: ArrayLike) -> float:
    """Exact area of the union of `boxes`: what several cover counts once.

    Args:
        boxes: (N, 4) xyxy, any one frame.

    Returns:
        The area in squared units of the frame; 0.0 for no boxes.

    >>> union_area([[0, 0, 2, 2], [1, 0, 3, 2], [1, 0, 3, 2]])
    6.0
    """
    boxes = as_boxes(boxes)
    if len(boxes) == 0:
        return 0.0
    grid = Coverage(boxes)
    return grid.area(grid.union(slice(None)))


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
        overlaps = iou(a, b)
        rows, columns = np.nonzero((overlaps >= threshold) & (overlaps > 0.0))
        return rows, columns, overlaps[rows, columns]
    (sides_a, area_a), (sides_b, area_b) = _sides(a), _sides(b)
    rows, columns = _near(sides_a, sides_b, threshold)
    one, other = sides_a[:, rows], sides_b[:, columns]
    shared = np.maximum(np.minimum(one[2:], other[2:]) - np.maximum(one[:2], other[:2]), 0.0)
    inter = shared[0] * shared[1]
    union = area_a[rows] + area_b[columns] - inter
    ious = inter / np.where(union > 0.0, union, 1.0)
    keep = (ious >= threshold) & (ious > 0.0)
    return rows[keep], columns[keep], ious[keep]


# Up to here computing all pairs is faster than choosing some.
_FEW_PAIRS = 2048
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
    rows, columns = np.nonzero((iou_matrix >= threshold) & (iou_matrix > 0.0))
    return match_pairs(rows, columns, iou_matrix[rows, columns])


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
    sure = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    if sure.all():
        return rows, columns, ious
    contested = np.flatnonzero(~sure)
    chosen = _assign(rows[contested], columns[contested], ious[contested])
    sure[contested[chosen]] = True
    return rows[sure], columns[sure], ious[sure]


def _assign(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """Positions of the pairs of a best matching."""
    # Half a second to import, and many images have no contested pair.
    from scipy.optimize import linear_sum_assignment

    row_ids, row_index = np.unique(rows, return_inverse=True)
    column_ids, column_index = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    # One more pair is worth more than any total IoU, which is at most the number of pairs.
    gain[row_index, column_index] = min(gain.shape) + 1.0 + ious
    chosen_rows, chosen_columns = linear_sum_assignment(gain, maximize=True)
    chosen = np.full(len(row_ids), -1)
    chosen[chosen_rows] = chosen_columns
    return np.flatnonzero(chosen[row_index] == column_index)
