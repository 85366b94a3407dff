"""Box-variance statistics: where the base policy's boxes come and go, or move.

The paper guides looking by the variance of the boxes. We have read its abstract only, so these
definitions are ours (docs: the method, section 4). An image has N readable responses. Their boxes
are gathered into regions: one for each ground truth box, and one for each further place that is
answered (a phantom). A region's uncertainty u is low where every sample has its box at the same
place, and high where about half of the samples have it, or where its borders differ between them.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import IGNORE_IOA, as_boxes, overlapping, stacked
from dipr1.matching import (
    Stack,
    largest_ioa,
    match_pairs,
    match_pairs_of_images,
    overlapping_pairs,
)

# Fewer readable responses do not tell what comes and goes: an image has no statistics then.
LEAST_RESPONSES = 2

Target = Literal["variance", "miss", "gain"]
"""Why a region is to be looked at, see :func:`target_values`."""

# Of its own area, from here on a hull is seen by whoever looks at the other one.
SEEN_IOA = 0.5


@dataclass(frozen=True, slots=True, eq=False)
class Region:
    """One place of an image that holds an object, or that samples take for one.

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
        samples: N arrays (n, 4) of the boxes of each response, clipped to the image. One that
            cannot be read says nothing of what is there: leave it out. Boxes without area are
            dropped. Image frame.
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
    block = Block(
        boxes=stacked(np.concatenate(answers)),
        turn=np.repeat(np.arange(len(answers)), [len(answer) for answer in answers]),
        truth=stacked(gt_boxes),
        ignore=stacked(ignore_boxes),
        num_samples=np.array([len(answers)]),
    )
    regions = measure_block(block, match_iou, v0)
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
            regions.gt_index.tolist(),
            regions.box,
            regions.hull,
            regions.support.tolist(),
            regions.existence_variance.tolist(),
            regions.box_variance.tolist(),
            regions.uncertainty.tolist(),
            strict=True,
        )
    ]


def target_values(
    target: Literal["variance", "miss"],
    uncertainty: ArrayLike,
    support: ArrayLike,
    is_object: ArrayLike,
) -> np.ndarray:
    """How much regions are worth a look, for `look_targets` in place of their uncertainty.

    An object that no sample finds counts as certain, though it is where a second look can gain
    most. (What looking gained is not told by the samples of the whole view: "gain" is measured on
    crops, :func:`dipr1.artifacts.gain.with_gain`.)

    Args:
        target: "variance" is u itself; "miss" is how often an object is missed, and u of a phantom.
        uncertainty: (K,) u.
        support: (K,) share of the samples with a member.
        is_object: (K,) annotated; else a phantom.

    Returns:
        (K,) in [0, 1].

    >>> target_values("miss", [0.2, 0.9, 0.6], [0.0, 0.5, 0.25], [True, True, False])
    array([1. , 0.5, 0.6])
    """
    uncertainty = np.asarray(uncertainty, dtype=np.float64)
    if target == "variance":
        return uncertainty
    missed = 1.0 - np.asarray(support, dtype=np.float64)
    return np.where(np.asarray(is_object, dtype=bool), missed, uncertainty)


def look_targets(
    hulls: ArrayLike, uncertainty: ArrayLike, threshold: float = 0.5, max_regions: int = 4
) -> np.ndarray:
    """Which regions a response should look at, the most important first.

    Args:
        hulls: (K, 4) hulls of an image's regions, any one frame, to which they are clipped; one
            without area is never chosen.
        uncertainty: (K,) values in [0, 1].
        threshold: the smallest uncertainty of a chosen region.
        max_regions: at most so many are chosen.

    Returns:
        (<= max_regions,) indices: the highest uncertainty first, of equal ones the larger hull
        first, of equal hulls the first. A region is left out where half of its hull or more lies in
        the hull of one that is chosen before: whoever looks there sees it as well.

    >>> look_targets([[0, 0, 1, 1], [0, 0, 3, 3], [0, 0, 2, 2], [2, 0, 4, 1]], [0.9, 0.2, 0.9, 0.8])
    array([2, 3])
    """
    return look_targets_of_images(stacked(hulls), uncertainty, threshold, max_regions)


def look_targets_of_images(
    hulls: Stack, uncertainty: ArrayLike, threshold: float = 0.5, max_regions: int = 4
) -> np.ndarray:
    """The :func:`look_targets` of each image, image after image.

    Args:
        hulls: K hulls, image after image.
        uncertainty, threshold, max_regions: as there.
    """
    uncertainty = np.asarray(uncertainty, dtype=np.float64)
    left = ((uncertainty >= threshold) & (hulls.area > 0.0)).nonzero()[0]
    left = left[np.lexsort((-hulls.area[left], -uncertainty[left], hulls.image[left]))]
    chosen: list[int] = []
    of_image: list[list[float]] = []
    last = None
    boxes, areas = hulls.boxes[left].tolist(), hulls.area[left].tolist()
    for k, image in enumerate(hulls.image[left].tolist()):
        if image != last:
            of_image, last = [], image
        if len(of_image) < max_regions and not _is_seen(boxes[k], areas[k], of_image):
            of_image.append(boxes[k])
            chosen.append(k)
    return left[chosen]


