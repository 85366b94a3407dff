"""The scored boxes of one label, ranked by each rule, for metrics of resamples of the images."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import polars as pl
import pyarrow as pa

from dipr1.evaluation.jaccard import largest_mean
from dipr1.evaluation.ranked import TRUE, Ranked, coco_ap, crowdhuman_ap, log_average_miss_rate_of

LABEL_COLUMNS = ["labels", "label_objects", "label_jaccard"]
BOX_COLUMNS = ["box_label", "box_score", "box_crowdhuman", "box_coco"]
RANKED_COLUMNS = LABEL_COLUMNS + BOX_COLUMNS
"""The columns of the images artifact that :func:`ranked_labels` reads."""


@dataclass(frozen=True)
class RankedLabel:
    """The boxes of one label.

    Attributes:
        crowdhuman: by CrowdHuman's rule.
        coco: by COCO's rule, at IoU 0.50, 0.55 ... 0.95.
        jaccard: (I, T) the Jaccard index of each image at each score threshold.
    """

    crowdhuman: Ranked
    coco: list[Ranked]
    jaccard: np.ndarray


@dataclass(frozen=True)
class ResampledLabel:
    """The boxes of one label in R resamples of the images; each metric is (R,), NaN if undefined.

    Attributes:
        label: what is drawn from.
        weights: (R, I) how often each resample has each image.
    """

    label: RankedLabel
    weights: np.ndarray
    _coco_aps: dict[int, np.ndarray] = field(default_factory=dict, init=False)

    def each(self, rule: Callable[[Ranked, np.ndarray], float], ranked: Ranked) -> np.ndarray:
        """What a rule reads off a ranking, for each resample."""
        return np.array([rule(ranked, row) for row in self.weights])

    def coco_ap(self, at: int) -> np.ndarray:
        """COCO's average precision at one IoU threshold; several metrics share it."""
        if at not in self._coco_aps:
            self._coco_aps[at] = self.each(coco_ap, self.label.coco[at])
        return self._coco_aps[at]

    def mean_coco_ap(self) -> np.ndarray:
        """The mean over the IoU thresholds."""
        return np.mean([self.coco_ap(at) for at in range(len(self.label.coco))], axis=0)

    def mean_recall(self) -> np.ndarray:
        """The share of the objects that all boxes find, mean over COCO's IoU thresholds."""
        hits = np.array([_hits(ranked) for ranked in self.label.coco])
        totals = self.weights @ np.vstack([hits, self.label.crowdhuman.objects]).T
        return divide(totals[:, :-1].mean(axis=1), totals[:, -1])

    def crowdhuman_ap(self) -> np.ndarray:
        """CrowdHuman's average precision."""
        return self.each(crowdhuman_ap, self.label.crowdhuman)

    def miss_rate(self) -> np.ndarray:
        """CrowdHuman's log-average miss rate."""
        return self.each(log_average_miss_rate_of, self.label.crowdhuman)

    def jaccard_index(self) -> np.ndarray:
        """CrowdHuman's Jaccard index."""
        return largest_mean(self.label.jaccard, self.weights)


def divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    """Element by element; NaN where nothing is below the line."""
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0.0)


def _hits(ranked: Ranked) -> np.ndarray:
    """(I,) true detections of each image."""
    return np.bincount(ranked.image, weights=ranked.verdict == TRUE, minlength=len(ranked.objects))


def ranked_labels(table: pa.Table) -> list[RankedLabel]:
    """The boxes of each label that is asked for, from the images artifact."""
    images = pl.from_arrow(table.select(RANKED_COLUMNS)).with_row_index("image")
    asked = images.select("image", *LABEL_COLUMNS).explode(LABEL_COLUMNS).drop_nulls("labels")
    boxes = images.select("image", "labels", *BOX_COLUMNS).explode(BOX_COLUMNS)
    boxes = boxes.with_columns(label=pl.col("labels").list.get("box_label"))
    return [
        _ranked_label(rows, boxes.filter(label=name), table.num_rows)
        for (name,), rows in asked.group_by("labels", maintain_order=True)
    ]


def _ranked_label(asked: pl.DataFrame, boxes: pl.DataFrame, num_images: int) -> RankedLabel:
    """One label, of the images that ask for it and of its boxes."""
    objects = np.zeros(num_images, np.int64)
    objects[asked["image"]] = asked["label_objects"]
    ratios = np.full((num_images, asked["label_jaccard"].dtype.size), np.nan)
    ratios[asked["image"]] = asked["label_jaccard"].to_numpy()
    boxes = boxes.sort("box_score", descending=True, maintain_order=True)
    where = boxes["image"].to_numpy().astype(np.int64), boxes["box_score"].to_numpy()
    # the shape of no boxes at all is not known to numpy
    verdicts = boxes["box_coco"].to_numpy().reshape(-1, boxes["box_coco"].dtype.size)
    return RankedLabel(
        Ranked(*where, boxes["box_crowdhuman"].to_numpy(), objects),
        [Ranked(*where, np.ascontiguousarray(verdict), objects) for verdict in verdicts.T],
        ratios,
    )
