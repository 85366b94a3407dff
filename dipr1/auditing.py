"""Which labels of a set are likely wrong, told from the box-variance regions without training.

The labels are held against what the samples of a policy agree on. Each region gets a score in
[0, 1] and the kind of fault that the score is for:

- `missing_label`: a place that is answered but not labelled. score = p * a * (1 - o), with p its
  support, a the share of the labelled among all places of this size that are answered as often or
  more, and o its largest IoU with a label (a second box on a labelled person misses no label).
- `unsupported_label`: a label that is not answered. score = (1 - p) * f * t, with f the share of
  the labels of this size that are answered more often, and t the trust in the image: how often its
  other labels are answered, over how often labels of their sizes are elsewhere, at most 1. So small
  people whom the policy never sees, and images in which it sees nothing, come last.
- `loose_label`: answered again and again with borders that are not the label's. score = p *
  exp(-v / v0) * g, with v the box variance and g how much lower the IoU of the members' mean with
  the label is than usual at this size (the median): 0 there, 1 at `match_iou`.
- `swapped_label`: answered, but under another name, in a set whose labels have several. score = q *
  (1 - c), with q the share of the samples that give it the most frequent other name, and c how
  usual that is: the share of all answers to other labels of its name that call those so.
- `uncertain`: none of these; score = u / 2, with u the region's uncertainty. At most 1/2, since it
  says nothing against the label.

A region has the kind of its highest score, and is a suspect where that is at least `MIN_SCORE`.
"Of this size" compares shares of the image's area, in at most `MOST_SIZES` classes of equally many
labels. All of these are our definitions: we have read the abstract of the paper only.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from dipr1.boxes import area, stacked
from dipr1.matching import overlapping_pairs
from dipr1.regions import Block, Members, RegionTable, gather, measure_members

KINDS = ("missing_label", "unsupported_label", "loose_label", "uncertain", "swapped_label")
MIN_SCORE = 0.3
MOST_SIZES = 10
LEAST_LABELS_OF_A_SIZE = 50
# Regions that overlap a label less than this count as not overlapping it.
LEAST_LABEL_IOU = 0.1


@dataclass(slots=True, eq=False)
class AuditedRegions(RegionTable):
    """Regions, and how well the members of each fit the labels.

    Attributes:
        label_iou: (R,) IoU of the members' mean with the region's own label; for a phantom the
            largest with any label of the image. 0 without members, and where it is below
            `LEAST_LABEL_IOU`.
        name: (R,) of the label, as numbers; -1 for a phantom, and everywhere where all labels have
            one name.
        answered_name: (R,) the most frequent name of the members that is not that one; -1 where
            they have none.
        answered_share: (R,) of the samples, those that give it that name.
    """

    label_iou: np.ndarray
    name: np.ndarray
    answered_name: np.ndarray
    answered_share: np.ndarray


def measure_against_labels(block: Block, match_iou: float, v0: float) -> AuditedRegions:
    """:func:`dipr1.regions.measure_block`, and the regions' fit to the labels of the block."""
    members = gather(block, match_iou)
    regions = measure_members(block, members, v0)
    name = np.full(len(regions.image), -1)
    if block.truth_names is not None:
        # The block's labels are its first regions of each image, in the same order.
        name[regions.gt_index >= 0] = block.truth_names
    answered_name, count = _other_names(block, members, name)
    return AuditedRegions(
        **{field.name: getattr(regions, field.name) for field in fields(regions)},
        label_iou=_label_ious(regions, block),
        name=name,
        answered_name=answered_name,
        answered_share=count / regions.num_samples,
    )