def _is_seen(box: list[float], area: float, others: list[list[float]]) -> bool:
    """Whether so much of a box lies in one of the others that whoever looks there sees it.

    Plain numbers and comparisons: of so few boxes, numpy's calls would take longer, and so would
    `min` and `max`.
    """
    x1, y1, x2, y2 = box
    for a1, b1, a2, b2 in others:
        width = (x2 if x2 < a2 else a2) - (x1 if x1 > a1 else a1)
        height = (y2 if y2 < b2 else b2) - (y1 if y1 > b1 else b1)
        if width > 0.0 and height > 0.0 and width * height / area >= SEEN_IOA:
            return True
    return False


def consensus(
    samples: Sequence[ArrayLike], match_iou: float = 0.5
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The places that one or several answers about an image have a box at.

    They are the regions of :func:`box_variance` without ground truth.

    Args:
        samples: N arrays (n, 4) of the boxes of each response; those without area are left out.
        match_iou: the smallest IoU of a matched pair.

    Returns:
        (R, 4) mean boxes, (R,) the share of the samples that have a box there, and (B,) the place
        of each box of all samples, -1 for those left out.

    >>> boxes, support, place = consensus([[[0, 0, 4, 4]], [[0, 0, 4, 5], [8, 8, 9, 9]]])
    >>> boxes.tolist(), support.tolist(), place.tolist()
    ([[0.0, 0.0, 4.0, 4.5], [8.0, 8.0, 9.0, 9.0]], [1.0, 0.5], [0, 0, 1])
    """
    answers = [as_boxes(boxes) for boxes in samples]
    boxes = stacked(np.concatenate(answers))
    nothing = stacked([])
    turn = np.repeat(np.arange(len(answers)), [len(answer) for answer in answers])
    block = Block(boxes, turn, nothing, nothing, np.array([len(answers)]))
    members = gather(block, match_iou)
    [num_regions] = members.num_regions
    place = np.full(len(boxes), -1)
    place[members.row] = members.region
    count = np.bincount(members.region, minlength=num_regions)
    sums = _sums(boxes.boxes[members.row], members.region, num_regions)
    return sums / count[:, None], count / len(answers), place


# --- a block of images --------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, eq=False)
class Block:
    """The sampled boxes and the annotations of a few hundred images, which are measured at once.

    Attributes:
        boxes: B sampled boxes, those of the first samples of all images first; of equal turn by
            image, then as they were answered. Image frame.
        turn: (B,) which of its image's samples a box is of: 0, 1, ...; does not decrease.
        truth: ground truth that is not ignored, by image.
        ignore: ignore regions, by image.
        num_samples: (I,) samples of each image.
        names, truth_names: (B,) and (G,) what is said of each box and ground truth, as numbers, -1
            where nothing is; None where all have one name. They change no region.
    """

    boxes: Stack
    turn: np.ndarray
    truth: Stack
    ignore: Stack
    num_samples: np.ndarray
    names: np.ndarray | None = None
    truth_names: np.ndarray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Members:
    """The sampled boxes of a block that joined a region, in order of the samples.

    Attributes:
        row: (M,) index in the block's boxes.
        region: (M,) of its image that it joined.
        num_regions: (I,) of each image.
    """

    row: np.ndarray
    region: np.ndarray
    num_regions: np.ndarray

    def owner(self, block: Block) -> np.ndarray:
        """(M,) the region among those of all images."""
        first = np.cumsum(self.num_regions) - self.num_regions
        return first[block.boxes.image[self.row]] + self.region


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


def measure_block(block: Block, match_iou: float, v0: float) -> RegionTable:
    """The regions of all images of a block: those that `box_variance` gives for each by itself.

    Args:
        match_iou, v0: as in :func:`box_variance`.

    Returns:
        Sorted by image and region; `image` is the index in the block.
    """
    return measure_members(block, gather(block, match_iou), v0)


def measure_members(block: Block, joined: Members, v0: float) -> RegionTable:
    """:func:`measure_block`, of boxes that were gathered before."""
    members, owner = block.boxes.take(joined.row), joined.owner(block)
    num_images = len(block.num_samples)
    image = np.repeat(np.arange(num_images), joined.num_regions)
    first = np.cumsum(joined.num_regions) - joined.num_regions
    index = np.arange(len(image)) - first[image]
    is_object = index < block.truth.count(num_images)[image]
    count = np.bincount(owner, minlength=len(image))
    mean = _sums(members.boxes, owner, len(image)) / np.maximum(count, 1)[:, None]
    variance = _relative_variance(members.boxes, owner, mean, count)
    # 4 q (1 - q) in whole numbers: m members of N and N - m members give the same to the last bit,
    # so that equally uncertain regions tie.
    total = block.num_samples[image]
    existence = (2 * count + 1) * (2 * (total - count) + 1) / (total + 1) ** 2
    # u = 1 - (1 - e) exp(-v / v0), written so that it is e itself where v is 0 or null.
    unsteadiness = -np.expm1(-np.nan_to_num(variance) / v0)
    box = mean.copy()
    box[is_object] = block.truth.boxes
    hull = box.copy()
    # Side by side: numpy has a fast way for arrays of one dimension only.
    for side in range(4):
        (np.minimum if side < 2 else np.maximum).at(hull[:, side], owner, members.boxes[:, side])
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


def gather(block: Block, match_iou: float) -> Members:
    """The boxes that join a region."""
    usable = np.flatnonzero(block.boxes.area > 0.0)
    boxes, turn = block.boxes.take(usable), block.turn[usable]
    ignored = largest_ioa(boxes, block.ignore) >= IGNORE_IOA
    anchors = _Anchors(block, len(boxes))
    region = np.full(len(boxes), -1)
    ends = np.searchsorted(turn, np.arange(int(turn.max(initial=-1)) + 2))
    for begin, end in itertools.pairwise(ends.tolist()):
        now = slice(begin, end)
        region[now] = anchors.join(boxes.take(now), ignored[now], match_iou)
    kept = region >= 0
    return Members(usable[kept], region[kept], anchors.num_regions)


class _Anchors:
    """The regions of a block while they grow: what the next samples' boxes are matched to."""

    def __init__(self, block: Block, most_phantoms: int) -> None:
        num_gt = len(block.truth)
        size = num_gt + most_phantoms
        self._num_gt = self._num = num_gt
        self._image = np.empty(size, dtype=np.intp)
        self._image[:num_gt] = block.truth.image
        self.num_regions = block.truth.count(len(block.num_samples))
        # Of ground truth the anchor itself; of phantoms the sum of the members and their number.
        self._sums, self._counts = np.zeros((size, 4)), np.ones(size)
        self._sums[:num_gt] = block.truth.boxes
        self._region = np.empty(size, dtype=np.intp)
        first = np.cumsum(self.num_regions) - self.num_regions
        self._region[:num_gt] = np.arange(num_gt) - first[block.truth.image]

    def join(self, boxes: Stack, ignored: np.ndarray, match_iou: float) -> np.ndarray:
        """Match one sample of each image, given by image; unmatched boxes start a phantom.

        Args:
            ignored: (B,) whether a box lies in an ignore region.

        Returns:
            (B,) the region in its image that each box joins; -1 where it is dropped.
        """
        rows, columns = self._match(boxes, ignored, match_iou)
        region = np.full(len(boxes), -1)
        region[rows] = self._region[columns]
        phantoms = columns >= self._num_gt
        self._sums[columns[phantoms]] += boxes.boxes[rows[phantoms]]
        self._counts[columns[phantoms]] += 1.0
        new = np.flatnonzero((region < 0) & ~ignored)
        region[new] = self._start(boxes.boxes[new], boxes.image[new])
        return region

    def _match(
        self, boxes: Stack, ignored: np.ndarray, match_iou: float
    ) -> tuple[np.ndarray, np.ndarray]:
        """The matched boxes and their anchors, each image by itself."""
        now = slice(self._num)
        anchors = self._sums[now] / self._counts[now, None]
        one_image = len(self.num_regions) == 1
        if one_image:
            rows, columns, ious = overlapping(boxes.boxes, anchors, match_iou)
        else:
            targets = stacked(anchors, self._image[now])
            rows, columns, ious = overlapping_pairs(boxes, targets, match_iou)
        # A box in an ignore region counts only where it is a ground truth's.
        allowed = ~ignored[rows] | (columns < self._num_gt)
        rows, columns, ious = rows[allowed], columns[allowed], ious[allowed]
        if one_image:
            return match_pairs(rows, columns, ious)[:2]
        chosen = match_pairs_of_images(rows, columns, ious, boxes.image[rows])
        return rows[chosen], columns[chosen]

    def _start(self, boxes: np.ndarray, image: np.ndarray) -> np.ndarray:
        """Begin phantoms, given by image; returns the region in its image that each becomes."""
        num_new = np.bincount(image, minlength=len(self.num_regions))
        before = np.cumsum(num_new) - num_new
        region = self.num_regions[image] + np.arange(len(image)) - before[image]
        new = slice(self._num, self._num + len(boxes))
        self._image[new], self._sums[new], self._region[new] = image, boxes, region
        self._num += len(boxes)
        self.num_regions += num_new
        return region


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
