"""All rewards of a response and their sum, from one record of ground truth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import yaml

from dipr1.rewards import AccuracyReward, LookingReward
from dipr1.rewards.scores import (
    GROUND_TRUTH,
    WEIGHTS,
    read_ground_truth,
    score_response,
    score_responses,
)
from tests.unit.rewards.responding import EXPECTED, PEOPLE, SCENE, TEXTS, TOTALS, respond

EMPTY = {"gt_boxes": [], "gt_labels": [], "region_boxes": [], "region_uncertainty": []}


def test_scores_are_those_of_the_rewards():
    for text, rewards, total in zip(TEXTS, EXPECTED, TOTALS, strict=True):
        scores = score_response(text, **SCENE)
        assert scores.pop("total") == pytest.approx(total, rel=1e-15)
        assert scores == rewards
    assert len(set(TOTALS)) > 4


def test_the_weights_are_those_of_the_demo(root):
    config = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    weighted = {name: weight for name, weight in WEIGHTS.items() if weight}
    assert config["arms"]["dipr1"]["rewards"] == weighted


def test_weights_can_be_chosen():
    rewards = EXPECTED[3]
    assert score_response(TEXTS[3], **SCENE, weights={"accuracy": 2})["total"] == pytest.approx(
        2 * rewards["accuracy"]
    )
    assert score_response(TEXTS[3], **SCENE, weights={})["total"] == 0.0
    with pytest.raises(ValueError, match="expected reasoning, looking, accuracy.* but got format"):
        score_response(TEXTS[3], **SCENE, weights={"format": 1})


def test_no_texts():
    assert score_responses([], []) == []


def test_looking_is_left_out_without_regions():
    truth = {"gt_boxes": PEOPLE, "gt_labels": ["person"] * 3}
    first, second = score_responses(TEXTS[:2], [truth, SCENE])
    assert set(first) == {"reasoning", "accuracy", "total"}
    assert first["total"] == pytest.approx(1.0 + 3.0)
    assert second == score_response(TEXTS[1], **SCENE)


def as_a_data_frame_reads_it(value):
    """Nested lists as arrays of arrays, which no conversion to one array takes."""
    if not isinstance(value, list):
        return value
    array = np.empty(len(value), dtype=object)
    array[:] = [as_a_data_frame_reads_it(item) for item in value]
    return array if value and isinstance(value[0], list) else np.array(value)


FORMS = {
    "mapping": lambda truth: truth,
    "JSON": json.dumps,
    "arrays": lambda truth: {name: as_a_data_frame_reads_it(v) for name, v in truth.items()},
    "one array each": lambda truth: {name: np.array(value) for name, value in truth.items()},
    "with what is not known": lambda truth: {name: None for name in GROUND_TRUTH} | truth,
    "with the image's name": lambda truth: truth | {"image_id": "a,1"},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("truth", [SCENE, EMPTY], ids=["crowd", "nobody"])
def test_ground_truth_may_come_in_any_form(form, truth):
    texts = [*TEXTS, respond([])]
    expected = score_responses(texts, [truth] * len(texts))
    assert score_responses(texts, [form(truth)] * len(texts)) == expected
    assert read_ground_truth(form(truth)).get("gt_boxes") == truth["gt_boxes"]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({}, "expected gt_boxes, an empty list if need be; got nothing"),
        ({"labels": ["person"]}, "expected gt_boxes, .*; got labels"),
        ({"gt_boxes": None}, "expected gt_boxes"),
        ({"gt_boxes": [], "boxes": []}, "boxes is not known; it may have gt_boxes, gt_labels"),
        ({"gt_boxes": [], "region_boxes": []}, "both region_boxes and region_uncertainty"),
        ("[]", "expected a mapping or its JSON but got list"),
        ("42", "expected a mapping or its JSON but got int"),
        (None, "expected a mapping or its JSON but got NoneType"),
        ("72", "expected a mapping"),
    ],
)
def test_other_ground_truth_is_refused(truth, message):
    with pytest.raises(ValueError, match=message):
        score_responses(["nobody"], [truth])


def test_a_string_is_one_label():
    truth = {"gt_boxes": PEOPLE[:1], "gt_labels": "person", "labels": "person"}
    assert score_response(respond(PEOPLE[:1]), **truth)["accuracy"] == 1.0


def test_unequal_lengths_are_refused_by_name_and_row():
    with pytest.raises(ValueError, match="gt_labels, row 1: expected 3 entries"):
        score_responses(TEXTS[:2], [SCENE, SCENE | {"gt_labels": ["person"]}])


def test_options_are_those_of_the_rewards():
    truths = [{"gt_boxes": PEOPLE, "image_id": name, "prompt_id": "x"} for name in "aaabbb"]
    texts = [respond(PEOPLE[:n], PEOPLE[:1]) for n in (3, 1, 2, 0, 3, 1)]
    options = {"looking_source": "group", "quality": "hard"}
    scores = score_responses(texts, truths, options=options)
    given = {"gt_boxes": [PEOPLE] * 6, "image_id": list("aaabbb")}
    assert [row["looking"] for row in scores] == LookingReward(source="group")(texts, **given)
    assert [row["accuracy"] for row in scores] == AccuracyReward("hard")(texts, **given)
    assert "looking" not in score_responses(texts[:1], truths[:1], options=options)[0]
    with pytest.raises(ValueError, match="needs the column 'image_id', 'prompt_id' or 'prompts'"):
        score_responses(TEXTS[:1], [SCENE], options=options)
    with pytest.raises(ValueError, match="options: expected looking_source, .* but got source"):
        score_responses(TEXTS[:1], [SCENE], options={"source": "group"})
