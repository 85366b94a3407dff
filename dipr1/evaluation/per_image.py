"""All metrics as functions of per-image figures, so that images can be drawn again.

`dipr1 evaluate` matches each image once and keeps what became of it (the `images` artifact). Every
metric is then a sum over images, a ratio of two sums, or read off one ranking of all boxes, and an
image that is there twice is a weight of 2: no resample needs a new matching.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from dipr1.artifacts.columns import ragged
from dipr1.evaluation.ranked import Ranked, coco_ap, crowdhuman_ap, log_average_miss_rate_of

RANKED = ("AP", "AP50", "AP75", "AR", "AP_crowdhuman", "MR", "JI")
"""Metrics that depend on how the boxes were scored."""


class Images:
    """The per-image figures of one set of predictions.

    Args:
        table: the images artifact.
    """

    def __init__(self, table: pa.Table) -> None:
        self.names: list[str] = table["image_id"].to_pylist()
        self.scores: list[str] = table["score"].unique().to_pylist()
        self._ratios = _ratios(table)
        self._labels = _labels(table)

    @property
    def score(self) -> str | None:
        """How the boxes were scored; None without images."""
        return self.scores[0] if self.scores else None

    def values(self, names: Sequence[str], weights: np.ndarray | None = None) -> np.ndarray:
        """Metrics of resamples of the images.

        Args:
            names: of metrics.
            weights: (R, I) int, how often each resample has each image; left out, one resample
                that has each image once.

        Returns:
            (len(names), R) float64; NaN where a metric is undefined. With several labels, the
            ranked metrics are means over the labels that occur.
        """
        if weights is None:
            weights = np.ones((1, len(self.names)), np.int64)
        values = np.full((len(names), len(weights)), np.nan)
        sums = [row for row, name in enumerate(names) if name in self._ratios]
        if sums:
            parts = np.array([part for row in sums for part in self._ratios[names[row]]])
            # in blocks: as float64 the weights take eight times their memory
            for block in range(0, len(weights), 64):
                totals = parts @ weights[block : block + 64].T.astype(np.float64)
                values[sums, block : block + 64] = _divide(totals[::2], totals[1::2])
        ranked = [row for row, name in enumerate(names) if name in RANKED]
        if ranked and self._labels:
            values[ranked] = _defined_mean(
                [label.values([names[row] for row in ranked], weights) for label in self._labels]
            )
        return values


def _ratios(table: pa.Table) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Each metric that is a ratio of sums: what is summed above and below, (I,) each."""
    columns = {
        name: _numbers(table[name])
        for name in table.column_names
        if not pa.types.is_nested(table[name].type) and not pa.types.is_string(table[name].type)
    }
    objects, hits, boxes = (columns[name] for name in ("num_objects", "hits50", "num_counted"))
    looked_hits, looked_false, looked_missed = (
        columns[f"look_{name}"] for name in ("hits", "false", "missed")
    )
    looked_boxes, looked_objects = looked_hits + looked_false, looked_hits + looked_missed
    caught, by_chance = looked_false + looked_missed, columns["look_by_chance"]
    means = {
        "count_error": np.abs(boxes - objects),
        "well_formed_rate": columns["well_formed"],
        "parse_failure_rate": 1.0 - columns["readable"],
        "look_area_share": columns["look_share"],
        "look_recall": columns["look_recall"],
        "mean_boxes": columns["num_boxes"],
        "mean_look_boxes": columns["num_looks"],
        "mean_tokens": columns["num_tokens"],
    } | {
        f"reward_{name}": columns[f"reward_{name}"] for name in ("reasoning", "looking", "accuracy")
    }
    return (
        _precision_recall("50", hits, boxes, objects)
        | _precision_recall("75", columns["hits75"], columns["num_counted75"], objects)
        | _precision_recall("50", looked_hits, looked_boxes, looked_objects, "_looked")
        | _precision_recall(
            "50",
            hits - looked_hits,
            boxes - looked_boxes,
            objects - looked_objects,
            "_elsewhere",
        )
        | {
            "look_errors_caught": (caught, columns["errors"]),
            "look_errors_random": (by_chance, columns["errors"]),
            "look_lift": (caught, by_chance),
        }
        | {
            # the mean over the images where it is defined
            name: (np.nan_to_num(values), (~np.isnan(values)).astype(np.float64))
            for name, values in means.items()
        }
    )


