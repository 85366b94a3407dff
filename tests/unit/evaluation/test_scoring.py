"""Scores for boxes that come without one."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.samples import SAMPLES
from dipr1.errors import UserError
from dipr1.evaluation.scoring import SCORES, box_scores, support

LEFT, RIGHT = [0.0, 0, 10, 10], [50.0, 0, 60, 10]


def predictions(*rows: dict) -> pa.Table:
    return pa.Table.from_pylist(
        [{"image_id": str(number), "sample": 0} | row for number, row in enumerate(rows)],
        SAMPLES.schema,
    )


def sampled(*boxes: tuple[str, list | None]) -> pa.Table:
    return pa.Table.from_pylist(
        [{"image_id": name, "boxes": found} for name, found in boxes], SAMPLES.schema
    )


TWO = {"boxes": [LEFT, RIGHT], "confidence": [0.25, 0.75], "log_likelihood": [-2.0, 0.0]}
UNREADABLE = {"boxes": None, "confidence": [], "log_likelihood": []}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("constant", [1.0, 1.0]),
        ("order", [1.0, 0.5]),
        ("confidence", [0.25, 0.75]),
        ("likelihood", [np.exp(-2.0), 1.0]),
    ],
)
def test_scores_by_hand(name, expected):
    empty = {"boxes": [], "confidence": [], "log_likelihood": []}
    scores = box_scores(name, predictions(UNREADABLE, TWO, empty))
    assert [len(found) for found in scores] == [0, 2, 0]
    np.testing.assert_allclose(scores[1], expected)


def test_consistency_is_the_smoothed_share_of_the_responses_with_the_box():
    samples = sampled(
        ("0", [LEFT, [50, 0, 60, 6]]),  # IoU 1 and 0.6
        ("0", [[50, 0, 60, 4]]),  # IoU 0.4: another box
        ("0", None),
        ("1", [LEFT]),
    )
    scores = box_scores("consistency", predictions(TWO, UNREADABLE), samples)
    assert scores[0].tolist() == [1.5 / 4, 1.5 / 4]
    assert scores[1].tolist() == []


def test_a_box_that_is_answered_twice_is_supported_once():
    assert support(np.array([LEFT, LEFT]), [np.array([LEFT])] * 3).tolist() == [3, 0]
    assert support(np.array([LEFT, LEFT]), [np.array([LEFT, LEFT])]).tolist() == [1, 1]
    assert support(np.empty((0, 4)), [np.array([LEFT])]).shape == (0,)


@pytest.mark.parametrize("name", SCORES)
def test_scores_lie_above_zero_and_not_above_one(name):
    samples = sampled(("0", []), ("0", None), ("1", [RIGHT]))
    scores = np.concatenate(box_scores(name, predictions(TWO, TWO), samples))
    assert ((scores > 0.0) & (scores <= 1.0)).all()


def test_an_image_without_samples_is_named():
    with pytest.raises(UserError, match="--consistency-samples: image '1' has no samples"):
        box_scores("consistency", predictions(TWO, TWO), sampled(("0", [LEFT])))


@pytest.mark.parametrize(
    ("name", "column"), [("confidence",) * 2, ("likelihood", "log_likelihood")]
)
def test_a_box_without_its_score_is_named(name, column):
    with pytest.raises(
        UserError, match=f"image '1': expected one {column} per box but got 1 for 2"
    ):
        box_scores(name, predictions(TWO, TWO | {column: [0.5]}))
