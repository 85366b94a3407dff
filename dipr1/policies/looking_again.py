"""Looking again: windows of regions, and one answer out of several views (the method, section 9).

A look in text shows the policy nothing that it did not see. Here a region becomes a window of the
image that is shown enlarged, and what is answered about it is merged with the first view's answer.
All boxes are in the image frame; everything here is boxes and numbers, and the same input gives the
same output.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import ArrayLike

from dipr1.boxes import area, as_boxes, clip, ioa, iou, match
from dipr1.regions import consensus

# A box this near to a window's border, as a share of the window's side, touches it: policies write
# whole numbers of a small frame, and what a border cuts rarely ends on it to the pixel.
TOUCH = 0.01
IOS = 0.5  # least intersection over the smaller box of boxes that SAHI's merging takes for one


@dataclass(frozen=True, eq=False)
class Seen:
    """The boxes of one or several views of an image.

    Attributes:
        boxes: (N, 4) xyxy, image frame.
        confidence: (N,) in [0, 1].
        log_likelihood: (N,) at most 0.
        labels: (N,) objects: texts, or None where no label was written.
        view: (N,) int: 0 is the first view, k the k-th window.
    """

    boxes: np.ndarray
    confidence: np.ndarray
    log_likelihood: np.ndarray
    labels: np.ndarray
    view: np.ndarray

    @classmethod
    def of(
        cls,
        boxes: ArrayLike,
        confidence: ArrayLike,
        log_likelihood: ArrayLike | None = None,
        labels: Sequence[str | None] | None = None,
        view: int = 0,
    ) -> Seen:
        """What one view shows; without log-likelihoods they are the confidences' logarithms.

        >>> len(Seen.of([], []))
        0
        """
        boxes, confidence = as_boxes(boxes), np.asarray(confidence, np.float64)
        if log_likelihood is None:
            log_likelihood = np.log(np.maximum(confidence, np.finfo(np.float32).tiny))
        names = np.full(len(boxes), None, object)
        if labels is not None:
            names[:] = labels
        likelihood = np.asarray(log_likelihood, np.float64)
        return cls(boxes, confidence, likelihood, names, np.full(len(boxes), view))

    def __len__(self) -> int:
        return len(self.boxes)

    def take(self, rows: np.ndarray) -> Seen:
        """The given boxes, by index or by mask."""
        return Seen(*(getattr(self, field.name)[rows] for field in fields(self)))

    def scaled(self, factor: ArrayLike) -> Seen:
        """The boxes with scores multiplied by (N,) factors, at most 1.

        The log-likelihood changes by the logarithm of what the confidence changes by.

        >>> Seen.of([[0, 0, 1, 1]], [0.9]).scaled([1.3]).confidence
        array([1.])
        """
        raised = np.minimum(self.confidence * factor, 1.0)
        some = self.confidence > 0.0
        change = np.where(some, raised / np.where(some, self.confidence, 1.0), factor)
        likelihood = np.minimum(self.log_likelihood + np.log(change), 0.0)
        return replace(self, confidence=raised, log_likelihood=likelihood)

    def ranked(self) -> np.ndarray:
        """(N,) rows, the highest confidence first; equal ones whatever their order was."""
        names = [str(label) for label in self.labels]
        _, label = np.unique(names, return_inverse=True) if names else ([], np.zeros(0))
        # lexsort takes the most important key last
        keys = (*self.boxes.T[::-1], label, -self.log_likelihood, -self.confidence)
        return np.lexsort(keys)


def joined(parts: Sequence[Seen]) -> Seen:
    """The boxes of all parts, end to end."""
    names = [field.name for field in fields(Seen)]
    return Seen(*(np.concatenate([getattr(part, name) for part in parts]) for name in names))


# --- windows --------------------------------------------------------------------------------------


def windows_of(
    regions: ArrayLike,
    size: tuple[int, int],
    *,
    max_regions: int = 4,
    margin: float = 0.25,
    least_share: float = 0.4,
    window_iou: float = 0.6,
    seen: ArrayLike = (),
) -> np.ndarray:
    """The windows that show some regions, in whole pixels.

    A window is a region with a margin, at least a share of the image's sides, inside the image. Of
    windows that overlap by more than `window_iou` the first one stays, so that none grows; a window
    that is the whole image shows nothing new and is left out.

    Args:
        regions: (R, 4) in order of importance; as far as they lie inside the image.
        size: width and height of the image.
        max_regions: at most so many windows.
        margin: added on every side, a share of the region's.
        least_share: of the image's width and height.
        window_iou: above it two windows are one.
        seen: (S, 4) windows that were looked at before: none like them is given.

    Returns:
        (W, 4) float64.

    >>> windows_of([[10, 10, 30, 50]], (200, 100))
    array([[ 0.,  0., 80., 60.]])
    """
    limits = np.array(size, np.float64)
    visible = clip(as_boxes(regions)[area(regions) > 0.0], *size)
    visible = visible[area(visible) > 0.0]
    sides = (visible[:, 2:] - visible[:, :2]) * (1.0 + 2.0 * margin)
    sides = np.minimum(np.maximum(sides, least_share * limits), limits)
    corners = (visible[:, :2] + visible[:, 2:] - sides) / 2.0
    corners = np.clip(corners, 0.0, limits - sides)
    # a little less than outwards, so that rounding errors add no pixel
    low, high = np.floor(corners + 1e-6), np.ceil(corners + sides - 1e-6)
    windows = np.concatenate([low, np.minimum(high, limits)], axis=1)
    windows = windows[(windows[:, 2:] - windows[:, :2] < limits).any(axis=1)]
    return _distinct(windows, as_boxes(seen), window_iou, max_regions)


def _distinct(windows: np.ndarray, seen: np.ndarray, most: float, count: int) -> np.ndarray:
    """The first `count` windows that overlap none before, and none of `seen`, by more than most."""
    fresh = ~(iou(windows, seen) > most).any(axis=1)
    alike, kept = iou(windows, windows) > most, []
    for row in np.flatnonzero(fresh):
        if len(kept) < count and not alike[row, kept].any():
            kept.append(row)
    return windows[kept]


def random_windows(
    windows: np.ndarray, size: tuple[int, int], rng: np.random.Generator
) -> np.ndarray:
    """(W, 4) windows of the same sizes anywhere inside the image, in whole pixels."""
    sides = windows[:, 2:] - windows[:, :2]
    corners = np.floor(rng.random(sides.shape) * (np.array(size) - sides + 1.0))
    return np.concatenate([corners, corners + sides], axis=1)


def grid_windows(size: tuple[int, int], overlap: float = 0.1) -> np.ndarray:
    """The four quarters of an image, from left to right and from above, in whole pixels.

    Args:
        size: width and height of the image.
        overlap: by what share the sides are longer than half of the image's.

    Returns:
        (4, 4); fewer where a quarter would be the whole image.

    >>> grid_windows((100, 60)).tolist()[:2]
    [[0.0, 0.0, 55.0, 33.0], [45.0, 0.0, 100.0, 33.0]]
    """
    limits = np.array(size, np.float64)
    width, height = np.minimum(np.ceil(limits * (1.0 + overlap) / 2.0 - 1e-6), limits)
    corners = [(x, y) for y in (0.0, size[1] - height) for x in (0.0, size[0] - width)]
    windows = np.array([[x, y, x + width, y + height] for x, y in corners])
    windows = windows[(windows[:, 2:] - windows[:, :2] < limits).any(axis=1)]
    return _distinct(windows, np.empty((0, 4)), 0.99, 4)


def missed(
    boxes: ArrayLike,
    objects: ArrayLike,
    labels: np.ndarray,
    object_labels: np.ndarray,
    match_iou: float = 0.5,
) -> np.ndarray:
    """(M, 4) those of the objects (O, 4) that none of the boxes (N, 4) of their label finds."""
    same = np.asarray(labels, object)[:, None] == np.asarray(object_labels, object)
    _, found, _ = match(boxes, objects, match_iou, iou_matrix=iou(boxes, objects) * same)
    return np.delete(as_boxes(objects), found, axis=0)


# --- views ----------------------------------------------------------------------------------------


def from_window(boxes: ArrayLike, window: np.ndarray) -> np.ndarray:
    """(N, 4) in the image frame of boxes that count from a window's corner, as far as it shows.

    >>> from_window([[0, 0, 5, 50]], np.array([10, 20, 30, 40]))
    array([[10., 20., 15., 40.]])
    """
    corner = np.tile(np.asarray(window, np.float64)[:2], 2)
    return clip(boxes, *(window[2:] - window[:2])) + corner


def is_cut(boxes: np.ndarray, window: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: the box touches a border of the window that lies inside the image."""
    near = TOUCH * (window[2:] - window[:2])
    inner = np.concatenate([window[:2] > 0.0, window[2:] < size])
    touching = [boxes[:, :2] <= window[:2] + near, boxes[:, 2:] >= window[2:] - near]
    return (np.concatenate(touching, axis=1) & inner).any(axis=1)


