"""How far suspects can be trusted: known errors are planted in a copy of the labels and looked for.

A share of a set's labels is changed: a third each are *removed*, *moved* (by 0.3 to 0.6 of their
sides, along both) and *added* (of the size of another label, anywhere in its image). Where labels
have several names, it is a fourth each, and the last are *swapped*: given the name of one of the
labels that are named otherwise. The copy is then searched as the labels themselves are. What its
suspects of a kind and a score are worth is known: the share of them that was planted, made to rise
with the score (isotonic regression). So much is each suspect of the labels worth, *if as large a
share of them is wrong*; real errors in the copy count as none, so it is rather more. People whom
the model never finds are suspects that were not planted, and lower it.

Where somebody has corrected the labels, their errors are known too: :func:`differences`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.optimize import isotonic_regression

from dipr1.boxes import stacked
from dipr1.matching import Stack, match_pairs_of_images, overlapping_pairs

MATCH_IOU = 0.5  # of a suspect with the place of a label that was removed or moved
SAME_IOU = 0.9  # of a label with a corrected one, where it was left as it is
LEAST_MOVE, MOST_MOVE = 0.3, 0.6
FIRSTS = (20, 50, 100)  # suspects of which it is said how many are planted


@dataclass(frozen=True, slots=True, eq=False)
class Errors:
    """Labels, and which of them are wrong.

    Attributes:
        image: (B,) the image of each label, ascending.
        wrong: (B,) whether it should not be there, or elsewhere.
        lost: (L, 4) where a label should be and none is, by image.
        lost_image: (L,) of each.
    """

    image: np.ndarray
    wrong: np.ndarray
    lost: np.ndarray
    lost_image: np.ndarray


@dataclass(frozen=True, slots=True, eq=False)
class Planted(Errors):
    """Labels in which errors were planted.

    Attributes:
        boxes: (B, 4) by image, those of an image in their order, the added ones last.
        source: (B,) which of the labels each was; -1 for an added one.
        names: (B,) of the labels; None where all have one name.
    """

    boxes: np.ndarray
    source: np.ndarray
    names: np.ndarray | None = None

    @property
    def count(self) -> int:
        """How many labels were changed."""
        removed = len(self.lost) - self.num_moved
        return removed + int(self.wrong.sum())

    @property
    def num_moved(self) -> int:
        """How many were moved."""
        return len(self.lost) // 2


def plant(
    boxes: np.ndarray,
    image: np.ndarray,
    sizes: np.ndarray,
    share: float,
    seed: int,
    names: np.ndarray | None = None,
) -> Planted:
    """Change a share of the labels, as much of it in each way.

    Args:
        boxes: (B, 4) labels, image frame, by image.
        image: (B,) index of the image of each.
        sizes: (I, 2) width and height of the images.
        share: of the labels, rounded down to whole thirds (or fourths).
        seed: of what is drawn.
        names: (B,) of the labels, as numbers; None where all have one name.
    """
    rng = np.random.default_rng(seed)
    ways = 3 if names is None else 4
    each = int(share * len(boxes) / ways)
    removed, moved, sized, *swapped = np.split(rng.permutation(len(boxes))[: ways * each], ways)
    changed = boxes.astype(np.float64)
    sides = changed[:, 2:] - changed[:, :2]
    by = rng.uniform(LEAST_MOVE, MOST_MOVE, (each, 2)) * rng.choice([-1.0, 1.0], (each, 2))
    changed[moved] += np.tile(by * sides[moved], 2)
    kept = np.ones(len(boxes), bool)
    kept[removed] = False
    room = np.maximum(sizes[image[sized]] - sides[sized], 0.0)
    corners = rng.uniform(0.0, 1.0, (each, 2)) * room
    wrong = np.zeros(len(boxes), bool)
    wrong[moved] = True
    for them in swapped:
        names = _swapped(names, them, rng)
        wrong[them] = True
    all_images = np.concatenate([image[kept], image[sized]])
    order = np.argsort(all_images, kind="stable")
    added = np.concatenate([corners, corners + sides[sized]], axis=1)
    source = np.concatenate([np.flatnonzero(kept), np.full(each, -1)])
    lost = np.sort(np.concatenate([removed, moved]))
    return Planted(
        boxes=np.concatenate([changed[kept], added])[order].astype(boxes.dtype),
        image=all_images[order],
        wrong=np.concatenate([wrong[kept], np.ones(each, bool)])[order],
        lost=boxes[lost],
        lost_image=image[lost],
        source=source[order],
        names=None if names is None else np.concatenate([names[kept], names[sized]])[order],
    )


def _swapped(names: np.ndarray, them: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(B,) names, where some have that of a label drawn among those that are named otherwise."""
    changed = names.copy()
    for name in np.unique(names[them]):
        of_name, others = them[names[them] == name], np.flatnonzero(names != name)
        changed[of_name] = names[rng.choice(others, len(of_name))]
    return changed


def differences(
    labels: Stack, right: Stack, names: tuple[np.ndarray, np.ndarray] | None = None
) -> Errors:
    """The errors of labels that somebody has corrected.

    Of labels that were drawn twice and of which one was left, each counts as wrong: nobody can tell
    which of the two is the one too many.

    Args:
        labels: before, by image.
        right: after; of the same images.
        names: of both, as numbers, where labels have several.
    """
    before, after, ious = overlapping_pairs(labels, right, SAME_IOU)
    one_to_one = match_pairs_of_images(before, after, ious, labels.image[before])
    wrong = ~np.isin(np.arange(len(labels)), before[one_to_one])
    wrong[before[np.isin(after, after[wrong[before]])]] = True
    if names is not None:
        same = one_to_one & (names[0][before] == names[1][after])
        wrong[~np.isin(np.arange(len(labels)), before[same])] = True
    lost = np.setdiff1d(np.arange(len(right)), after[one_to_one])
    return Errors(
        image=labels.image,
        wrong=wrong,
        lost=right.boxes[lost],
        lost_image=right.image[lost],
    )


