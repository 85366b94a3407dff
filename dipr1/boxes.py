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

from dipr1.matching import Stack, match_pairs, overlapping_pairs

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


def stacked(boxes: ArrayLike, image: np.ndarray | None = None) -> Stack:
    """Boxes (N, 4) with the index of the image of each (N,); all of one image by default."""
    boxes = as_boxes(boxes)
    image = np.zeros(len(boxes), dtype=np.intp) if image is None else image
    return Stack(boxes, image, area(boxes))


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
    return (ioa(boxes, regions) >= share).any(axis=1)


def in_unit_square(boxes: ArrayLike) -> bool:
    """Whether all of the boxes lie in 0..1, as in a model frame only a wrong scale makes them.

    Args:
        boxes: (N, 4) xyxy, model frame. Of none it is False.

    >>> in_unit_square([[0.1, 0.2, 0.5, 1.0]]), in_unit_square([[0, 0, 40, 1]]), in_unit_square([])
    (True, False, False)
    """
    boxes = as_boxes(boxes)
    return len(boxes) > 0 and bool(((boxes >= 0.0) & (boxes <= 1.0)).all())


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
    (_, area_a), (_, area_b) = _sides_of_both(a, b)
    one_image = np.zeros(max(len(a), len(b)), dtype=np.int64)
    return overlapping_pairs(
        Stack(a, one_image[: len(a)], area_a), Stack(b, one_image[: len(b)], area_b), threshold
    )


def _pairs_of(overlaps: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs of an IoU matrix that reach the threshold and share any area."""
    reached = overlaps >= threshold if threshold > 0.0 else overlaps > 0.0
    rows, columns = reached.nonzero()
    return rows, columns, overlaps[rows, columns]


# Up to here computing all pairs is faster than choosing some.
_FEW_PAIRS = 4096
# Below, two boxes may match that are far apart for their size, and little can be left out.
_LOW_THRESHOLD = 0.1


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
