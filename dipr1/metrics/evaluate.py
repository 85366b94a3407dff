"""Score predictions against annotations (verb ``evaluate``).

The metrics artifact has one row per name, always in the order of `NAMES`; a value is null where it
is undefined (recall where there is nobody to find). Everything is measured in the image frame, but
for the rewards, which read the text as they do in training.

Average precision needs a score per box, and an MLLM prints none: the score is the predictions'
`confidence`, the mean probability of the tokens of the box's four numbers. With several labels, the
ranked metrics (AP ... JI) are means over the labels that occur.
"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from dipr1.errors import UserError
from dipr1.metrics.answers import Judged, answer_metrics, judge
from dipr1.metrics.coco import coco_metrics
from dipr1.metrics.jaccard import jaccard_index
from dipr1.metrics.miss_rate import average_precision, log_average_miss_rate
from dipr1.progress import say
from dipr1.responses import Response, parse_response
from dipr1.rewards import accuracy_reward, looking_reward, reasoning_reward
from dipr1.rewards.columns import reward_columns
from dipr1.tables import box_arrays, read_table, write_table

NAMES = (
    "AP",
    "AP50",
    "AP75",
    "AR",
    "AP_crowdhuman",
    "MR",
    "JI",
    "precision50",
    "recall50",
    "f1_50",
    "count_error",
    "well_formed_rate",
    "parse_failure_rate",
    "reward_reasoning",
    "reward_looking",
    "reward_accuracy",
    "mean_boxes",
    "mean_look_boxes",
    "mean_tokens",
    "num_images",
    "num_objects",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 evaluate``."""
    parser.add_argument(
        "--predictions", required=True, help="samples artifact, one response per image"
    )
    parser.add_argument("--annotations", required=True, help="annotations artifact")
    parser.add_argument("--prompts", required=True, help="prompts artifact that was answered")
    parser.add_argument(
        "--variance",
        help="variance artifact; without it the looking reward is left out and the accuracy"
        " reward is not weighted",
    )
    parser.add_argument("--output", required=True, help="metrics artifact to write")
    parser.add_argument("--json", action="store_true", help="print the metrics as JSON")


def run(args: argparse.Namespace) -> None:
    """Score one set of predictions.

    Raises:
        UserError: the files are not about the same images, or not one response per image.
    """
    annotations = read_table(args.annotations, "annotations")
    prompts = read_table(args.prompts, "prompts")
    predictions = read_table(args.predictions, "samples")
    variance = read_table(args.variance, "variance") if args.variance else None
    names = annotations["image_id"].to_pylist()
    prompts = in_order(prompts, names, args.prompts, args.annotations)
    predictions = in_order(predictions, names, args.predictions, args.annotations)
    values = evaluate(annotations, prompts, predictions, variance)
    table = pa.table(
        {
            "name": list(values),
            "value": [None if math.isnan(value) else value for value in values.values()],
        }
    )
    write_table(table, args.output, "metrics")
    if args.json:
        print(json.dumps(dict(zip(*table.to_pydict().values(), strict=True)), indent=2))
    else:
        say(
            f"{args.output}: {len(names)} images,"
            f" AP {values['AP']:.3f}, F1 {values['f1_50']:.3f},"
            f" {values['parse_failure_rate']:.1%} of the answers cannot be read"
        )


def in_order(table: pa.Table, names: Sequence[str], path: str, annotations: str) -> pa.Table:
    """The rows of `table`, one per image, in the order of the annotations' image ids `names`.

    Raises:
        UserError: an image is missing, unknown or there twice.
    """
    found = table["image_id"].to_pylist()
    row_of = {name: row for row, name in enumerate(found)}
    if len(row_of) < len(found):
        twice = next(name for row, name in enumerate(found) if row_of[name] != row)
        raise UserError(
            f"{path}: image {twice!r} is there more than once"
            f" ({len(found) - len(row_of)} rows too many); give one row per image"
        )
    known = set(names)
    unknown = [name for name in found if name not in known]
    if unknown:
        raise UserError(
            f"{path}: image {unknown[0]!r} is not in {annotations} ({len(unknown)} such images);"
            " give the annotations of the same split"
        )
    missing = [name for name in names if name not in row_of]
    if missing:
        raise UserError(
            f"{path}: image {missing[0]!r} of {annotations} is missing"
            f" ({len(missing)} such images); make the file again for the whole split"
        )
    return table.take(pa.array([row_of[name] for name in names], pa.int64()))


