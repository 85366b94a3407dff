"""What became of each box and each image, by every rule: the images artifact.

One row per image holds the figures that the metrics are made of, so that intervals and comparisons
can draw the images again. Everything is measured in the image frame, but for the rewards, which
read the text as they do in training.

Average precision needs a score per box, and an MLLM prints none: :mod:`dipr1.evaluation.scoring`
has the ones that stand in.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.evaluation.answered import AnsweredImage, answered_images
from dipr1.evaluation.catalogue import METRICS, Ratio
from dipr1.evaluation.image_regions import ImageRegions
from dipr1.evaluation.scoring import box_scores
from dipr1.evaluation.verdicts import verdict_columns
from dipr1.responses import parse_response
from dipr1.rewards import REWARDS, LookingReward

# the parser of responses remembers 1,024 texts: each is parsed once if all that read it do so
# before so many others
BATCH = 512

# null where an answer alone was asked for
OF_STEPS = ["look_recall", *(f"reward_{name}" for name, one in REWARDS.items() if one.of_steps)]


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
    asked, columns = prompts["labels"].to_pylist(), reward_columns(prompts, variance)
    scores = box_scores(score, predictions, samples)
    regions = None if variance is None else ImageRegions.of(annotations, variance)
    images: list[AnsweredImage] = []
    figures: list[dict[str, Any]] = []
    for start in range(0, annotations.num_rows, BATCH):
        rows = slice(start, start + BATCH)
        batch = answered_images(annotations[rows], predictions[rows], scores[rows], asked[rows])
        texts = predictions["text"][rows].to_pylist()
        rewards = _rewards(texts, {name: column[rows] for name, column in columns.items()})
        for index, (image, reward) in enumerate(zip(batch, rewards, strict=True), start):
            of_regions = {} if regions is None else regions.figures(index, image)
            of_look = dict.fromkeys(OF_STEPS) if image.form == "answer" else {}
            figures.append(image.figures() | _own_figures(image) | reward | of_regions | of_look)
        images += batch
    given = {
        "image_id": annotations["image_id"],
        "num_tokens": predictions["num_tokens"],
        "labels": prompts["labels"],
        "score": [score] * len(images),
    }
    return _table(figures, given | verdict_columns(images))


def _own_figures(image: AnsweredImage) -> dict[str, float | None]:
    """What metrics keep of an image in columns of their own."""
    return {
        name: metric.figure(image)
        for name, metric in METRICS.items()
        if isinstance(metric, Ratio) and metric.figure is not None
    }


def _rewards(texts: Sequence[str], columns: dict[str, list]) -> list[dict[str, Any]]:
    """The rewards of each text, as in training, and how much of the uncertainty it looks at.

    None where there are no statistics of regions and they are needed.
    """
    rewards = {f"reward_{name}": reward.make() for name, reward in REWARDS.items()}
    values = {
        name: reward(texts, **columns) if columns.keys() >= {*reward.needs} else [None] * len(texts)
        for name, reward in rewards.items()
    }
    if "region_boxes" in columns:
        values["look_recall"] = _look_recalls(texts, columns)
    of_text = zip(*values.values(), strict=True)
    return [dict(zip(values, row, strict=True)) for row in of_text]


def _look_recalls(texts: Sequence[str], columns: dict[str, list]) -> list[float | None]:
    """How much of the uncertainty each text looks at; nothing where its look cannot be read.

    None where the image has no statistics.
    """
    names = ("region_boxes", "region_uncertainty", "frame_width", "frame_height")
    given = zip(texts, *(columns[name] for name in names), strict=True)
    reward, recalls = LookingReward(), []
    for text, hulls, uncertainty, width, height in given:
        look = parse_response(text).look
        recall = None if hulls is None else 0.0
        if look is not None and hulls is not None:
            recall, _ = reward.recall_precision(look.boxes, hulls, uncertainty, (width, height))
        recalls.append(recall)
    return recalls


def _table(figures: Sequence[dict[str, Any]], given: dict[str, Any]) -> pa.Table:
    """The images artifact: rows of `figures`, and the columns `given`."""
    schema = IMAGES.schema_with(dict.fromkeys(name for row in figures for name in row))
    computed = pa.schema([field for field in schema if field.name not in given])
    columns = dict(zip(computed.names, pa.Table.from_pylist(figures, computed), strict=True))
    return pa.table({name: (given | columns)[name] for name in schema.names}).cast(schema)
