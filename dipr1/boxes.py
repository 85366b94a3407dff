"""Boxes: areas, overlaps and matching.

A box is ``(x1, y1, x2, y2)`` with continuous coordinates, ``x1 < x2`` and ``y1 < y2``; its area is
``(x2 - x1) * (y2 - y1)``. Every function works in any one frame and computes in float64.

A box that is degenerate (no width or no height), inverted or not finite has area 0, overlaps
nothing and matches nothing. None of the functions raises or warns on one: such boxes come from
model text and have to be counted, not to stop a training run.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from dipr1.matching import Stack, match_pairs, overlapping_pairs

ANY_LABEL = ""
"""The label of a region that is to be ignored whatever is asked for (KITTI's `DontCare`). Empty,
because no format has an empty label."""

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


def in_unit_square(boxes: ArrayLike) -> bool:
    """Whether all of the boxes lie in 0..1, as in a model frame only a wrong scale makes them.

    Args:
        boxes: (N, 4) xyxy, model frame. Of none it is False.

    >>> in_unit_square([[0.1, 0.2, 0.5, 1.0]]), in_unit_square([[0, 0, 40, 1]]), in_unit_square([])
    (True, False, False)
    """
    boxes = as_boxes(boxes)
    return len(boxes) > 0 and bool(((boxes >= 0.0) & (boxes <= 1.0)).all())


def clip(boxes: ArrayLike, width: ArrayLike, height: ArrayLike) -> np.ndarray:
    """The part of each box inside the frame ``(0, 0, width, height)``.

    Args:
        boxes: (N, 4) xyxy, any frame; not changed.
        width: width of the frame, in its own units; or (N,), of the frame of each box.
        height: height likewise.

    Returns:
        (N, 4) float64. A box outside the frame becomes degenerate; NaN stays NaN.

    >>> clip([[-5, 2, 12, 8]], 10, 10)
    array([[ 0.,  2., 10.,  8.]])
    """
    largest = np.array([width, height, width, height], dtype=np.float64).T
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
    sides, areas = _sides(boxes)
    sides = sides[:, areas > 0.0]
    if sides.shape[1] == 0:
        return 0.0
    if sides.shape[1] > _MANY_BOXES:
        import shapely

        return float(shapely.union_all(shapely.box(*sides)).area)
    xs, ys = _edges(sides[::2]), _edges(sides[1::2])
    return float(np.diff(xs) @ ((_num_held(sides, xs, ys) > 0.0) @ np.diff(ys)))


def shared_areas(boxes: ArrayLike, regions: ArrayLike) -> tuple[float, np.ndarray, float]:
    """Exact areas that `boxes` share with `regions`; a box that is repeated counts again.

    With n(x) and m(x) the number of boxes and of regions that hold the point x, the area of the
    boxes is the integral of n, and what they share with the regions is that of min(n, m).

    Args:
        boxes: (N, 4) xyxy, any one frame.
        regions: (K, 4) xyxy, the same frame.

    Returns:
        The area of the boxes, the (K,) areas of the part of each region that their union covers,
        and the area that boxes and regions share.

    >>> shared_areas([[0, 0, 2, 2], [0, 0, 2, 2]], [[0, 0, 1, 1], [0, 0, 1, 4]])
    (8.0, array([1., 2.]), 3.0)
    """
    total, within, shared = shared_areas_of_images(stacked(boxes), stacked(regions), 1)
    return float(total[0]), within, float(shared[0])


def shared_areas_of_images(
    boxes: Stack, regions: Stack, num_images: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The :func:`shared_areas` of each image, whatever other images there are.

    Args:
        boxes: N boxes, image after image.
        regions: K regions, image after image.
        num_images: I.

    Returns:
        (I,) areas of the boxes, (K,) covered areas of the regions and (I,) shared areas.
    """
    images = np.arange(num_images + 1)
    begin, start = boxes.image.searchsorted(images), regions.image.searchsorted(images)
    num, num_regions = begin[1:] - begin[:-1], start[1:] - start[:-1]
    total = np.bincount(boxes.image, boxes.area, num_images)
    within, shared = np.zeros(len(regions)), np.zeros(num_images)
    sides, region_sides = (np.where(s.area > 0.0, s.sides(), 0.0) for s in (boxes, regions))
    # Of about as many boxes together, or those of one image would make the grids of all fine.
    size = np.searchsorted(_SIZES, np.maximum(num, num_regions))
    size[(num == 0) | (num_regions == 0)] = -1
    for each in sorted(set(size.tolist()) - {-1, len(_SIZES)}):
        if num_images == 1:  # there is nothing to fill up
            grid = _shared_on_grids(sides[..., None], region_sides[..., None])
            return total, grid[0][:, 0], grid[1]
        of_size = (size == each).nonzero()[0]
        for those in np.split(of_size, range(_IMAGES, len(of_size), _IMAGES)):
            places, real = _padded(start[those], num_regions[those])
            of_regions, shared[those] = _shared_on_grids(
                _at(sides, *_padded(begin[those], num[those])), _at(region_sides, places, real)
            )
            within[places[real]] = of_regions[real]
    for k in (size == len(_SIZES)).nonzero()[0].tolist():
        here = slice(start[k], start[k + 1])
        within[here], shared[k] = _shared_of_many(
            sides[:, begin[k] : begin[k + 1]], region_sides[:, here]
        )
    return total, within, shared


def _padded(begin: np.ndarray, num: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(most, I) the places of the items of each image, and which are not its first one again."""
    item = np.arange(num.max())[:, None]
    real = item < num
    return begin + np.where(real, item, 0), real


def _at(sides: np.ndarray, places: np.ndarray, real: np.ndarray) -> np.ndarray:
    """(4, most, I) sides; what only fills up has no area and no side that is not there already."""
    padded = sides[:, places]
    padded[2:] = np.where(real, padded[2:], padded[:2])
    return padded


def _shared_on_grids(sides: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """`_shared_on_grid` of I images: (4, N, I) and (4, K, I) give (K, I) and (I,).

    All sums go from one end to the other, so that what only fills up changes none.
    """
    both = np.concatenate((sides, regions), axis=1)
    edges = np.concatenate((both[:2], both[2:]), axis=1)
    edges.sort(axis=1)
    # (2, E, I): the widths and the heights of the cells
    lower, upper = edges[:, :-1], edges[:, 1:]
    widths, heights = upper - lower
    # (2, N or K, E, I): whether a box holds what is between two edges
    box_x, box_y = (sides[:2, :, None] <= lower[:, None]) & (sides[2:, :, None] >= upper[:, None])
    in_x, in_y = (regions[:2, :, None] <= lower[:, None]) & (regions[2:, :, None] >= upper[:, None])
    num_boxes = _num_in_cells(box_x, box_y)
    covered = (num_boxes > 0) * heights[:, None]
    # (K, X, I) of each region, column by column
    columns = [(covered * y[:, None]).sum(axis=0) for y in in_y]
    within = _sum((np.array(columns) * in_x * widths).transpose(1, 0, 2))
    shared = np.minimum(num_boxes, _num_in_cells(in_x, in_y)) * heights[:, None]
    return within, _sum(shared.sum(axis=0) * widths)


def _num_in_cells(in_x: np.ndarray, in_y: np.ndarray) -> np.ndarray:
    """(Y, X, I) how many of N boxes hold each cell, from which columns and rows each holds."""
    if in_x.shape[2] == 1:
        return (in_y[..., 0].T.astype(np.float64) @ in_x[..., 0])[..., None]
    num = np.zeros((in_y.shape[1], *in_x.shape[1:]), np.uint16)
    for x, y in zip(in_x, in_y, strict=True):
        num += y[:, None] & x
    return num


def _sum(values: np.ndarray) -> np.ndarray:
    """The sum along the first axis, in its order also where there is no other axis to speak of."""
    return values.cumsum(axis=0)[-1]


# The plane is cut at every side, so that a cell of this grid lies inside a box or outside of it. It
# grows with the square of the boxes. From here on it pays to leave out what lies outside the
# regions, and to count otherwise; from here on polygons are faster; and no grid is larger.
_SOME_BOXES, _MANY_BOXES, _CELLS = 40, 400, 600_000
_SIZES = (5, 10, 20, _SOME_BOXES)
# So many of their grids stay in the processor's cache.
_IMAGES = 64


def _edges(sides: np.ndarray) -> np.ndarray:
    """The coordinates in order; of few, some may come again: there the grid has no width."""
    edges = sides.ravel()
    edges.sort()
    if len(edges) <= 2 * _SOME_BOXES:
        return edges
    return edges[np.append(True, edges[1:] > edges[:-1])]


def _holds(ends: np.ndarray, edges: np.ndarray) -> np.ndarray:
    """(N, E - 1) 1.0 where one of the (2, N) stretches holds what is between two edges, else 0."""
    first, last = ends[:, :, None]
    return ((first <= edges[:-1]) & (last > edges[:-1])).astype(np.float64)


def _num_held(sides: np.ndarray, xs: np.ndarray, ys: np.ndarray) -> np.ndarray:
    """(X - 1, Y - 1) how many boxes (4, N) hold each cell of a grid that is cut at their sides."""
    if sides.shape[1] <= _SOME_BOXES:
        return _holds(sides[::2], xs).T @ _holds(sides[1::2], ys)
    # A box adds one from its first corner on and takes it away behind its sides.
    columns, rows = xs.searchsorted(sides[::2]), ys.searchsorted(sides[1::2])
    corners = np.ravel(columns[:, None] * len(ys) + rows)
    signs = np.repeat((1.0, -1.0, -1.0, 1.0), sides.shape[1])
    changes = np.bincount(corners, signs, minlength=len(xs) * len(ys)).reshape(len(xs), len(ys))
    return changes.cumsum(axis=0).cumsum(axis=1)[:-1, :-1]


def _shared_on_grid(sides: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, float]:
    """`shared_areas` of coordinates (4, N) and (4, K), as plain sums over the cells of a grid."""
    both = np.concatenate((sides, regions), axis=1)
    xs, ys = _edges(both[::2]), _edges(both[1::2])
    widths, heights = xs[1:] - xs[:-1], ys[1:] - ys[:-1]
    num_boxes = _num_held(sides, xs, ys)
    in_x, in_y = _holds(regions[::2], xs), _holds(regions[1::2], ys)
    covered = (num_boxes > 0.0) * heights
    within = (in_y @ covered.T * in_x) @ widths
    shared = np.minimum(num_boxes, in_x.T @ in_y) @ heights
    return within, float(widths @ shared)


def _shared_of_many(sides: np.ndarray, regions: np.ndarray) -> tuple[np.ndarray, float]:
    """`_shared_on_grid` in strips of the plane, and nowhere but where the regions are."""
    within, shared = np.zeros(regions.shape[1]), 0.0
    if not within.size:
        return within, shared
    top, bottom = regions[1].min(), regions[3].max()
    edges = _edges(np.concatenate((sides[::2], regions[::2]), axis=1))
    edges = edges[(edges >= regions[0].min()) & (edges <= regions[2].max())]
    step = max(1, _CELLS // (2 * (sides.shape[1] + regions.shape[1])))
    for left, right in pairwise([*edges[:-1:step], *edges[-1:]]):
        strip = np.array([[left], [top], [right], [bottom]])
        more, area_shared = _shared_on_grid(_cut(sides, strip), _cut(regions, strip, keep=True))
        within += more
        shared += area_shared
    return within, shared


def _cut(sides: np.ndarray, strip: np.ndarray, keep: bool = False) -> np.ndarray:
    """The parts of boxes (4, N) inside a box (4, 1); all N of them if `keep`, else what is left."""
    parts = np.clip(sides, np.tile(strip[:2], (2, 1)), np.tile(strip[2:], (2, 1)))
    return parts if keep else parts[:, (parts[2:] > parts[:2]).all(axis=0)]


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


def overlapping_of_images(
    a: np.ndarray, image_a: np.ndarray, b: np.ndarray, image_b: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs that :func:`overlapping` finds in each image, image after image.

    Args:
        a: (N, 4) xyxy, image after image.
        image_a: (N,) the image of each.
        b: (M, 4) xyxy, image after image.
        image_b: (M,) the image of each.
        threshold: as there.
    """
    both = np.concatenate((image_a, image_b))
    if len(both) and both.min() == both.max():
        return overlapping(a, b, threshold)
    if threshold >= _LOW_THRESHOLD:
        rows, columns, ious = overlapping_pairs(stacked(a, image_a), stacked(b, image_b), threshold)
        order = np.argsort(rows * len(b) + columns)
        return rows[order], columns[order], ious[order]
    blocks = [(np.zeros(0, np.intp), np.zeros(0, np.intp), np.zeros(0))]
    for image in np.unique(both).tolist():
        ours, theirs = (image_a == image).nonzero()[0], (image_b == image).nonzero()[0]
        rows, columns, ious = overlapping(a[ours], b[theirs], threshold)
        blocks.append((ours[rows], theirs[columns], ious))
    rows, columns, ious = map(np.concatenate, zip(*blocks, strict=True))
    return rows, columns, ious


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
