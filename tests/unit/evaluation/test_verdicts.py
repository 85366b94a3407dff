"""What each rule says of each scored box, label by label."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.ranked import coco_ap
from dipr1.evaluation.ranked_labels import ranked_labels
from dipr1.evaluation.verdicts import verdict_columns
from dipr1.responses import parse_response
from tests.unit.evaluation.crowds import random_set
from tests.unit.evaluation.test_coco_ap import pycocotools_metrics

ASKED = ("person", "car")


def answered(detections, objects, ignore, rng) -> AnsweredImage:
    """One image whose boxes have labels at random."""
    return AnsweredImage(
        detections=detections,
        labels=rng.choice(ASKED, len(detections)).tolist(),
        look_boxes=np.empty((0, 4)),
        objects=objects,
        object_labels=rng.choice(ASKED, len(objects)).tolist(),
        visibility=np.full(len(objects), np.nan),
        ignore=ignore,
        ignore_labels=rng.choice([*ASKED, ANY_LABEL], len(ignore)).tolist(),
        size=(400, 400),
        asked=ASKED,
        response=parse_response(""),
    )


def of_label(image: AnsweredImage, label: str) -> list[np.ndarray]:
    """Detections, objects and areas as COCO's program is given them, category by category."""
    parts = ("detections", "labels"), ("objects", "object_labels"), ("ignore", "ignore_labels")
    return [
        getattr(image, boxes)[np.isin(getattr(image, labels), (label, ANY_LABEL))]
        for boxes, labels in parts
    ]


@pytest.mark.parametrize("seed", range(3))
def test_several_labels_are_judged_as_by_pycocotools(seed):
    rng = np.random.default_rng(seed)
    images = [answered(*image, rng) for image in zip(*random_set(seed), strict=True)]
    table = pa.table({"labels": [list(ASKED)] * len(images)} | verdict_columns(images))
    for label, ranked in zip(ASKED, ranked_labels(table), strict=True):
        boxes = zip(*(of_label(image, label) for image in images), strict=True)
        expected = pycocotools_metrics(*map(list, boxes))[0]
        ours = np.mean([coco_ap(ranking) for ranking in ranked.coco])
        assert ours == pytest.approx(expected, abs=1e-12)
