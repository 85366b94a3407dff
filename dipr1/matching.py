"""Pairs of boxes that overlap, of many images at once, and matchings of them.

The one kernel of variance, rewards and metrics. The boxes of all images lie in one array with the
image's index beside each; a pair is a row (an index of the first boxes), a column (an index of the
second ones) and how much the two overlap. Nothing here loops over images or boxes, except over the
few whose boxes contend in a way that only a solver can settle.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

# So many pairs at a time stay in the processor's cache; a model that repeats itself gives millions.
PAIRS_AT_ONCE = 1 << 14


@dataclass(frozen=True, slots=True, eq=False)
class Stack:
    """The boxes of many images.

    Attributes:
        boxes: (N, 4) xyxy, any one frame per image.
        image: (N,) index of each box's image.
        area: (N,) float64, 0 where a box has none.
        score: (N,) float64; None for boxes without a score.
    """

    boxes: np.ndarray
    image: np.ndarray
    area: np.ndarray
    score: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.image)

    def take(self, rows: np.ndarray) -> Stack:
        """The given rows, by index or by mask."""
        score = None if self.score is None else self.score[rows]
        return Stack(self.boxes[rows], self.image[rows], self.area[rows], score)

    def count(self, num_images: int) -> np.ndarray:
        """(num_images,) int, the number of boxes of each image."""
        return np.bincount(self.image, minlength=num_images)

    def sides(self) -> np.ndarray:
        """The boxes as (4, N), contiguous by side: to compare them is four times as fast."""
        return np.ascontiguousarray(self.boxes.T)


# --- pairs ---------------------------------------------------------------------------------------


def overlapping_pairs(
    boxes: Stack, targets: Stack, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs within an image whose IoU is at least `threshold`.

    Args:
        boxes: N boxes.
        targets: M boxes.
        threshold: above 0.

    Returns:
        Three arrays of length P: the row in `boxes`, which does not decrease, the row in `targets`
        and the IoU. The areas are those of the stacks.
    """
    a, b = boxes.sides(), targets.sides()
    blocks = []
    for rows, columns in _near(boxes, a, targets, b, threshold):
        ious = _overlap_along(0, a, rows, b, columns)
        ious *= _overlap_along(1, a, rows, b, columns)
        union = boxes.area.take(rows) + targets.area.take(columns)
        union -= ious
        ious /= union
        keep = np.flatnonzero(ious >= threshold)
        blocks.append((rows[keep], columns[keep], ious[keep]))
    return _joined(blocks)


