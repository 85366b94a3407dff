"""Box-variance statistics: where the base policy's boxes come and go, or move.

Published is that looking is guided by the variance of the boxes. The equation and the number of
samples are not, so what is here is our definition (docs: the method, section 4). N responses are
sampled per image. Their boxes are gathered into regions: one per ground truth box, and one for each
further place at which boxes are found (a phantom). A region's uncertainty u is low where its box is
found in every sample at the same place, and high where it is found in about half of the samples, or
with borders that differ.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import IGNORE_IOA, area, as_boxes, match_pairs, overlapping
from dipr1.matching import runs

PAIRS_AT_ONCE = 1 << 20


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One place of an image at which boxes are, or should be, found.

    Attributes:
        kind: "object" (a ground truth box) or "phantom" (sampled boxes only).
        gt_index: index among the image's boxes that are not ignored; None for a phantom.
        box: (4,) the ground truth's box, or the mean of the members. Image frame.
        hull: (4,) smallest box that holds `box` and all members. Image frame.
        support: share of the samples with a member here, in [0, 1].
        num_samples: N.
        existence_variance: e in (0, 1], 1 where half of the samples have a member.
        box_variance: v, mean variance of the sides over the squared size; None below two members.
        uncertainty: u in (0, 1].
    """

    kind: Literal["object", "phantom"]
    gt_index: int | None
    box: np.ndarray
    hull: np.ndarray
    support: float
    num_samples: int
    existence_variance: float
    box_variance: float | None
    uncertainty: float


def box_variance(
    samples: Sequence[ArrayLike],
    gt_boxes: ArrayLike,
    ignore_boxes: ArrayLike = (),
    *,
    match_iou: float = 0.5,
    v0: float = 0.01,
) -> list[Region]:
    """Regions of one image, ground truth first and in its order, then phantoms as they appear.

    Args:
        samples: N arrays (n, 4) of the boxes of each response, clipped to the image; a malformed
            response is an empty one. Boxes without area are dropped. Image frame.
        gt_boxes: (G, 4) ground truth that is not ignored.
        ignore_boxes: (I, 4) regions in which a box that matches no ground truth is dropped.
        match_iou: the smallest IoU of a matched pair.
        v0: the box variance at which certainty has fallen to 1/e.

    Raises:
        ValueError: there are no samples.

    >>> [region] = box_variance([[[0, 0, 10, 10]], [[0, 0, 10, 10]]], [[0, 0, 10, 10]])
    >>> region.support, region.box_variance, round(region.uncertainty, 3)
    (1.0, 0.0, 0.556)
    """
    if len(samples) == 0:
        raise ValueError("box_variance needs at least one sample")
    answers = [as_boxes(boxes) for boxes in samples]
    boxes = np.concatenate(answers)
    gt_boxes, ignore_boxes = as_boxes(gt_boxes), as_boxes(ignore_boxes)
    block = Block(
        boxes=boxes,
        image=np.zeros(len(boxes), dtype=np.intp),
        turn=np.repeat(np.arange(len(answers)), [len(answer) for answer in answers]),
        gt_boxes=gt_boxes,
        gt_image=np.zeros(len(gt_boxes), dtype=np.intp),
        ignore_boxes=ignore_boxes,
        ignore_image=np.zeros(len(ignore_boxes), dtype=np.intp),
        num_samples=np.array([len(answers)]),
    )
    found = measure(block, match_iou, v0)
    return [
        Region(
            kind="object" if gt_index >= 0 else "phantom",
            gt_index=gt_index if gt_index >= 0 else None,
            box=box,
            hull=hull,
            support=support,
            num_samples=len(answers),
            existence_variance=existence,
            box_variance=None if variance != variance else variance,
            uncertainty=uncertainty,
        )
        for gt_index, box, hull, support, existence, variance, uncertainty in zip(
            found.gt_index.tolist(),
            found.box,
            found.hull,
            found.support.tolist(),
            found.existence_variance.tolist(),
            found.box_variance.tolist(),
            found.uncertainty.tolist(),
            strict=True,
        )
    ]