def lies_inside(boxes: np.ndarray, window: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(N,) bool: what the image shows of the box lies wholly inside the window."""
    shown = clip(boxes, *size)
    within = (shown[:, :2] >= window[:2]).all(axis=1) & (shown[:, 2:] <= window[2:]).all(axis=1)
    return within & (area(shown) > 0.0)


def merge_by_agreement(
    first: Seen,
    crops: Sequence[Seen],
    windows: np.ndarray,
    size: tuple[int, int],
    *,
    match_iou: float = 0.5,
    confirmed: float = 1.3,
    denied: float = 0.5,
    suppression_iou: float = 0.55,
) -> Seen:
    """One answer out of the first view and the windows.

    Boxes of a window that one of its inner borders cuts are dropped. A first-view box wholly inside
    a window that confirms it gives way to that box, whose score is raised; one that lies inside
    windows none of which confirms it keeps a part of its score; boxes that only a window has enter
    with theirs. What is left is suppressed by score. Only boxes of the same label meet. The order
    of the windows changes nothing but the order of the boxes.

    Args:
        first: the first view's boxes.
        crops: of each window its boxes, image frame.
        windows: (W, 4); without any the first view stays as it is.
        size: width and height of the image.
        match_iou: least IoU of a box and what confirms it.
        confirmed, denied: factors of the scores.
        suppression_iou: above it only the box with the higher score stays.
    """
    if not len(windows):
        return first
    replaced, doubted, parts = np.zeros(len(first), bool), np.zeros(len(first), bool), []
    for crop, window in zip(crops, windows, strict=True):
        crop = crop.take(~is_cut(crop.boxes, window, size) & (area(crop.boxes) > 0.0))
        inside = lies_inside(first.boxes, window, size)
        overlaps = iou(first.boxes, crop.boxes) * _same(first, crop) * inside[:, None]
        rows, columns, _ = match(first.boxes, crop.boxes, match_iou, iou_matrix=overlaps)
        replaced[rows] = True
        doubted |= inside
        factor = np.ones(len(crop))
        factor[columns] = confirmed
        parts.append(crop.scaled(factor))
    kept = first.scaled(np.where(doubted, denied, 1.0)).take(~replaced)
    return suppressed(joined([kept, *parts]), suppression_iou)


def suppressed(seen: Seen, most: float) -> Seen:
    """The boxes that no better one of their label overlaps by more than `most`, in their order."""
    alike = (iou(seen.boxes, seen.boxes) > most) & _same(seen, seen)
    kept = np.zeros(len(seen), bool)
    for row in seen.ranked():
        kept[row] = not (alike[row] & kept).any()
    return seen.take(kept)


def merge_by_ios(first: Seen, crops: Sequence[Seen]) -> Seen:
    """One answer as SAHI makes it (GREEDYNMM): for comparison.

    All boxes are put together, those cut by a window too. The best box that is left takes all those
    of its label that share half of the smaller box with it: one box that holds them all, with the
    score of the best.
    """
    seen = joined([first, *crops])
    shares = ioa(seen.boxes, seen.boxes)
    alike = (np.maximum(shares, shares.T) >= IOS) & _same(seen, seen)
    np.fill_diagonal(alike, True)  # a box without area shares nothing with itself
    boxes, kept, left = seen.boxes.copy(), [], np.ones(len(seen), bool)
    for row in seen.ranked():
        if left[row]:
            group = seen.boxes[alike[row] & left]
            boxes[row] = [*group[:, :2].min(axis=0), *group[:, 2:].max(axis=0)]
            left &= ~alike[row]
            kept.append(row)
    return replace(seen, boxes=boxes).take(np.sort(np.array(kept, np.intp)))


def _same(first: Seen, second: Seen) -> np.ndarray:
    """(N, M) bool, the boxes have the same label."""
    # as objects, of which None is equal to no text
    return first.labels[:, None] == second.labels


def fused(views: Sequence[Seen], match_iou: float = 0.5) -> Seen:
    """One answer out of several of the whole image: what they agree on.

    Args:
        views: of each readable answer its boxes, the first view's first.
        match_iou: as in :func:`dipr1.regions.box_variance`.

    Returns:
        Of each place the mean box; its score is the share of the answers that have it times their
        mean score there.
    """
    every, parts = joined(views), []
    answer = np.repeat(np.arange(len(views)), [len(view) for view in views])
    for label in dict.fromkeys(every.labels.tolist()):
        rows = np.flatnonzero(every.labels == np.array(label, object))
        samples = [every.boxes[rows[answer[rows] == k]] for k in range(len(views))]
        boxes, support, place = consensus(samples, match_iou)
        rows, place = rows[place >= 0], place[place >= 0]
        count = np.bincount(place, minlength=len(boxes))
        confidence, likelihood = (
            np.bincount(place, weights=values[rows], minlength=len(boxes)) / count
            for values in (every.confidence, every.log_likelihood)
        )
        labels = [label] * len(boxes)
        parts.append(Seen.of(boxes, confidence, likelihood, labels).scaled(support))
    return joined([Seen.of([], []), *parts])