def _other_names(block: Block, members: Members, name: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """(R,) the most frequent name of each region's members but its own, and how many have it."""
    answered, count = np.full(len(name), -1), np.zeros(len(name), int)
    if block.names is None:
        return answered, count
    owner, given = members.owner(block), block.names[members.row]
    counts = (given >= 0) & (given != name[owner])
    num_names = int(given.max(initial=0)) + 1
    pairs, number = np.unique(owner[counts] * num_names + given[counts], return_counts=True)
    # Of equally frequent ones the first: the most frequent one is written last.
    order = np.lexsort((-pairs, number))
    region, other = np.divmod(pairs[order], num_names)
    answered[region], count[region] = other, number[order]
    return answered, count


def _label_ious(regions: RegionTable, block: Block) -> np.ndarray:
    """(R,) as :class:`AuditedRegions` has it."""
    label_iou = np.zeros(len(regions.image))
    is_object = regions.gt_index >= 0
    labels, members = np.flatnonzero(is_object), np.flatnonzero(regions.support > 0.0)
    means = stacked(regions.mean[members], regions.image[members])
    rows, columns, ious = overlapping_pairs(means, block.truth, LEAST_LABEL_IOU)
    # The block's labels are its first regions of each image, in the same order.
    rows, columns = members[rows], labels[columns]
    counts = ~is_object[rows] | (rows == columns)
    np.maximum.at(label_iou, rows[counts], ious[counts])
    return label_iou


@dataclass(frozen=True, slots=True, eq=False)
class Doubts:
    """What is held against each region.

    Attributes:
        kind: (R,) index in `KINDS`.
        score: (R,) in [0, 1].
    """

    kind: np.ndarray
    score: np.ndarray


def doubt(regions: AuditedRegions, sizes: np.ndarray, *, match_iou: float, v0: float) -> Doubts:
    """Score every region, as the head of this module defines it.

    Args:
        regions: of the whole set: shares and medians are taken over it.
        sizes: (I, 2) width and height of the images that `regions.image` means.
        match_iou, v0: those of the regions.
    """
    is_object = regions.gt_index >= 0
    p, label_iou = regions.support, regions.label_iou
    size = _size_classes(area(regions.box) / sizes[regions.image].prod(axis=1), is_object)
    scores = np.zeros((len(KINDS), len(p)))
    missing, unsupported, loose, uncertain, swapped = scores
    hit_rate = np.zeros(len(p))
    for alike in (size == k for k in range(int(size.max(initial=-1)) + 1)):
        labels, phantoms = np.flatnonzero(alike & is_object), np.flatnonzero(alike & ~is_object)
        if len(labels) == 0:
            continue  # of a set without labels
        of_labels, of_phantoms = np.sort(p[labels]), np.sort(p[phantoms])
        hit_rate[labels] = of_labels.mean()
        labelled = len(labels) - np.searchsorted(of_labels, p[phantoms])
        unlabelled = len(phantoms) - np.searchsorted(of_phantoms, p[phantoms])
        missing[phantoms] = p[phantoms] * labelled / (labelled + unlabelled)
        more_often = len(labels) - np.searchsorted(of_labels, p[labels], side="right")
        unsupported[labels] = (1.0 - p[labels]) * more_often / len(labels)
        met = labels[p[labels] > 0.0]
        usual = np.median(label_iou[met]) if len(met) else match_iou
        if usual > match_iou:
            loose[met] = np.clip((usual - label_iou[met]) / (usual - match_iou), 0.0, 1.0)
    missing *= 1.0 - label_iou
    unsupported *= _trust(regions.image, p, hit_rate, is_object)
    loose *= p * np.exp(-np.nan_to_num(regions.box_variance) / v0)
    uncertain[:] = regions.uncertainty / 2.0
    swapped[:] = np.where(is_object, regions.answered_share * (1.0 - _usual_share(regions)), 0.0)
    kind = scores.argmax(axis=0)
    return Doubts(kind, scores.max(axis=0))


def _usual_share(regions: AuditedRegions) -> np.ndarray:
    """(R,) the share of the answers to the other labels of a region's name that call those by its
    most frequent other name, where it is the most frequent one of theirs; 0 without any."""
    own, other = regions.name + 1, regions.answered_name + 1
    pair = own * (int(other.max(initial=0)) + 1) + other
    answered = np.bincount(own, regions.support)[own] - regions.support
    so = np.bincount(pair, regions.answered_share)[pair] - regions.answered_share
    return np.divide(so, answered, out=np.zeros(len(own)), where=answered > 0.0).clip(0.0, 1.0)


def _size_classes(share: np.ndarray, is_object: np.ndarray) -> np.ndarray:
    """(R,) class of each region's size; each class holds about equally many labels."""
    labels = share[is_object]
    num = min(MOST_SIZES, max(1, len(labels) // LEAST_LABELS_OF_A_SIZE))
    if num == 1:
        return np.zeros(len(share), dtype=np.intp)
    # The borders are sizes of labels, so that no class is without a label.
    borders = np.unique(np.quantile(labels, np.arange(1, num) / num, method="lower"))
    return np.searchsorted(borders[borders > labels.min()], share, side="right")


def _trust(
    image: np.ndarray, support: np.ndarray, hit_rate: np.ndarray, is_object: np.ndarray
) -> np.ndarray:
    """(R,) how often the image's other labels are answered, over how often is usual; at most 1.

    Half a label more is added to both, so that a lone label has the trust 1.
    """
    met = np.bincount(image, weights=np.where(is_object, support, 0.0))[image] - support
    usual = np.bincount(image, weights=hit_rate)[image] - hit_rate
    return np.clip((met + 0.5) / (usual + 0.5), 0.0, 1.0)


def likely_faults(doubts: Doubts, max_rows: int) -> np.ndarray:
    """The suspects: indices of regions, the highest score first, of equal ones in order.

    Args:
        max_rows: at most so many are given.
    """
    rows = np.flatnonzero(doubts.score >= MIN_SCORE)
    return rows[np.argsort(-doubts.score[rows], kind="stable")][:max_rows]


@dataclass(frozen=True, slots=True, eq=False)
class ImageDoubts:
    """Images, the one with the most to correct first: (I,) of each.

    Attributes:
        image: index of the image.
        num_objects, num_phantoms, num_suspects: how many of its regions are such.
        mean_uncertainty, max_uncertainty: over its regions; NaN where it has none.
        score: in [0, 1).
    """

    image: np.ndarray
    num_objects: np.ndarray
    num_phantoms: np.ndarray
    num_suspects: np.ndarray
    mean_uncertainty: np.ndarray
    max_uncertainty: np.ndarray
    score: np.ndarray


def rank_images(regions: RegionTable, doubts: Doubts, images: np.ndarray) -> ImageDoubts:
    """The images with the most to correct first.

    With s the sum of the scores of an image's suspects that are not `uncertain`, about the number
    of its labels to correct, its score is s / (1 + s). Of equal ones the more uncertain image is
    first, by the mean over its regions.

    Args:
        regions, doubts: as :func:`doubt` takes and gives them.
        images: (I,) those to rank; of images that are equal in all the earlier one comes first.
    """

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(regions.image, weights=values, minlength=images.max(initial=-1) + 1)

    suspect = doubts.score >= MIN_SCORE
    faulty = suspect & (doubts.kind != KINDS.index("uncertain"))
    num_objects, num_regions = total(regions.gt_index >= 0), total(np.ones(len(suspect)))
    to_correct = total(np.where(faulty, doubts.score, 0.0))
    with np.errstate(invalid="ignore"):  # 0 / 0 of an image without regions is its NaN
        mean = total(regions.uncertainty) / num_regions
    largest = np.full(len(mean), np.nan)
    np.fmax.at(largest, regions.image, regions.uncertainty)
    order = images[np.lexsort((-np.nan_to_num(mean[images]), -to_correct[images]))]
    return ImageDoubts(
        image=order,
        num_objects=num_objects[order],
        num_phantoms=(num_regions - num_objects)[order],
        num_suspects=total(suspect)[order],
        mean_uncertainty=mean[order],
        max_uncertainty=largest[order],
        score=(to_correct / (1.0 + to_correct))[order],
    )