def look_targets(
    hulls: ArrayLike, uncertainty: ArrayLike, threshold: float = 0.5, max_regions: int = 16
) -> np.ndarray:
    """Which regions a response should look at, the most important first.

    Args:
        hulls: (K, 4) hulls of an image's regions, any one frame; one without area is never chosen.
        uncertainty: (K,) values in [0, 1].
        threshold: the smallest uncertainty of a chosen region.
        max_regions: at most so many are chosen.

    Returns:
        (<= max_regions,) indices: the highest uncertainty first, of equal ones the larger hull
        first, of equal hulls the first.

    >>> look_targets([[0, 0, 1, 1], [0, 0, 3, 3], [0, 0, 2, 2]], [0.9, 0.2, 0.9])
    array([2, 0])
    """
    areas, uncertainty = area(hulls), np.asarray(uncertainty, dtype=np.float64)
    candidates = np.flatnonzero((uncertainty >= threshold) & (areas > 0.0))
    order = np.lexsort((-areas[candidates], -uncertainty[candidates]))
    return candidates[order[:max_regions]]


# --- a block of images --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The sampled boxes and the annotations of a few hundred images, which are measured at once.

    Attributes:
        boxes: (B, 4) sampled boxes, those of the first samples of all images first; of equal turn
            by image, then as they were answered. Image frame.
        image: (B,) index of each box's image in the block.
        turn: (B,) which of its image's samples a box is of: 0, 1, ...; does not decrease.
        gt_boxes, gt_image: (G, 4) and (G,) ground truth that is not ignored, by image.
        ignore_boxes, ignore_image: (K, 4) and (K,) ignore regions, by image.
        num_samples: (I,) samples of each image.
    """

    boxes: np.ndarray
    image: np.ndarray
    turn: np.ndarray
    gt_boxes: np.ndarray
    gt_image: np.ndarray
    ignore_boxes: np.ndarray
    ignore_image: np.ndarray
    num_samples: np.ndarray


@dataclass(slots=True, eq=False)
class RegionTable:
    """The regions of many images as columns: of each R rows, by image; boxes in the image frame.

    Attributes:
        image: index of the image.
        region: index of the region in its image.
        gt_index: as in :class:`Region`; -1 for a phantom.
        box, hull: as in :class:`Region`.
        mean: mean of the members; NaN without any.
        support, num_samples, existence_variance, uncertainty: as in :class:`Region`.
        box_variance: as in :class:`Region`; NaN for None.
    """

    image: np.ndarray
    region: np.ndarray
    gt_index: np.ndarray
    box: np.ndarray
    hull: np.ndarray
    mean: np.ndarray
    support: np.ndarray
    num_samples: np.ndarray
    existence_variance: np.ndarray
    box_variance: np.ndarray
    uncertainty: np.ndarray


def measure(block: Block, match_iou: float, v0: float) -> RegionTable:
    """The regions of all images of a block: those that `box_variance` gives for each by itself.

    Args:
        match_iou, v0: as in :func:`box_variance`.

    Returns:
        Sorted by image and region; `image` is the index in the block.
    """
    members, member_image, member_region, num_regions = _assign(block, match_iou)
    num_images = len(block.num_samples)
    image = np.repeat(np.arange(num_images), num_regions)
    first = np.cumsum(num_regions) - num_regions
    index = np.arange(len(image)) - first[image]
    is_object = index < np.bincount(block.gt_image, minlength=num_images)[image]
    owner = first[member_image] + member_region
    count = np.bincount(owner, minlength=len(image))
    mean = _sums(members, owner, len(image)) / np.maximum(count, 1)[:, None]
    variance = _relative_variance(members, owner, mean, count)
    # 4 q (1 - q) in whole numbers: found m times and missed m times give the same, to the last bit,
    # so that ties between regions are ties.
    total = block.num_samples[image]
    existence = (2 * count + 1) * (2 * (total - count) + 1) / (total + 1) ** 2
    # u = 1 - (1 - e) exp(-v / v0), written so that it is e itself where v is 0 or null.
    unsteadiness = -np.expm1(-np.nan_to_num(variance) / v0)
    box = mean.copy()
    box[is_object] = block.gt_boxes
    hull = box.copy()
    for side in range(4):
        (np.minimum if side < 2 else np.maximum).at(hull[:, side], owner, members[:, side])
    mean[count == 0] = np.nan
    return RegionTable(
        image=image,
        region=index,
        gt_index=np.where(is_object, index, -1),
        box=box,
        hull=hull,
        mean=mean,
        support=count / total,
        num_samples=total,
        existence_variance=existence,
        box_variance=variance,
        uncertainty=existence + (1.0 - existence) * unsteadiness,
    )


def _assign(
    block: Block, match_iou: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The boxes that join a region.

    Returns:
        The boxes (M, 4) in order of the samples, the image (M,) and the region in the image (M,)
        of each, and the number of regions of each image (I,).
    """
    usable = area(block.boxes) > 0.0
    boxes, image, turn = block.boxes[usable], block.image[usable], block.turn[usable]
    anchors = _Anchors(block, len(boxes))
    region = np.full(len(boxes), -1)
    ends = np.searchsorted(turn, np.arange(int(turn.max(initial=-1)) + 2))
    for begin, end in itertools.pairwise(ends.tolist()):
        now = slice(begin, end)
        ignored = _ignored(boxes[now], image[now], block)
        region[now] = anchors.join(boxes[now], image[now], ignored, match_iou)
    kept = region >= 0
    return boxes[kept], image[kept], region[kept], anchors.num_regions


