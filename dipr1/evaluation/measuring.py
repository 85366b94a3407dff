"""Score predictions against annotations (verb ``evaluate``).

The `images` artifact has one row per image: what became of each box, by every rule, and the figures
that the metrics are made of, so that intervals and comparisons can draw the images again. The
`metrics` artifact has one row per name, always in the order of `NAMES`; a value is null where it is
undefined (recall where there is nobody to find). Everything is measured in the image frame, but for
the rewards, which read the text as they do in training.

Average precision needs a score per box, and an MLLM prints none: :mod:`dipr1.evaluation.scoring`
has the ones that stand in, and each ranked metric (AP ... JI) says which one it was measured with.
With several labels, the ranked metrics are means over the labels that occur.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.columns import box_arrays, ragged
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.boxes import area
from dipr1.evaluation.answers import Judged, judge_at
from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import JaccardCounts, jaccard_counts
from dipr1.evaluation.looks import auc, looked, regions_erred, reliability
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.per_image import RANKED, Images
from dipr1.evaluation.scoring import COLUMNS, box_scores
from dipr1.responses import Response, parse_response
from dipr1.rewards import LookingReward, accuracy_reward, looking_reward, reasoning_reward

CALIBRATION = ("u_auc", "u_auc_objects", "u_auc_phantoms", "u_ece")
NAMES = (
    *RANKED,
    "precision50",
    "recall50",
    "f1_50",
    "precision75",
    "recall75",
    "f1_75",
    "count_error",
    "well_formed_rate",
    "parse_failure_rate",
    "reward_reasoning",
    "reward_looking",
    "reward_accuracy",
    "look_area_share",
    "look_recall",
    "look_errors_caught",
    "look_errors_random",
    "look_lift",
    "precision50_looked",
    "recall50_looked",
    "f1_50_looked",
    "precision50_elsewhere",
    "recall50_elsewhere",
    "f1_50_elsewhere",
    *CALIBRATION,
    "mean_boxes",
    "mean_look_boxes",
    "mean_tokens",
    "num_images",
    "num_objects",
)
NEED_VARIANCE = ("reward_looking", "look_recall", *CALIBRATION)

# the parser of responses remembers 1,024 texts: each is parsed once if all that read it do so
# before so many others
BATCH = 512


def _columns_read(score: str) -> list[str]:
    """Columns of the predictions that are needed."""
    names = ["image_id", "text", "num_tokens", "boxes", "look_boxes"]
    return names + [COLUMNS[score]] if score in COLUMNS else names


def measure(images: pa.Table) -> dict[str, float]:
    """All metrics of one set of predictions.

    Args:
        images: the images artifact, of :func:`per_image`.

    Returns:
        Value by name in the order of `NAMES`; NaN where undefined. Those that need the variance
        are left out where it was not given.
    """
    values = {
        "num_images": float(images.num_rows),
        "num_objects": float(np.sum(images["num_objects"].to_numpy())),
    }
    names = [name for name in NAMES if name not in (*values, *CALIBRATION)]
    values |= dict(zip(names, Images(images).values(names)[:, 0].tolist(), strict=True))
    uncertainty, erred, is_object = (
        ragged(images[f"region_{name}"])[0] for name in ("uncertainty", "erred", "is_object")
    )
    erred, is_object = erred.astype(bool), is_object.astype(bool)  # empty, they are of no type
    values["u_auc"] = auc(uncertainty, erred)
    values["u_auc_objects"] = auc(uncertainty[is_object], erred[is_object])
    values["u_auc_phantoms"] = auc(uncertainty[~is_object], erred[~is_object])
    values["u_ece"] = reliability(uncertainty, erred).expected_error
    has_variance = images["region_erred"].null_count < images.num_rows
    left_out = () if has_variance else NEED_VARIANCE
    return {name: values[name] for name in NAMES if name not in left_out}


def metrics_table(values: dict[str, float], score: str) -> pa.Table:
    """The metrics artifact; `score` is what ranked the boxes."""
    return pa.table(
        {
            "name": list(values),
            "value": pa.array([_or_none(value) for value in values.values()], pa.float64()),
            "score": pa.array([score if name in RANKED else None for name in values], pa.string()),
        }
    )


def _or_none(value: float) -> float | None:
    return None if math.isnan(value) else value


# --- per image ----------------------------------------------------------------------------------


def per_image(
    annotations: pa.Table,
    prompts: pa.Table,
    predictions: pa.Table,
    variance: pa.Table | None = None,
    *,
    score: str = "confidence",
    samples: pa.Table | None = None,
) -> pa.Table:
    """The images artifact of one set of predictions.

    Args:
        annotations: the annotations artifact.
        prompts: the prompts artifact, one row per row of `annotations`, in the same order.
        predictions: the samples artifact, likewise.
        variance: the variance artifact of the same images, for the rewards and the calibration.
        score: what ranks the boxes, one of :data:`dipr1.evaluation.scoring.SCORES`.
        samples: for `consistency`, see :func:`dipr1.evaluation.scoring.box_scores`.

    Returns:
        One row per row of `annotations`, in its order.

    Raises:
        UserError: the predictions have no such score, or the variance is about other boxes.
    """
    if not annotations.num_rows:
        return IMAGES.schema.empty_table()
    asked = prompts["labels"].to_pylist()
    columns = reward_columns(prompts, variance)
    scores = box_scores(score, predictions, samples)
    regions = None if variance is None else Regions.of(annotations, variance)
    texts = predictions["text"].to_pylist()
    images: list[Image] = []
    figures: list[dict[str, Any]] = []
    for start in range(0, len(texts), BATCH):
        rows = slice(start, start + BATCH)
        responses = [
            parse_response(text, labels)
            for text, labels in zip(texts[rows], asked[rows], strict=True)
        ]
        rewards = _rewards(texts[rows], {name: column[rows] for name, column in columns.items()})
        batch = _images(annotations[rows], predictions[rows], scores[rows], asked[rows], responses)
        for index, (image, reward) in enumerate(zip(batch, rewards, strict=True), start):
            of_regions = {} if regions is None else regions.figures(index, image)
            figures.append(image.figures() | reward | of_regions)
        images += batch
    given = {
        "image_id": annotations["image_id"],
        "num_tokens": predictions["num_tokens"],
        "labels": prompts["labels"],
        "score": pa.array([score] * len(images), pa.string()),
    } | _by_rule(images)
    computed = pa.schema([field for field in IMAGES.schema if field.name not in given])
    table = pa.Table.from_pylist(figures, computed)
    for name, column in given.items():
        table = table.append_column(name, column)
    return table.select(IMAGES.schema.names).cast(IMAGES.schema)


@dataclass(frozen=True)
class Image:
    """One image: what is there and what was answered, in the image frame."""

    detections: np.ndarray  # (N, 5)
    labels: list[str | None]  # N
    look_boxes: np.ndarray  # (K, 4)
    objects: np.ndarray  # (M, 4)
    object_labels: list[str]  # M
    ignore: np.ndarray  # (L, 4)
    size: tuple[int, int]
    asked: tuple[str, ...]
    response: Response

    @cached_property
    def judged(self) -> list[Judged]:
        """At IoU 0.5 and 0.75."""
        return judge_at(
            (0.5, 0.75),
            self.detections[:, :4],
            self.objects,
            self.ignore,
            self.labels,
            self.object_labels,
        )

    def figures(self) -> dict[str, Any]:
        """The columns of the images artifact that are about the answer taken as it is."""
        half, strict = self.judged
        look = looked(self.look_boxes, self.detections[:, :4], self.objects, half, self.size)
        return {
            "well_formed": self.response.well_formed,
            "readable": self.response.answer is not None,
            "num_objects": len(self.objects),
            "num_boxes": len(self.detections),
            "num_looks": len(self.look_boxes),
            "num_counted": half.num_counted,
            "hits50": half.hits,
            "num_counted75": strict.num_counted,
            "hits75": strict.hits,
            "errors": len(self.objects) + half.num_counted - 2 * half.hits,
        } | {f"look_{name}": value for name, value in vars(look).items()}


def _images(
    annotations: pa.Table,
    predictions: pa.Table,
    scores: Sequence[np.ndarray],
    asked: Sequence[list[str]],
    responses: Sequence[Response],
) -> list[Image]:
    images = []
    for width, height, boxes, labels, ignore, answer, looks, ranks, wanted, response in zip(
        *(annotations[name].to_pylist() for name in ("width", "height")),
        box_arrays(annotations["boxes"]),
        annotations["labels"].to_pylist(),
        annotations["ignore"].to_pylist(),
        box_arrays(predictions["boxes"]),
        box_arrays(predictions["look_boxes"]),
        scores,
        asked,
        responses,
        strict=True,
    ):
        answer = np.empty((0, 4)) if answer is None else answer
        is_asked = np.array([label in wanted for label in labels], bool)
        is_ignored = np.array(ignore, bool)
        objects = is_asked & ~is_ignored
        images.append(
            Image(
                detections=np.column_stack([answer, ranks]),
                labels=_answered_labels(response, len(answer), wanted),
                look_boxes=np.empty((0, 4)) if looks is None else looks,
                objects=boxes[objects],
                object_labels=[label for label, kept in zip(labels, objects, strict=True) if kept],
                ignore=boxes[is_asked & is_ignored],
                size=(width, height),
                asked=tuple(wanted),
                response=response,
            )
        )
    return images


def _answered_labels(response: Response, num_boxes: int, asked: Sequence[str]) -> list[str | None]:
    """The label of each answered box; one that is not written is the one asked for, if only one."""
    only = asked[0] if len(asked) == 1 else None
    if response.answer is None or len(response.answer.labels) != num_boxes:
        return [only] * num_boxes
    return [only if label is None else label for label in response.answer.labels]


# --- rewards and regions ------------------------------------------------------------------------


def _rewards(texts: Sequence[str], columns: dict[str, list]) -> list[dict[str, Any]]:
    """The rewards of each text, as in training; those for looking only with statistics."""
    reasoning = reasoning_reward(texts, **columns)
    accuracy = accuracy_reward(texts, **columns)
    looking = _looking(texts, columns) if "region_boxes" in columns else [{}] * len(texts)
    return [
        {"reward_reasoning": form, "reward_accuracy": boxes} | look
        for form, boxes, look in zip(reasoning, accuracy, looking, strict=True)
    ]


def _looking(texts: Sequence[str], columns: dict[str, list]) -> list[dict[str, Any]]:
    """The looking reward of each text, and its recall: the uncertainty that it covers."""
    figures = []
    for row, text in enumerate(texts):
        reported: dict[str, float] = {}
        reward = looking_reward(
            [text],
            log_metric=reported.__setitem__,
            **{name: [values[row]] for name, values in columns.items()},
        )
        # nothing is reported of a section that cannot be read: it covers nothing
        recall = reported.get("look/recall", 0.0)
        figures.append({"reward_looking": reward[0], "look_recall": recall})
    return figures


@dataclass(frozen=True)
class Regions:
    """The variance artifact, image after image.

    Attributes:
        bounds: (I + 1,) where the regions of each image begin and end.
        boxes: (R, 4) image frame.
        gt_index: (R,) float64, NaN for phantoms.
        uncertainty: (R,).
        to_look_at: (I,) bool, the image has a region that is to be looked at.
    """

    bounds: np.ndarray
    boxes: np.ndarray
    gt_index: np.ndarray
    uncertainty: np.ndarray
    to_look_at: np.ndarray

    @classmethod
    def of(cls, annotations: pa.Table, variance: pa.Table) -> Regions:
        """The regions of the images of `annotations`, in its order."""
        rows = pc.index_in(variance["image_id"], annotations["image_id"].combine_chunks())
        rows = rows.to_numpy().astype(np.float64)  # NaN: of another image
        order = np.argsort(rows, kind="stable")
        rows = rows[order]
        num_regions = int(np.isfinite(rows).sum())
        order, rows = order[:num_regions], rows[:num_regions].astype(np.int64)
        boxes, hulls = (
            pc.list_flatten(variance[name]).to_numpy().reshape(-1, 4)[order].astype(np.float64)
            for name in ("box", "hull")
        )
        uncertainty = variance["uncertainty"].to_numpy()[order]
        width, height = (annotations[name].to_numpy()[rows] for name in ("width", "height"))
        visible = area(np.minimum(np.maximum(hulls, 0.0), np.column_stack([width, height] * 2))) > 0
        wanted = visible & (uncertainty >= LookingReward().threshold)
        return cls(
            np.searchsorted(rows, np.arange(annotations.num_rows + 1)),
            boxes,
            variance["gt_index"].to_numpy().astype(np.float64)[order],
            uncertainty,
            np.bincount(rows, weights=wanted, minlength=annotations.num_rows) > 0,
        )

    def figures(self, index: int, image: Image) -> dict[str, Any]:
        """The columns of the images artifact that are about an image's regions."""
        part = slice(self.bounds[index], self.bounds[index + 1])
        erred = regions_erred(
            self.boxes[part], self.gt_index[part], image.detections[:, :4], image.judged[0]
        )
        return {
            "region_uncertainty": self.uncertainty[part],
            "region_erred": erred,
            "region_is_object": np.isfinite(self.gt_index[part]),
        } | ({} if self.to_look_at[index] else {"look_recall": None})


