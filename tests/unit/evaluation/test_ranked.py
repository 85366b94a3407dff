"""What is read off a ranking, also of resamples of images that are matched once."""

from __future__ import annotations

import math

import numpy as np
import pytest

from dipr1.evaluation.coco_ap import coco_ranked
from dipr1.evaluation.jaccard import jaccard_counts, jaccard_of
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.ranked import (
    RECALL_THRESHOLDS,
    Ranked,
    coco_ap,
    crowdhuman_ap,
    log_average_miss_rate_of,
    precision_at_recalls,
    recall_of,
    voc_ap,
)
from dipr1.metrics import (
    jaccard_index,
)
from tests.unit.evaluation.crowds import NO_DETECTION, NONE, PERSON, random_set, scored

OF_RANKED = [crowdhuman_ap, log_average_miss_rate_of, coco_ap, voc_ap, recall_of]


def resample(seed: int) -> tuple[list, np.ndarray, list]:
    """Images with many equal scores, how often each is drawn, and the drawn images."""
    boxes = random_set(seed, 12)
    weights = np.random.default_rng(seed).integers(0, 4, 12)
    drawn = np.repeat(np.arange(12), weights)
    return boxes, weights, [[part[index] for index in drawn] for part in boxes]


@pytest.mark.parametrize("metric", OF_RANKED)
@pytest.mark.parametrize("seed", range(5))
def test_a_resample_equals_the_images_repeated(metric, seed):
    boxes, weights, drawn = resample(seed)
    for ranked, again in (
        (crowdhuman_ranked(*boxes), crowdhuman_ranked(*drawn)),
        (coco_ranked(*boxes)[3], coco_ranked(*drawn)[3]),
    ):
        assert len(set(ranked.score.tolist())) < len(ranked.score) / 2
        assert metric(ranked, weights) == pytest.approx(metric(again), abs=1e-12)
        assert metric(ranked, np.ones(12, int)) == metric(ranked)


@pytest.mark.parametrize("seed", range(5))
def test_a_resample_of_the_jaccard_index_equals_the_images_repeated(seed):
    boxes, weights, drawn = resample(seed)
    value = jaccard_of(jaccard_counts(*boxes), weights)
    assert value == pytest.approx(jaccard_index(*drawn), abs=1e-12)


@pytest.mark.parametrize("metric", OF_RANKED)
def test_a_resample_without_objects_is_undefined(metric):
    ranked = crowdhuman_ranked(
        [scored([0, 0, 9, 9, 0.5]), NO_DETECTION], [NONE, PERSON], [NONE] * 2
    )
    assert not math.isnan(metric(ranked))
    assert math.isnan(metric(ranked, np.array([2, 0])))


def test_a_resample_of_no_image_is_undefined():
    assert math.isnan(jaccard_of(jaccard_counts([NO_DETECTION], [PERSON], [NONE]), np.array([0])))


def test_precision_is_interpolated_at_cocos_recalls():
    rng = np.random.default_rng(0)
    hits, num_objects = rng.random(60) < 0.6, 50
    ranked = Ranked(np.zeros(60, int), np.linspace(1, 0, 60), hits, np.array([num_objects]))
    num_true = np.cumsum(hits)
    precision, recall = num_true / np.arange(1, 61), num_true / num_objects
    expected = [precision[recall >= at].max(initial=0.0) for at in RECALL_THRESHOLDS]
    assert precision_at_recalls(ranked) == pytest.approx(expected)
    assert coco_ap(ranked) == pytest.approx(np.mean(expected))
    nothing = Ranked(np.zeros(0, int), np.zeros(0), np.zeros(0, int), np.array([3]))
    assert precision_at_recalls(nothing).tolist() == [0.0] * 101