def _precision_recall(
    percent: str, hits: np.ndarray, boxes: np.ndarray, objects: np.ndarray, where: str = ""
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    return {
        f"precision{percent}{where}": (hits, boxes),
        f"recall{percent}{where}": (hits, objects),
        f"f1_{percent}{where}": (2.0 * hits, boxes + objects),
    }


def _numbers(column: pa.ChunkedArray) -> np.ndarray:
    """(I,) float64; NaN where null."""
    return column.cast(pa.float64()).to_numpy().copy()


def _divide(above: np.ndarray, below: np.ndarray) -> np.ndarray:
    return np.divide(above, below, out=np.full_like(above, np.nan), where=below > 0.0)


def _defined_mean(values: Sequence[np.ndarray]) -> np.ndarray:
    """Mean over the labels, those where a value is undefined left out."""
    return _divide(np.nansum(values, axis=0), (~np.isnan(values)).sum(axis=0).astype(np.float64))


class _Label:
    """The boxes of one label: ranked, with a verdict by each rule."""

    def __init__(
        self,
        image: np.ndarray,
        score: np.ndarray,
        crowdhuman: np.ndarray,
        coco: np.ndarray,
        objects: np.ndarray,
        jaccard: np.ndarray,
    ) -> None:
        order = np.argsort(-score, kind="stable")
        image, score, coco = image[order], score[order], coco[order]
        self.crowdhuman = Ranked(image, score, crowdhuman[order], objects)
        self.coco = [
            Ranked(image, score, np.ascontiguousarray(verdict), objects) for verdict in coco.T
        ]
        self.jaccard = jaccard

    def values(self, names: Sequence[str], weights: np.ndarray) -> np.ndarray:
        """(len(names), R) ranked metrics in each resample."""
        thresholds = {"AP": range(len(self.coco)), "AP50": [0], "AP75": [5]}
        coco = {
            at: _each(coco_ap, self.coco[at], weights)
            for at in sorted({at for name in names for at in thresholds.get(name, [])})
        }
        rules = {
            "AR": lambda: self._recall(weights),
            "AP_crowdhuman": lambda: _each(crowdhuman_ap, self.crowdhuman, weights),
            "MR": lambda: _each(log_average_miss_rate_of, self.crowdhuman, weights),
            "JI": lambda: self._jaccard(weights),
        }
        return np.array(
            [
                np.mean([coco[at] for at in thresholds[name]], axis=0)
                if name in thresholds
                else rules[name]()
                for name in names
            ]
        )

    def _recall(self, weights: np.ndarray) -> np.ndarray:
        """The share of the objects that all boxes find, mean over COCO's IoU thresholds."""
        found = np.array([_found(ranked) for ranked in self.coco])
        totals = weights @ np.vstack([found, self.crowdhuman.objects]).T
        return _divide(totals[:, :-1].mean(axis=1), totals[:, -1])

    def _jaccard(self, weights: np.ndarray) -> np.ndarray:
        """The mean over images at each score threshold; the largest."""
        defined = ~np.isnan(self.jaccard)
        means = _divide(weights @ np.nan_to_num(self.jaccard), weights @ defined.astype(np.float64))
        return np.fmax.reduce(means, axis=1)


def _each(rule, ranked: Ranked, weights: np.ndarray) -> np.ndarray:
    return np.array([rule(ranked, row) for row in weights])


def _found(ranked: Ranked) -> np.ndarray:
    """(I,) true detections of each image."""
    return np.bincount(ranked.image, weights=ranked.verdict == 1, minlength=len(ranked.objects))


def _labels(table: pa.Table) -> list[_Label]:
    """The boxes of each label that is asked for."""
    names, ends = ragged(table["labels"])
    objects, jaccard = (ragged(table[f"label_{name}"])[0] for name in ("objects", "jaccard"))
    image_of_name = np.repeat(np.arange(table.num_rows), np.diff(ends))
    box_label, box_ends = ragged(table["box_label"])
    image = np.repeat(np.arange(table.num_rows), np.diff(box_ends))
    name_of_box = ends[image] + box_label
    score, crowdhuman, coco = (
        ragged(table[f"box_{name}"])[0] for name in ("score", "crowdhuman", "coco")
    )
    labels = []
    for name in dict.fromkeys(names.tolist()):
        is_name = names == name
        chosen = is_name[name_of_box]
        asked = image_of_name[is_name]
        num_objects = np.zeros(table.num_rows, np.int64)
        num_objects[asked] = objects[is_name]
        ratios = np.full((table.num_rows, jaccard.shape[1]), np.nan)
        ratios[asked] = jaccard[is_name]
        labels.append(
            _Label(
                image[chosen], score[chosen], crowdhuman[chosen], coco[chosen], num_objects, ratios
            )
        )
    return labels