class _Anchors:
    """The regions of a block while they grow: what the next samples' boxes are matched to."""

    def __init__(self, block: Block, most_phantoms: int) -> None:
        num_gt = len(block.gt_boxes)
        size = num_gt + most_phantoms
        self._num_gt = self._num = num_gt
        self._image = np.empty(size, dtype=np.intp)
        self._image[:num_gt] = block.gt_image
        self.num_regions = np.bincount(block.gt_image, minlength=len(block.num_samples))
        # Of ground truth the anchor itself; of phantoms the sum of the members and their number.
        self._sums, self._counts = np.zeros((size, 4)), np.ones(size)
        self._sums[:num_gt] = block.gt_boxes
        self._region = np.empty(size, dtype=np.intp)
        first = np.cumsum(self.num_regions) - self.num_regions
        self._region[:num_gt] = np.arange(num_gt) - first[block.gt_image]

    def join(
        self, boxes: np.ndarray, image: np.ndarray, ignored: np.ndarray, match_iou: float
    ) -> np.ndarray:
        """Match one sample of each image, given by image; unmatched boxes start a phantom.

        Returns:
            (B,) the region in its image that each box joins; -1 where it is dropped.
        """
        now = slice(self._num)
        anchors = self._sums[now] / self._counts[now, None]
        if len(self.num_regions) == 1:
            rows, columns, ious = overlapping(boxes, anchors, match_iou)
        else:
            rows, columns, ious = pairs_within_images(
                boxes, image, anchors, self._image[now], match_iou
            )
        # A box in an ignore region counts only where it is a ground truth's.
        allowed = ~ignored[rows] | (columns < self._num_gt)
        rows, columns = self._match(rows[allowed], columns[allowed], ious[allowed], image)
        region = np.full(len(boxes), -1)
        region[rows] = self._region[columns]
        phantoms = columns >= self._num_gt
        self._sums[columns[phantoms]] += boxes[rows[phantoms]]
        self._counts[columns[phantoms]] += 1.0
        new = np.flatnonzero((region < 0) & ~ignored)
        region[new] = self._start(boxes[new], image[new])
        return region

    def _match(
        self, rows: np.ndarray, columns: np.ndarray, ious: np.ndarray, image: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The matched boxes and their anchors, each image by itself."""
        sure = (np.bincount(rows)[rows] == 1) & (np.bincount(columns)[columns] == 1)
        if sure.all():
            return rows, columns
        contested = np.flatnonzero(~sure)
        owner = image[rows[contested]]
        starts = np.flatnonzero(np.diff(owner, prepend=-1)).tolist()
        matched = [(rows[sure], columns[sure])]
        anchor = np.empty(int(self.num_regions.max(initial=0)), dtype=np.intp)
        for begin, end in itertools.pairwise([*starts, len(owner)]):
            pairs = contested[begin:end]
            start, ids = rows[pairs[0]], columns[pairs]
            # numbered within the image, which keeps their order and makes them small
            index = self._region[ids]
            anchor[index] = ids
            found, targets, _ = match_pairs(rows[pairs] - start, index, ious[pairs])
            matched.append((found + start, anchor[targets]))
        return tuple(np.concatenate(part) for part in zip(*matched, strict=True))

    def _start(self, boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Begin phantoms, given by image; returns the region that each is in its image."""
        num_new = np.bincount(image, minlength=len(self.num_regions))
        before = np.cumsum(num_new) - num_new
        region = self.num_regions[image] + np.arange(len(image)) - before[image]
        new = slice(self._num, self._num + len(boxes))
        self._image[new], self._sums[new], self._region[new] = image, boxes, region
        self._num += len(boxes)
        self.num_regions += num_new
        return region


def _ignored(boxes: np.ndarray, image: np.ndarray, block: Block) -> np.ndarray:
    """(B,) whether a box lies in one of its image's ignore regions."""
    ignored = np.zeros(len(boxes), dtype=bool)
    if len(block.ignore_boxes) == 0:
        return ignored
    begin = np.searchsorted(block.ignore_image, image, side="left")
    num = np.searchsorted(block.ignore_image, image, side="right") - begin
    rows, columns = runs(begin, num)
    regions, _ = _usable(block.ignore_boxes)
    inside = _shared(boxes[rows], regions[columns]) / area(boxes)[rows] >= IGNORE_IOA
    ignored[rows[inside]] = True
    return ignored


def pairs_within_images(
    a: np.ndarray, image_a: np.ndarray, b: np.ndarray, image_b: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """`dipr1.boxes.overlapping` within each image; the boxes `a` have an area.

    Two boxes of IoU t share at least t of the width of either. So, with w the width of the first,
    the left side of the second lies between x1 - (1 / t - 1) w and x1 + (1 - t) w.
    """
    b, area_b = _usable(b)
    widths = a[:, 2] - a[:, 0]
    # A little more, for what rounding takes.
    least = a[:, 0] - (1.0 / threshold - 1.0 + 1e-6) * widths
    most = a[:, 0] + (1.0 - threshold + 1e-6) * widths
    # Left sides by their rank: whole numbers, by which image and side are compared at once.
    by_side = np.argsort(b[:, 0], kind="stable")
    order = by_side[np.argsort(image_b[by_side], kind="stable")]
    rank = np.empty(len(b), dtype=np.intp)
    rank[by_side] = np.arange(len(b))
    keys = (image_b * (len(b) + 1) + rank)[order]
    sides, base = b[by_side, 0], image_a * (len(b) + 1)
    begin = np.searchsorted(keys, base + np.searchsorted(sides, least, side="left"))
    end = np.searchsorted(keys, base + np.searchsorted(sides, most, side="right"))
    num, area_a = end - begin, area(a)
    found = []
    # A model that repeats itself gives very many pairs: some at a time.
    so_far = np.cumsum(num)
    cuts = np.searchsorted(so_far, np.arange(PAIRS_AT_ONCE, num.sum(), PAIRS_AT_ONCE))
    for first, last in itertools.pairwise([0, *cuts.tolist(), len(a)]):
        rows, columns = runs(begin[first:last], num[first:last])
        rows, columns = rows + first, order[columns]
        inter = _shared(a[rows], b[columns])
        ious = inter / (area_a[rows] + area_b[columns] - inter)
        keep = (ious >= threshold) & (inter > 0.0)
        found.append((rows[keep], columns[keep], ious[keep]))
    return tuple(np.concatenate(part) for part in zip(*found, strict=True))


def _usable(boxes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The boxes (N, 4), those without area set to zeros, and the areas (N,)."""
    areas = area(boxes)
    return np.where(areas[:, None] > 0.0, boxes, 0.0), areas


def _shared(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """(P,) area that each box of `a` (P, 4) shares with the same one of `b`."""
    sides = np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])
    np.maximum(sides, 0.0, out=sides)
    return sides[:, 0] * sides[:, 1]


def _sums(values: np.ndarray, region: np.ndarray, num_regions: int) -> np.ndarray:
    """(num_regions, 4) sums of the rows of `values` (M, 4) by region."""
    return np.stack(
        [np.bincount(region, weights=side, minlength=num_regions) for side in values.T], axis=1
    )


def _relative_variance(
    members: np.ndarray, region: np.ndarray, mean: np.ndarray, count: np.ndarray
) -> np.ndarray:
    """(R,) mean over the sides of their variance over the squared size; NaN below two members."""
    squares = _sums((members - mean[region]) ** 2, region, len(count))
    repeated = count >= 2
    size = (mean[:, 2:] - mean[:, :2])[repeated]
    relative = squares[repeated] / (count[repeated] - 1)[:, None] / np.tile(size, 2) ** 2
    variance = np.full(len(count), np.nan)
    variance[repeated] = relative.mean(axis=1)
    return variance