# --- ranked -------------------------------------------------------------------------------------


def _by_rule(images: Sequence[Image]) -> dict[str, pa.Array]:
    """The columns of the images artifact that hold what each rule says of each scored box."""
    sizes = np.array([image.size for image in images], np.float64)
    boxes: list[dict[str, np.ndarray]] = []
    labels: list[dict[str, np.ndarray]] = []
    for label in dict.fromkeys(label for image in images for label in image.asked):
        asked = np.array([label in image.asked for image in images])
        place = np.array([image.asked.index(label) for image in images if label in image.asked])
        of_label = [_of_label(image, label) for image in images]
        coco = coco_ranked(*zip(*of_label, strict=True))
        crowdhuman = crowdhuman_ranked(*zip(*of_label, strict=True), sizes)
        counts = jaccard_counts(*zip(*of_label, strict=True), sizes)
        place_of_image = np.zeros(len(images), np.int64)
        place_of_image[asked] = place
        # both rules rank by the score, ties in the order of the images and of the answer
        boxes.append(
            {
                "image": crowdhuman.image,
                "label": place_of_image[crowdhuman.image],
                "score": crowdhuman.score,
                "crowdhuman": crowdhuman.verdict,
                "coco": np.stack([ranking.verdict for ranking in coco], axis=1),
            }
        )
        labels.append(
            {
                "image": np.flatnonzero(asked),
                "label": place,
                "objects": crowdhuman.objects[asked],
                "jaccard": _ratios(counts)[asked],
            }
        )
    by_label = _lists(labels, "label", len(images))
    del by_label["label_label"]  # they stand in its order
    return _lists(boxes, "box", len(images)) | by_label


