"""Which labels of a set are likely wrong, told from the box-variance regions without training.

What the samples of a policy agree on is held against the labels. Each region gets a score in
[0, 1] and the kind of fault that it is the score of:

- `missing_label`: a place that is found but not labelled. score = p * a * (1 - o), with p its
  support, a the share of the labelled among all places of this size that are found as often or
  more, and o its largest IoU with a label (a second box on a labelled person is no missing one).
- `unsupported_label`: a label that is not found. score = (1 - p) * f * t, with f the share of the
  labels of this size that are found more often, and t the trust in the image: how often its other
  labels are found, over how often labels of their sizes are found elsewhere, at most 1. So small
  people whom the policy never sees, and images on which it sees nothing, come last.
- `loose_label`: found again and again at borders that are not the label's. score = p *
  exp(-v / v0) * g, with v the box variance and g how much lower the IoU of the members' mean with
  the label is than usual at this size (the median): 0 there, 1 at `match_iou`.
- `uncertain`: neither; score = u / 2, with u the region's uncertainty. At most 1/2, since it says
  nothing against the label.

A region has the kind of its highest score, and is a suspect where that is at least `MIN_SCORE`.
"Of this size" compares shares of the image's area, in at most `MOST_SIZES` classes of equally many
labels. All of these are our definitions; nothing of it is published with the method.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dipr1.boxes import area

if TYPE_CHECKING:
    import pyarrow as pa

    from dipr1.regions import Regions

KINDS = ("missing_label", "unsupported_label", "loose_label", "uncertain")
MIN_SCORE = 0.3
MOST_SIZES = 10
LEAST_LABELS_OF_A_SIZE = 50


@dataclass(frozen=True, slots=True, eq=False)
class Verdict:
    """What is held against each region.

    Attributes:
        kind: (R,) index in `KINDS`.
        score: (R,) in [0, 1].
    """

    kind: np.ndarray
    score: np.ndarray


def judge(
    regions: Regions, label_iou: np.ndarray, sizes: np.ndarray, *, match_iou: float, v0: float
) -> Verdict:
    """Score every region; the definitions are in the module's docstring.

    Args:
        regions: of the whole set: shares and medians are taken over it.
        label_iou: (R,) of :func:`dipr1.regions.label_ious`.
        sizes: (I, 2) width and height of the images that `regions.image` means.
        match_iou, v0: those of the regions.
    """
    is_object = regions.gt_index >= 0
    p = regions.support
    size = _size_classes(area(regions.box) / sizes[regions.image].prod(axis=1), is_object)
    scores = np.zeros((len(KINDS), len(p)))
    missing, unsupported, loose, uncertain = scores
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
        found_more = len(labels) - np.searchsorted(of_labels, p[labels], side="right")
        unsupported[labels] = (1.0 - p[labels]) * found_more / len(labels)
        found = labels[p[labels] > 0.0]
        usual = np.median(label_iou[found]) if len(found) else match_iou
        if usual > match_iou:
            loose[found] = np.clip((usual - label_iou[found]) / (usual - match_iou), 0.0, 1.0)
    missing *= 1.0 - label_iou
    unsupported *= _trust(regions.image, p, hit_rate, is_object)
    loose *= p * np.exp(-np.nan_to_num(regions.box_variance) / v0)
    uncertain[:] = regions.uncertainty / 2.0
    kind = scores.argmax(axis=0)
    return Verdict(kind, scores.max(axis=0))


def _size_classes(share: np.ndarray, is_object: np.ndarray) -> np.ndarray:
    """(R,) class of each region's size, so that each holds about equally many labels."""
    labels = share[is_object]
    num = min(MOST_SIZES, max(1, len(labels) // LEAST_LABELS_OF_A_SIZE))
    if num == 1:
        return np.zeros(len(share), dtype=np.intp)
    # Borders that are labels themselves, so that no class is without any.
    borders = np.unique(np.quantile(labels, np.arange(1, num) / num, method="lower"))
    return np.searchsorted(borders[borders > labels.min()], share, side="right")


def _trust(
    image: np.ndarray, support: np.ndarray, hit_rate: np.ndarray, is_object: np.ndarray
) -> np.ndarray:
    """(R,) how often the other labels of the image are found, over how often is usual; at most 1.

    Half a label counts as found as usual, so that a lone label has the trust 1.
    """
    found = np.bincount(image, weights=np.where(is_object, support, 0.0))[image] - support
    usual = np.bincount(image, weights=hit_rate)[image] - hit_rate
    return np.clip((found + 0.5) / (usual + 0.5), 0.0, 1.0)


def suspects(
    regions: Regions, verdict: Verdict, ids: pa.Array, paths: pa.Array, max_rows: int
) -> pa.Table:
    """The artifact `audit`: the suspects, the highest score first, of equal ones in order.

    Args:
        regions: sorted by image_id and region.
        verdict: of :func:`judge`.
        ids, paths: (I,) image_id and path of the images that `regions.image` means.
        max_rows: at most so many rows.
    """
    import pyarrow as pa

    from dipr1.artifacts.columns import box_column

    rows = np.flatnonzero(verdict.score >= MIN_SCORE)
    rows = rows[np.argsort(-verdict.score[rows], kind="stable")][:max_rows]
    images = pa.array(regions.image[rows])
    return pa.table(
        {
            "rank": np.arange(len(rows)),
            "image_id": ids.take(images),
            "image": paths.take(images),
            "kind": np.array(KINDS)[verdict.kind[rows]],
            "region": regions.region[rows],
            "box": box_column(regions.box[rows]),
            "hull": box_column(regions.hull[rows]),
            "suggested_box": box_column(regions.mean[rows], regions.support[rows] == 0.0),
            "support": regions.support[rows],
            "uncertainty": regions.uncertainty[rows],
            "score": verdict.score[rows],
        }
    )


def image_ranking(
    regions: Regions, verdict: Verdict, ids: pa.Array, paths: pa.Array, sampled: np.ndarray
) -> pa.Table:
    """The artifact `audit_images`: the images with the most to correct first.

    With s the sum of the scores of an image's suspects that are not `uncertain`, about the number
    of its labels to correct, its score is s / (1 + s). Of equal ones the more uncertain image is
    first, by the mean over its regions, then the image_id that sorts first.

    Args:
        regions, verdict, ids, paths: as :func:`suspects`.
        sampled: (I,) whether the image has samples; only those are ranked.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    def total(values: np.ndarray) -> np.ndarray:
        return np.bincount(regions.image, weights=values, minlength=len(ids))

    suspect = verdict.score >= MIN_SCORE
    faulty = suspect & (verdict.kind != KINDS.index("uncertain"))
    num_objects, num_regions = total(regions.gt_index >= 0), total(np.ones(len(suspect)))
    to_correct = total(np.where(faulty, verdict.score, 0.0))
    mean = total(regions.uncertainty) / np.maximum(num_regions, 1.0)
    largest = np.zeros(len(ids))
    np.maximum.at(largest, regions.image, regions.uncertainty)
    rows = np.asarray(pc.sort_indices(ids))
    rows = rows[sampled[rows]]
    rows = rows[np.lexsort((-mean[rows], -to_correct[rows]))]
    empty = num_regions[rows] == 0
    return pa.table(
        {
            "rank": np.arange(len(rows)),
            "image_id": ids.take(pa.array(rows)),
            "image": paths.take(pa.array(rows)),
            "num_objects": num_objects[rows].astype(np.int32),
            "num_phantoms": (num_regions - num_objects)[rows].astype(np.int32),
            "num_suspects": total(suspect)[rows].astype(np.int32),
            "mean_uncertainty": pa.array(mean[rows], mask=empty),
            "max_uncertainty": pa.array(largest[rows], mask=empty),
            "score": (to_correct / (1.0 + to_correct))[rows],
        }
    )
