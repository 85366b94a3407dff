"""Which value of a region warns of the errors of an answer."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.evaluation.answered import AnsweredImage
from dipr1.evaluation.targets import warned
from dipr1.responses import parse_response
from tests.unit.two_images import region

FOUND, MISSED, FALSE = [0, 0, 20, 50], [60, 0, 80, 50], [0, 60, 20, 90]
ANNOTATIONS = pa.table({"image_id": ["a", "b", "c"]})


def image(boxes, objects) -> AnsweredImage:
    return AnsweredImage(
        detections=np.column_stack([np.reshape(boxes, (-1, 4)), np.zeros(len(boxes))]),
        labels=["person"] * len(boxes),
        look_boxes=np.empty((0, 4)),
        objects=np.reshape(np.array(objects, np.float64), (-1, 4)),
        object_labels=["person"] * len(objects),
        visibility=np.full(len(objects), np.nan),
        ignore=np.empty((0, 4)),
        ignore_labels=[],
        size=(100, 100),
        asked=("person",),
        response=parse_response(""),
    )


# found and sure to come; missed by all samples; a phantom in half of them that is answered
IMAGES = [image([FOUND, FALSE], [FOUND, MISSED]), image([], []), image([], [MISSED])]
ROWS = [
    region("a", 0, "object", 0, FOUND, 0.8) | {"support": 0.75},
    region("a", 1, "object", 1, MISSED, 0.2) | {"support": 0.0},
    region("a", 2, "phantom", None, FALSE, 0.9),
    {"image_id": "c", "num_samples": 1},  # no statistics: its miss can't be told
]
STATISTICS = pa.Table.from_pylist(ROWS, VARIANCE.schema)


def test_uncertainty_by_hand():
    found = warned(IMAGES, ANNOTATIONS, STATISTICS)
    # errors have u = 0.2 and 0.9, the found person 0.8
    assert (found.auc, found.auc_of_objects) == (0.5, 0.0)
    assert (found.num_targets, found.missed, found.num_missed) == (2, 0, 1)
    assert (found.false, found.num_false) == (1, 1)
    # the first of two measured images
    assert found.share == pytest.approx((0.1 + 0.06) / 2)


def test_misses_by_hand():
    found = warned(IMAGES, ANNOTATIONS, STATISTICS, "miss")
    assert (found.auc, found.auc_of_objects) == (1.0, 1.0)
    assert (found.num_targets, found.missed, found.false) == (2, 1, 1)
    assert warned(IMAGES, ANNOTATIONS, STATISTICS, "miss", max_regions=1).false == 0
    assert warned(IMAGES, ANNOTATIONS, STATISTICS, "miss", threshold=0.95).num_targets == 1


def test_gain_by_hand():
    with pytest.raises(UserError, match="no column 'gain'"):
        warned(IMAGES, ANNOTATIONS, STATISTICS, "gain")
    gain = STATISTICS.append_column("gain", pa.array([0.25, 0.75, 0.0, None]))
    found = warned(IMAGES, ANNOTATIONS, gain, "gain")
    assert (found.auc, found.auc_of_objects) == (0.5, 1.0)
    assert (found.num_targets, found.missed, found.false) == (1, 1, 0)


def test_nothing_to_warn_of():
    found = warned(IMAGES, ANNOTATIONS, STATISTICS.slice(0, 0))
    assert np.isnan(found.auc)
    assert (found.num_targets, found.share, found.by_chance) == (0, 0.0, 0.0)