def evaluate(
    annotations: pa.Table,
    prompts: pa.Table,
    predictions: pa.Table,
    variance: pa.Table | None = None,
) -> dict[str, float]:
    """All metrics of one set of predictions.

    Args:
        annotations: the annotations artifact.
        prompts: the prompts artifact, one row per row of `annotations`, in the same order.
        predictions: the samples artifact, likewise.
        variance: the variance artifact of the same images, for the rewards.

    Returns:
        Value by name in the order of `NAMES`; NaN where undefined, ``reward_looking`` only with
        `variance`.

    Raises:
        UserError: a prediction does not have one confidence per box.
    """
    asked = prompts["labels"].to_pylist()
    texts = predictions["text"].to_pylist()
    responses = [parse_response(text, labels) for text, labels in zip(texts, asked, strict=True)]
    images = _images(annotations, predictions, asked, responses)
    boxes = box_arrays(predictions["boxes"])
    values = _ranked_metrics(images)
    values |= answer_metrics([image.judged for image in images])
    values |= {
        "well_formed_rate": _mean([response.well_formed for response in responses]),
        "parse_failure_rate": _mean([answer is None for answer in boxes]),
        "mean_boxes": _mean([len(image.detections) for image in images]),
        "mean_look_boxes": _mean(
            [0 if looks is None else len(looks) for looks in box_arrays(predictions["look_boxes"])]
        ),
        "mean_tokens": _mean(predictions["num_tokens"].to_pylist()),
        "num_images": float(len(images)),
        "num_objects": float(sum(len(image.objects) for image in images)),
    }
    values |= _mean_rewards(texts, reward_columns(prompts, variance), variance is not None)
    return {name: values[name] for name in NAMES if name in values}


@dataclass(frozen=True)
class Image:
    """One image: what is there and what was answered, in the image frame."""

    detections: np.ndarray  # (N, 5)
    labels: list[str | None]  # N
    objects: np.ndarray  # (M, 4)
    object_labels: list[str]  # M
    ignore: np.ndarray  # (K, 4)
    size: tuple[int, int]
    asked: tuple[str, ...]

    @property
    def judged(self) -> Judged:
        return judge(
            self.detections[:, :4], self.objects, self.ignore, self.labels, self.object_labels
        )


def _images(
    annotations: pa.Table,
    predictions: pa.Table,
    asked: Sequence[list[str]],
    responses: Sequence[Response],
) -> list[Image]:
    images = []
    for name, width, height, boxes, labels, ignore, answer, scores, wanted, response in zip(
        *(annotations[column].to_pylist() for column in ("image_id", "width", "height")),
        box_arrays(annotations["boxes"]),
        annotations["labels"].to_pylist(),
        annotations["ignore"].to_pylist(),
        box_arrays(predictions["boxes"]),
        predictions["confidence"].to_pylist(),
        asked,
        responses,
        strict=True,
    ):
        answer = np.empty((0, 4)) if answer is None else answer
        scores = np.array(scores or [], np.float64)
        if len(scores) != len(answer):
            raise UserError(
                f"predictions of image {name!r}: expected one confidence per box but got"
                f" {len(scores)} for {len(answer)} boxes; run `dipr1 predict` again"
            )
        is_asked = np.array([label in wanted for label in labels], bool)
        is_ignored = np.array(ignore, bool)
        objects = is_asked & ~is_ignored
        images.append(
            Image(
                detections=np.column_stack([answer, scores]),
                labels=_answered_labels(response, len(answer), wanted),
                objects=boxes[objects],
                object_labels=[label for label, kept in zip(labels, objects, strict=True) if kept],
                ignore=boxes[is_asked & is_ignored],
                size=(width, height),
                asked=tuple(wanted),
            )
        )
    return images


def _answered_labels(response: Response, num_boxes: int, asked: Sequence[str]) -> list[str | None]:
    """The label of each answered box; one that is not written is the one asked for, if only one."""
    only = asked[0] if len(asked) == 1 else None
    if response.answer is None or len(response.answer.labels) != num_boxes:
        return [only] * num_boxes
    return [only if label is None else label for label in response.answer.labels]


def _ranked_metrics(images: Sequence[Image]) -> dict[str, float]:
    """AP ... JI: of each label that is asked for, then the mean over the labels that occur."""
    sizes = np.array([image.size for image in images], np.float64)
    ignore = [image.ignore for image in images]
    by_label = []
    for label in dict.fromkeys(label for image in images for label in image.asked):
        detections = [
            image.detections[[other == label for other in image.labels]] for image in images
        ]
        objects = [
            image.objects[[other == label for other in image.object_labels]] for image in images
        ]
        crowdhuman = (detections, objects, ignore, sizes)
        by_label.append(
            coco_metrics(detections, objects, ignore)
            | {
                "AP_crowdhuman": average_precision(*crowdhuman),
                "MR": log_average_miss_rate(*crowdhuman),
                "JI": jaccard_index(*crowdhuman),
            }
        )
    names = NAMES[: NAMES.index("JI") + 1]
    return {name: _mean([values[name] for values in by_label]) for name in names}


def _mean_rewards(
    texts: Sequence[str], columns: dict[str, list], with_variance: bool
) -> dict[str, float]:
    rewards: dict[str, Callable] = {"reasoning": reasoning_reward, "accuracy": accuracy_reward}
    if with_variance:
        rewards["looking"] = looking_reward
    return {f"reward_{name}": _mean(f(texts, **columns)) for name, f in rewards.items()}


def _mean(values: Sequence[float | None]) -> float:
    """Mean of the values that are defined; NaN where none is."""
    defined = np.array([value for value in values if value is not None], np.float64)
    defined = defined[~np.isnan(defined)]
    return float(defined.mean()) if len(defined) else math.nan