def _of_label(image: Image, label: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The detections, objects and ignore areas of one label; none where it is not asked for."""
    if label not in image.asked:
        return np.empty((0, 5)), np.empty((0, 4)), np.empty((0, 4))
    return (
        image.detections[[other == label for other in image.labels]],
        image.objects[[other == label for other in image.object_labels]],
        image.ignore,
    )


def _ratios(counts: JaccardCounts) -> np.ndarray:
    """(I, T) the Jaccard index of each image at each score threshold; NaN where nothing counts."""
    union = (counts.boxes + counts.objects - counts.pairs).astype(np.float64)
    return np.divide(counts.pairs, union, out=np.full_like(union, np.nan), where=union > 0).T


def _lists(
    parts: Sequence[dict[str, np.ndarray]], prefix: str, num_images: int
) -> dict[str, pa.Array]:
    """Columns of lists, one per image, in the order of the labels and then of the parts."""
    columns = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    image = columns.pop("image")
    order = np.lexsort((columns["label"], image))
    ends = np.cumsum(np.bincount(image, minlength=num_images))
    offsets = pa.array(np.concatenate([[0], ends]), pa.int32())
    lists = {}
    for name, values in columns.items():
        flat = pa.array(values[order].reshape(-1))
        if values.ndim == 2:
            flat = pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        lists[f"{prefix}_{name}"] = pa.ListArray.from_arrays(offsets, flat)
    return lists