def are_errors(
    errors: Errors, image: np.ndarray, gt_index: np.ndarray, boxes: np.ndarray
) -> np.ndarray:
    """(S,) which suspects are errors that are known.

    Args:
        errors: of the labels in which the suspects were found.
        image: (S,) of each suspect.
        gt_index: (S,) which of its image's labels it is about; -1 where there is none.
        boxes: (S, 4) of each, image frame.
    """
    found = np.zeros(len(image), bool)
    about = np.flatnonzero(gt_index >= 0)
    first = np.searchsorted(errors.image, image[about])
    found[about] = errors.wrong[first + gt_index[about]]
    nobody = np.flatnonzero(gt_index < 0)
    nobody = nobody[np.argsort(image[nobody], kind="stable")]
    places = stacked(boxes[nobody].astype(np.float64), image[nobody])
    lost = stacked(errors.lost.astype(np.float64), errors.lost_image)
    rows, _, _ = overlapping_pairs(places, lost, MATCH_IOU)
    found[nobody[rows]] = True
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Known:
    """Suspects in changed labels, of which it is known whether they were planted.

    Attributes:
        kind, score: (S,) of each, the likeliest first.
        planted: (S,) whether it is a planted error.
        count: how many errors were planted. One can be two suspects: a label that was moved, and
            the place where it is missed.
        copies: in how many copies of the labels.
    """

    kind: np.ndarray
    score: np.ndarray
    planted: np.ndarray
    count: int
    copies: int = 1

    @classmethod
    def of_copies(cls, copies: Sequence[Known]) -> Known:
        """The suspects of all copies together."""
        if not copies:
            return cls(np.empty(0, int), np.empty(0), np.empty(0, bool), 0, 0)
        columns = [[getattr(one, name) for one in copies] for name in ("kind", "score", "planted")]
        kind, score, planted = map(np.concatenate, columns)
        order = np.argsort(-score, kind="stable")
        total = sum(one.count for one in copies)
        return cls(kind[order], score[order], planted[order], total, len(copies))

    def precision(self, first: int) -> float:
        """The share of planted errors among so many first suspects of a copy; NaN without any."""
        them = self.planted[: first * self.copies]
        return float(them.mean()) if len(them) else float("nan")

    def counted(self) -> str:
        """How many were planted and found, in words.

        >>> known = Known(np.zeros(2, int), np.ones(2), np.array([True, False]), 3)
        >>> known.counted()
        '3 in 1 copies; planted are 50% of the first 20 suspects, 50% of 50, 50% of 100'
        """
        if not self.count:
            return "none, there are too few labels"
        shares = [f"{self.precision(first):.0%}" for first in FIRSTS]
        words = ", ".join(
            f"{share} of {first}" for share, first in zip(shares[1:], FIRSTS[1:], strict=True)
        )
        return (
            f"{self.count} in {self.copies} copies; planted are {shares[0]} of the first"
            f" {FIRSTS[0]} suspects, {words}"
        )


def error_shares(known: Known, kind: np.ndarray, score: np.ndarray) -> np.ndarray:
    """(S,) what suspects are worth, by those of which it is known whether they were planted.

    Planted errors change the scores of all suspects, so these are not compared as they are: the
    likeliest tenth of the suspects, say, are those that are the likeliest tenth of what was not
    planted in the copies.

    Args:
        known: suspects in changed labels.
        kind, score: (S,) of all suspects of the labels themselves.

    Returns:
        In [0, 1]; NaN for a kind of which there is none among the known.

    >>> kinds, scores = np.zeros(4, int), np.array([0.8, 0.6, 0.4, 0.2])
    >>> known = Known(kinds, scores, np.array([True, False, True, False]), 2)
    >>> error_shares(known, np.array([0, 0, 1]), np.array([0.9, 0.3, 0.5]))
    array([0.5, 0. , nan])
    """
    shares = np.full(len(kind), np.nan)
    for one in np.unique(known.kind):
        of_kind, asked = known.kind == one, kind == one
        scores, place, count = np.unique(
            known.score[of_kind], return_inverse=True, return_counts=True
        )
        share = np.bincount(place, weights=known.planted[of_kind]) / count
        rising = isotonic_regression(share, weights=count).x
        there = _in_the_copies(score[asked], known.score[of_kind & ~known.planted])
        shares[asked] = np.interp(there, scores, rising)
    return shares


def _in_the_copies(score: np.ndarray, unchanged: np.ndarray) -> np.ndarray:
    """(S,) the scores that suspects have among those of the copies that were not planted."""
    if not len(score) or not len(unchanged):
        return score
    ordered = np.sort(score)
    below, up_to = (np.searchsorted(ordered, score, side) for side in ("left", "right"))
    share = (below + up_to) / (2 * len(score))
    # Hazen's quantiles; numpy's take seconds for so many at once, and more than linearly more.
    number = len(unchanged)
    return np.interp(share * number - 0.5, np.arange(number), np.sort(unchanged))
