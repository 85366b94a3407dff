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
    if not (widths.min(initial=1.0) > 0 and heights.min(initial=1.0) > 0):
        upright = (widths > 0) & (heights > 0)
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
    return np.clip(as_boxes(boxes), 0.0, [width, height, width, height])


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
        self._ranges = np.stack([columns[0], rows[0], columns[1], rows[1]], axis=1).tolist()

    def union(self, chosen: slice) -> np.ndarray:
        """(columns, rows) bool: the cells that the union of the `chosen` boxes covers."""
        covered = np.zeros((len(self.widths), len(self.heights)), dtype=bool)
        for x1, y1, x2, y2 in self._ranges[chosen]:
            covered[x1:x2, y1:y2] = True
        return covered

    def area(self, covered: np.ndarray) -> float:
        """Area of a set of cells."""
        return float(self.widths @ covered @ self.heights)

    def areas_within(self, covered: np.ndarray, chosen: slice) -> np.ndarray:
        """(K,) area of the part of a set of cells that lies in each of the `chosen` boxes."""
        cells = np.outer(self.widths, self.heights) * covered
        return np.array([cells[x1:x2, y1:y2].sum() for x1, y1, x2, y2 in self._ranges[chosen]])


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
    overlaps = iou(predictions, targets) if iou_matrix is None else iou_matrix
    rows, columns = np.nonzero((overlaps >= threshold) & (overlaps > 0.0))
    if len(rows) == 0:
        return rows, columns, np.empty(0)
    row_degree = np.bincount(rows)
    column_degree = np.bincount(columns)
    # A pair whose two boxes have no other candidate is in every best matching.
    sure = (row_degree[rows] == 1) & (column_degree[columns] == 1)
    if not sure.all():
        contested = ~sure
        more_rows, more_columns = _assign(overlaps, rows[contested], columns[contested])
        rows = np.concatenate([rows[sure], more_rows])
        columns = np.concatenate([columns[sure], more_columns])
        order = np.argsort(rows)
        rows, columns = rows[order], columns[order]
    return rows, columns, overlaps[rows, columns]


def _assign(
    overlaps: np.ndarray, rows: np.ndarray, columns: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Best matching on the candidate pairs (`rows`, `columns`) of `overlaps`."""
    # Half a second to import, and many images have no contested pair.
    from scipy.optimize import linear_sum_assignment

    row_ids, row_index = np.unique(rows, return_inverse=True)
    column_ids, column_index = np.unique(columns, return_inverse=True)
    gain = np.zeros((len(row_ids), len(column_ids)))
    # One more pair is worth more than any total IoU, which is at most the number of pairs.
    gain[row_index, column_index] = min(gain.shape) + 1.0 + overlaps[rows, columns]
    chosen_rows, chosen_columns = linear_sum_assignment(gain, maximize=True)
    real = gain[chosen_rows, chosen_columns] > 0.0
    return row_ids[chosen_rows[real]], column_ids[chosen_columns[real]]