def _near(
    boxes: Stack, a: np.ndarray, targets: Stack, b: np.ndarray, threshold: float
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Pairs of rows, in blocks, that hold all whose IoU reaches `threshold`; `a`, `b` are sides.

    Two boxes of IoU t share at least t of the width of either. So, with w the width of the first,
    the left side of the second lies between x1 - (1 / t - 1) w and x1 + (1 - t) w, and so with the
    upper sides.
    """
    # Boxes without area may hold NaN or infinity, which must not reach the arithmetic.
    some, usable = np.flatnonzero(boxes.area > 0.0), np.flatnonzero(targets.area > 0.0)
    corners = a[:2].take(some, axis=1)
    # A little more, to cover rounding. (2, 2, N): the least and the most x1 and y1.
    reach = np.array([-(1.0 / threshold - 1.0 + 1e-6), 1.0 - threshold + 1e-6])[:, None, None]
    bounds = corners + reach * (a[2:].take(some, axis=1) - corners)
    keys = _sort_key(targets.image[usable], b[0, usable])
    order = np.argsort(keys, kind="stable")
    keys, usable = keys[order], usable[order]
    uppers = b[1, usable]
    first, last = _sort_key(boxes.image[some], bounds[:, 0])
    begin = np.searchsorted(keys, first, side="left")
    for rows, columns in _pairs_of_runs(begin, np.searchsorted(keys, last, side="right") - begin):
        upper = uppers.take(columns)
        near = (upper >= bounds[0, 1].take(rows)) & (upper <= bounds[1, 1].take(rows))
        yield some[rows[near]], usable[columns[near]]


def _sort_key(image: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Whole numbers that sort by image, then by x; almost equal x of an image may share one.

    The bits of a positive float, read as a whole number, grow with it; those of a negative one
    fall, and are flipped. So a single box far away leaves the others their precision, which it
    would take from cells of equal width. 40 bits for x leave room for 8 million images.
    """
    bits = x.view(np.int64)
    bits = bits ^ ((bits >> 63) & _ALL_BUT_THE_SIGN)
    # The image may come as int32, which would lose what is shifted out without a word.
    return (image.astype(np.int64, copy=False) << 40) + (bits >> 24)


_ALL_BUT_THE_SIGN = (1 << 63) - 1


def runs(begin: np.ndarray, num: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The runs begin, begin + 1, ... of `num` items each, joined: each item's run, and the item.

    >>> runs(np.array([5, 0]), np.array([1, 2]))
    (array([0, 1, 1]), array([5, 0, 1]))
    """
    run = np.repeat(np.arange(len(num)), num)
    return run, np.arange(len(run)) + (begin - np.cumsum(num) + num)[run]


def _pairs_of_runs(begin: np.ndarray, num: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """:func:`runs`, in blocks of about `PAIRS_AT_ONCE`."""
    so_far = np.cumsum(num)
    cuts = np.searchsorted(so_far, np.arange(PAIRS_AT_ONCE, num.sum(), PAIRS_AT_ONCE))
    for first, last in itertools.pairwise([0, *cuts.tolist(), len(num)]):
        rows, columns = runs(begin[first:last], num[first:last])
        yield rows + first, columns


def _overlap_along(
    axis: int, a: np.ndarray, rows: np.ndarray, b: np.ndarray, columns: np.ndarray
) -> np.ndarray:
    """(P,) width (axis 0) or height (axis 1) of what pairs of the sides (4, N), (4, M) share."""
    shared = np.minimum(a[axis + 2].take(rows), b[axis + 2].take(columns))
    shared -= np.maximum(a[axis].take(rows), b[axis].take(columns))
    # Not `maximum`, which would hand on a NaN.
    return np.fmax(shared, 0.0, out=shared)


def _joined(blocks: list[tuple[np.ndarray, ...]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Blocks of rows, columns and overlaps as one array each."""
    if len(blocks) == 1:
        return blocks[0]
    rows, columns, overlaps = (np.concatenate(part) for part in zip(*blocks, strict=True))
    return rows, columns, overlaps


def inside_pairs(
    boxes: Stack, regions: Stack, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All pairs of which at least `threshold` of the box's own area lies in the region.

    Args:
        boxes: N boxes.
        regions: M regions, by image.
        threshold: above 0.

    Returns:
        Three arrays of length P: the row in `boxes`, which does not decrease, the row in `regions`
        and the share.
    """
    blocks = []
    for rows, columns, width, height in _with_regions(boxes, regions):
        share = width * height / boxes.area[rows]
        keep = share >= threshold
        blocks.append((rows[keep], columns[keep], share[keep]))
    return _joined(blocks)


def largest_ioa(boxes: Stack, regions: Stack) -> np.ndarray:
    """The largest share of each box's own area that lies in one region of its image.

    Args:
        boxes, regions: as :func:`inside_pairs`.

    Returns:
        (N,) float64 in [0, 1]; 0 where a box has no area or its image no region.
    """
    largest = np.zeros(len(boxes))
    for rows, _, width, height in _with_regions(boxes, regions):
        np.maximum.at(largest, rows, width * height / boxes.area[rows])
    return largest


def summed_ioa(boxes: Stack, regions: Stack, longer: float = 0.0) -> np.ndarray:
    """The sum of the shares of each box's own area that lie in the regions of its image.

    Args:
        boxes: N boxes.
        regions: M regions, by image; what several cover counts several times.
        longer: pixels to add to both sides of each intersection.

    Returns:
        (N,) float64, from 0 up; 0 where a box has no area.
    """
    total = np.zeros(len(boxes))
    for rows, _, width, height in _with_regions(boxes, regions):
        shared = np.where((width > 0.0) & (height > 0.0), (width + longer) * (height + longer), 0.0)
        np.add.at(total, rows, shared / boxes.area[rows])
    return total


def strictly_inside(boxes: Stack, regions: Stack) -> np.ndarray:
    """(N,) bool: all four sides of the box lie inside one region of its image, touching none.

    Args:
        boxes: N boxes; of these also those without area are asked about.
        regions: M regions, by image.
    """
    inside = np.zeros(len(boxes), dtype=bool)
    for rows, columns in _with_each(boxes.image, regions.image):
        one, other = boxes.boxes[rows], regions.boxes[columns]
        within = (one[:, :2] > other[:, :2]).all(axis=1) & (one[:, 2:] < other[:, 2:]).all(axis=1)
        inside[rows[within]] = True
    return inside


def _with_regions(boxes: Stack, regions: Stack) -> Iterator[tuple[np.ndarray, ...]]:
    """Each box that has an area with each region of its image that has one, in blocks.

    Yields the rows, the columns, and the width and the height of what they share.
    """
    some, usable = np.flatnonzero(boxes.area > 0.0), np.flatnonzero(regions.area > 0.0)
    a, b = boxes.sides(), regions.sides()
    for position, column in _with_each(boxes.image[some], regions.image[usable]):
        rows, columns = some[position], usable[column]
        yield rows, columns, *(_overlap_along(axis, a, rows, b, columns) for axis in (0, 1))


def _with_each(image: np.ndarray, of_regions: np.ndarray) -> Iterator[tuple[np.ndarray, ...]]:
    """Each box with each region of its image, in blocks of rows and columns."""
    begin = np.searchsorted(of_regions, image, side="left")
    return _pairs_of_runs(begin, np.searchsorted(of_regions, image, side="right") - begin)


# --- matchings -----------------------------------------------------------------------------------


def greedy(
    rows: np.ndarray,
    columns: np.ndarray,
    num_rows: int,
    num_columns: int,
    reusable: np.ndarray | None = None,
) -> np.ndarray:
    """Row by row, in order, each takes the first of its columns that is left.

    Args:
        rows: (P,) row of each allowed pair, not decreasing: the earlier rows choose first.
        columns: (P,) column; the pairs of a row in its order of preference.
        num_rows: number of rows.
        num_columns: number of columns.
        reusable: (num_columns,) bool, columns that any number of rows may take.

    Returns:
        (num_rows,) the column taken, -1 for none.

    >>> greedy(np.array([0, 0, 1, 2, 2]), np.array([1, 0, 1, 1, 0]), 3, 2)
    array([ 1, -1,  0])
    """
    taken = np.full(num_rows, -1)
    shared = np.zeros(num_columns, dtype=bool) if reusable is None else reusable
    gone = np.zeros(num_columns, dtype=bool)
    earliest = np.empty(num_columns, dtype=np.intp)
    while len(rows):
        # A row that is the first to ask for its favourite column has no rival left. Of several
        # rows written to one place the last one stays, so they are written in reverse. `take` by
        # position is twice as fast as brackets or a mask.
        earliest[columns[::-1]] = rows[::-1]
        settled = earliest.take(columns) == rows
        settled |= shared.take(columns)
        settled[1:] &= rows[1:] != rows[:-1]
        settled = np.flatnonzero(settled)
        chosen = columns.take(settled)
        taken[rows.take(settled)] = chosen
        gone[chosen] = True
        left = np.flatnonzero((taken.take(rows) < 0) & (shared.take(columns) | ~gone.take(columns)))
        rows, columns = rows.take(left), columns.take(left)
    return taken


def by_preference(
    rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, last_wins: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pairs sorted by row, then by IoU, the highest first; ties by column.

    Args:
        rows: (P,) int.
        columns: (P,) int.
        ious: (P,) float.
        last_wins: of equal IoUs the last column comes first, as in COCO's code, else the first.
    """
    order = np.lexsort((-columns if last_wins else columns, -ious, rows))
    return rows[order], columns[order], ious[order]


def match_pairs(
    rows: np.ndarray, columns: np.ndarray, ious: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The largest number of pairs one to one, and among those the largest total IoU, of one image.

    Args:
        rows: (P,) index of the prediction of each allowed pair, not decreasing.
        columns: (P,) index of the target; no pair occurs twice.
        ious: (P,) above 0.

    Returns:
        As :func:`dipr1.boxes.match`.
    """
    if len(rows) == 0:
        return rows, columns, ious
    chosen, contested = _uncontested(rows, columns)
    if len(contested):
        chosen[contested] = _most_pairs(rows[contested], columns[contested], ious[contested])
    return rows[chosen], columns[chosen], ious[chosen]


def match_pairs_of_images(
    rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, image: np.ndarray
) -> np.ndarray:
    """The pairs that :func:`match_pairs` chooses in each image by itself.

    Args:
        rows, columns, ious: the pairs of all images.
        image: (P,) image of each pair, not decreasing.

    Returns:
        (P,) bool.
    """
    chosen, contested = _uncontested(rows, columns)
    left = contested
    for index, other in ((columns, rows), (rows, columns)):
        best, whole = _each_its_best(index[left], other[left], ious[left], image[left])
        chosen[left[best & whole]] = True
        left = left[~whole]
    chosen[left] = _part_by_part(_most_pairs, rows[left], columns[left], ious[left], image[left])
    return chosen


def _each_its_best(
    index: np.ndarray, other: np.ndarray, ious: np.ndarray, image: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Where every box of one side can have the partner that it overlaps most.

    No matching of such an image is better. The lead has to be larger than what rounding can take
    from a solver's sums, so that a solver would find the same pairs.

    Returns:
        (P,) bool, the pair is the best one of its `index`; and (P,) bool, in its image every
        `index` has a best pair, and no two of these share the `other`.
    """
    close = ious >= _largest(index, ious) - 1e-9
    best = close & (np.bincount(index[close])[index] == 1)
    wanted = np.bincount(other[best], minlength=other.max(initial=-1) + 1)[other]
    some = np.unique(index, return_index=True)[1]
    num_boxes = np.bincount(image[some], minlength=image.max(initial=-1) + 1)
    num_served = np.bincount(image[best & (wanted == 1)], minlength=len(num_boxes))
    return best, (num_served == num_boxes)[image]


def _uncontested(rows: np.ndarray, columns: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(P,) bool, no other pair has a box of this one; and the positions of the others.

    A pair whose two boxes have no other candidate is in every best matching.
    """
    alone = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
    return alone, np.flatnonzero(~alone)


def _most_pairs(rows: np.ndarray, columns: np.ndarray, ious: np.ndarray) -> np.ndarray:
    """(P,) bool, the pair is one of those of :func:`match_pairs`."""
    rows, num_rows = _ranks(rows)
    columns, num_columns = _ranks(columns)
    # One more pair is worth more than any total IoU, which is at most the number of pairs.
    worth = min(num_rows, num_columns) + 1.0 + ious
    # A solver's time grows faster than the square: of many pairs the plain ones are settled first.
    chosen, left = _in_rounds(rows, columns, worth, few=_FEW_PAIRS)
    if len(left):
        row, column = _ranks(rows[left])[0], _ranks(columns[left])[0]
        chosen[left[_solve(row, column, worth[left])]] = True
    return chosen


_FEW_PAIRS = 100


def heaviest(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The pairs of a one-to-one matching with the largest total weight.

    Args:
        rows: (P,) row of each allowed pair.
        columns: (P,) column; no pair occurs twice.
        weights: (P,) above 0.

    Returns:
        (P,) bool, the pair is chosen.

    >>> heaviest(np.array([0, 0, 1]), np.array([0, 1, 1]), np.array([0.6, 0.9, 0.6]))
    array([ True, False,  True])
    """
    chosen, left = _in_rounds(rows, columns, weights)
    if len(left) == 0:
        return chosen
    part = parts(rows[left], columns[left])
    by_part = np.argsort(part, kind="stable")
    left, part = left[by_part], part[by_part]
    chosen[left] = _part_by_part(_solve, rows[left], columns[left], weights[left], part)
    return chosen


def _part_by_part(
    solve: Callable[[np.ndarray, np.ndarray, np.ndarray], np.ndarray],
    rows: np.ndarray,
    columns: np.ndarray,
    weights: np.ndarray,
    part: np.ndarray,
) -> np.ndarray:
    """(P,) bool, the pairs that `solve` chooses in each part; the parts lie one after the other."""
    rows, columns = _number_within(part, rows), _number_within(part, columns)
    chosen = np.zeros(len(part), dtype=bool)
    bounds = np.flatnonzero(np.diff(part, prepend=-1, append=-1)).tolist()
    for begin, end in itertools.pairwise(bounds):
        here = slice(begin, end)
        chosen[here] = solve(rows[here], columns[here], weights[here])
    return chosen


def _number_within(part: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """(P,) number of each id, 0, 1, ... in increasing order, among those of its part.

    >>> _number_within(np.array([0, 0, 1, 1]), np.array([7, 5, 9, 9]))
    array([1, 0, 0, 0])
    """
    number = np.unique(part * (ids.max(initial=0) + 1) + ids, return_inverse=True)[1]
    least = np.full(part.max(initial=0) + 1, len(ids))
    np.minimum.at(least, part, number)
    return number - least[part]


def _in_rounds(
    rows: np.ndarray, columns: np.ndarray, weights: np.ndarray, few: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Settle what needs no solver, until at most `few` pairs or only others are left.

    Returns:
        (P,) bool, the pair is in a heaviest matching; and the positions of those left.
    """
    chosen, left = np.zeros(len(rows), dtype=bool), np.arange(len(rows))
    while len(left) > few:
        settled = left[_settled(rows[left], columns[left], weights[left])]
        if len(settled) == 0:
            break
        chosen[settled] = True
        rest = np.ones(len(left), dtype=bool)
        for index in (rows, columns):
            taken = np.zeros(index.max() + 1, dtype=bool)
            taken[index[settled]] = True
            rest &= ~taken[index[left]]
        left = left[rest]
    return chosen, left


def _settled(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Positions of pairs that are in one heaviest matching together; no two share a box.

    A pair that is the heaviest of one of its boxes, while its other box has no other: whatever a
    matching does with the two boxes, it gains by this pair.
    """
    positions = np.flatnonzero(
        ((np.bincount(rows)[rows] == 1) & (weights >= _largest(columns, weights)))
        | ((np.bincount(columns)[columns] == 1) & (weights >= _largest(rows, weights)))
    )
    # Of equally heavy ones that share a box, one.
    for index in (rows, columns):
        last = np.empty(index.max() + 1, dtype=np.intp)
        last[index[positions]] = positions
        positions = positions[last[index[positions]] == positions]
    return positions


def _largest(index: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P,) the largest weight among the pairs of the same index."""
    largest = np.zeros(index.max(initial=-1) + 1)
    np.maximum.at(largest, index, weights)
    return largest[index]


def _solve(rows: np.ndarray, columns: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """(P,) bool, the pair is in a heaviest matching; rows and columns are numbered without gaps."""
    # Half a second to import, and many images have no contested pair.
    from scipy.optimize import linear_sum_assignment

    gain = np.zeros((rows.max() + 1, columns.max() + 1))
    gain[rows, columns] = weights
    column_of = np.full(len(gain), -1)
    best_rows, best_columns = linear_sum_assignment(gain, maximize=True)
    column_of[best_rows] = best_columns
    return column_of[rows] == columns


def parts(rows: np.ndarray, columns: np.ndarray) -> np.ndarray:
    """(P,) int: pairs have the same number if they are connected through common boxes."""
    # Half a second to import.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    row_index = np.unique(rows, return_inverse=True)[1]
    column_index = np.unique(columns, return_inverse=True)[1] + len(rows)
    size = 2 * len(rows)
    graph = coo_array(
        (np.ones(len(rows), dtype=bool), (row_index, column_index)), shape=(size, size)
    )
    return connected_components(graph, directed=False)[1][row_index]


def _ranks(values: np.ndarray) -> tuple[np.ndarray, int]:
    """The rank of each value among the different ones, and how many those are.

    >>> _ranks(np.array([7, 2, 7]))
    (array([1, 0, 1]), 2)
    """
    rank = np.cumsum(np.bincount(values) > 0) - 1
    return rank[values], int(rank[-1]) + 1
