"""The accuracy reward: by hand, and against exact references."""

from __future__ import annotations

import json
from fractions import Fraction
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.rewards import AccuracyReward, accuracy_reward
from tests.unit import reference
from tests.unit.random_boxes import (
    BOX,
    LEVEL,
    TOLERANCE,
    cases,
    jittered,
    level,
    nearest,
    some_boxes,
    upright_boxes,
)
from tests.unit.rewards.exact import (
    LABELS,
    as_read,
    batch,
    box_cell,
    check_by_hand,
    golden,
    option_cell,
    response_of,
    reward_and_metrics,
)
from tests.unit.rewards.responding import HONEST, PEOPLE, respond


def score(boxes, truth, labels=None, options=None, asked=None, **columns):
    columns |= {} if asked is None else {"labels": asked}
    columns = {name: [value] for name, value in columns.items()}
    text = respond(boxes)
    if labels is not None:
        items = [
            {"bbox_2d": list(box)} | ({} if label is None else {"label": label})
            for box, label in zip(boxes, labels, strict=True)
        ]
        text = f"<answer>{json.dumps(items)}</answer>"
    return AccuracyReward(**(options or {}))([text], gt_boxes=[truth], **columns)[0]


def test_accuracy_where_one_side_is_empty():
    assert score([], []) == 1.0
    assert score([], PEOPLE) == 0.0
    assert score(PEOPLE, []) == 0.0
    assert score([[5, 5, 5, 5]], []) == 0.0


AB = [[0, 0, 10, 10], [20, 0, 30, 10]]
ONE_AND_A_MISS = [[0, 0, 10, 8], [50, 50, 60, 60]]  # IoU 0.8 with the first


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, 0.4),
        ({"quality": "hard"}, 0.5),
        ({"aggregate": "precision"}, 0.4),
        ({"aggregate": "recall"}, 0.4),
        ({"match_iou": 0.81}, 0.0),
    ],
)
def test_accuracy_by_hand(options, expected):
    assert score(ONE_AND_A_MISS, AB, options=options) == pytest.approx(expected, rel=1e-15)


def test_the_least_iou_rises_over_a_training():
    """Of 10 updates the first 5 take 0.5 and the others 0.81, above the only match's IoU."""
    reward = AccuracyReward(match_ious=[0.5, 0.81])
    found = {}
    for step in (0, 4, 5, 9, 10):
        logged = {}
        state = SimpleNamespace(global_step=step, max_steps=10)
        columns = {"gt_boxes": [AB], "trainer_state": state, "log_metric": logged.__setitem__}
        [found[step]] = reward([respond(ONE_AND_A_MISS)], **columns)
        assert logged["answer/match_iou"] == (0.5 if step < 5 else 0.81)
    assert found == {0: pytest.approx(0.4), 4: pytest.approx(0.4), 5: 0.0, 9: 0.0, 10: 0.0}


def test_rising_thresholds_need_to_know_how_far_a_training_is():
    with pytest.raises(ValueError, match="no trainer_state tells how far it is; take match_iou"):
        AccuracyReward(match_ious=[0.5, 0.6])(["nothing"], gt_boxes=[[]])


@pytest.mark.parametrize("wrong", [[0.6, 0.5], [0.0, 0.5], [0.5, 1.1]])
def test_thresholds_rise(wrong):
    with pytest.raises(
        ValueError, match="match_ious: expected IoUs in \\(0, 1\\] that rise but got"
    ):
        AccuracyReward(match_ious=wrong)


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        # The found one weighs 1.5, the other 1: recall 1.5 / 2.5 = 0.6, precision 1.
        ({}, 0.75),
        ({"aggregate": "recall"}, 0.6),
        ({"aggregate": "precision"}, 1.0),
        ({"aggregate": "mean"}, 0.8),
        ({"aggregate": "mean", "alpha": 0.25}, 0.9),
        ({"beta": 2.0}, 5 * 0.6 / (4 + 0.6)),
        ({"aggregate": "recall", "lam": 0.0}, 0.5),
        ({"aggregate": "recall", "lam": 2.0}, 2 / 3),
    ],
)
def test_uncertain_people_weigh_more(options, expected):
    found = score(AB[:1], AB, options=options, gt_uncertainty=[0.5, None])
    assert found == pytest.approx(expected, rel=1e-15)


@pytest.mark.parametrize("gt_uncertainty", [None, [None, None], [float("nan"), 0]])
def test_without_statistics_all_weigh_the_same(gt_uncertainty):
    options = {"aggregate": "recall"}
    assert score(AB[:1], AB, options=options, gt_uncertainty=gt_uncertainty) == 0.5


def test_detections_in_an_ignore_region_do_not_count():
    ignore = [[40, 40, 60, 60]]
    inside, half_in, mostly_out = [45, 45, 50, 50], [50, 30, 60, 50], [50, 29, 60, 50]
    assert score([*AB, inside], AB) == pytest.approx(0.8)
    assert score([*AB, inside, half_in], AB, ignore_boxes=ignore) == 1.0
    assert score([*AB, mostly_out], AB, ignore_boxes=ignore) == pytest.approx(0.8)
    assert score([inside], [], ignore_boxes=ignore) == 1.0
    # Half in each of two regions that touch is not half in one.
    halves = [[40, 40, 50, 60], [51, 40, 60, 60]]
    assert score([[45, 45, 56, 50]], [], ignore_boxes=halves) == 0.0
    # A matched detection counts, wherever it is.
    assert score(AB, AB, ignore_boxes=[[0, 0, 100, 100]]) == 1.0
    assert score([*AB, [3, 3, 3, 9]], AB, ignore_boxes=[[0, 0, 100, 100]]) < 1.0


@pytest.mark.parametrize(
    ("label", "ignore_labels", "expected"),
    [
        ("car", ["person"], 0.8),  # 2 of 3 are right
        ("person", ["person"], 1.0),
        ("car", [""], 1.0),
        ("car", ["car"], 1.0),
        (None, ["person"], 0.8),
        (None, [""], 1.0),
        ("car", None, 1.0),
    ],
)
def test_an_ignore_region_is_for_boxes_of_its_label(label, ignore_labels, expected):
    columns = {"gt_labels": ["person"] * 2, "ignore_boxes": [[40, 40, 60, 60]]}
    if ignore_labels is not None:
        columns["ignore_labels"] = ignore_labels
    labels = ["person", "person", label]
    found = score([*AB, [45, 45, 50, 50]], AB, labels, asked=["person", "car"], **columns)
    assert found == pytest.approx(expected)


def test_of_two_ignore_regions_each_is_for_its_own_label():
    columns = {"ignore_boxes": [[40, 40, 60, 60], [70, 40, 90, 60]], "ignore_labels": ["a", "b"]}
    boxes = [[45, 45, 50, 50], [75, 45, 80, 50]]
    assert score(boxes, [], ["a", "b"], asked=["a", "b"], gt_labels=[], **columns) == 1.0
    assert score(boxes, [], ["b", "a"], asked=["a", "b"], gt_labels=[], **columns) == 0.0
    # without a label, the only one that is asked for
    assert score(boxes[:1], [], [None], asked=["a"], gt_labels=[], **columns) == 1.0


def test_only_the_same_label_matches():
    both = ["person", "car"]
    assert score(AB, AB, both, gt_labels=both) == 1.0
    assert score(AB, AB, both[::-1], gt_labels=both) == 0.0
    assert score(AB, AB, ["person", "person"], gt_labels=both) == 0.5
    assert score(AB, AB, both) == 1.0


def test_a_missing_label_is_the_only_one_asked_for():
    none = [None, None]
    assert score(AB, AB, none, gt_labels=["person"] * 2) == 1.0
    assert score(AB, AB, none, gt_labels=["person", "car"]) == 0.0
    assert score(AB, AB, none, gt_labels=["person"] * 2, asked=["person", "car"]) == 0.0
    assert score(AB, AB, ["car", None], gt_labels=["person"] * 2) == 0.5


@pytest.mark.parametrize("answer", ["", "nobody", "</answer><answer>[]"])
def test_an_answer_that_does_not_parse_scores_zero(answer):
    text = f"<think>a</think><look>[]</look><answer>{answer}</answer>"
    assert accuracy_reward([text], gt_boxes=[[]]) == [0.0]


def test_a_recovered_answer_is_scored():
    text = "<answer>```json\n[{'bbox': [0, 0, 10, 10]},]```</answer>"
    assert accuracy_reward([text], gt_boxes=[AB[:1]], gt_labels=[["person"]]) == [1.0]


def test_a_row_without_ground_truth_is_skipped():
    assert accuracy_reward([respond()] * 2, gt_boxes=[None, []]) == [None, 1.0]


def test_accuracy_names_the_column_that_is_absent():
    with pytest.raises(ValueError, match=r"needs the column 'gt_boxes'; .*: gt_labels, labels"):
        accuracy_reward([HONEST], labels=[["person"]], gt_labels=[[]])


@pytest.mark.parametrize("options", [{"quality": "sharp"}, {"aggregate": "sum"}])
def test_an_unknown_option_is_named(options):
    with pytest.raises(ValueError, match=f"{next(iter(options))}: expected .* but got"):
        AccuracyReward(**options)


def test_a_copy_is_not_taken_for_a_neighbour():
    # Two people who overlap by more than half; one is found, and given twice.
    columns = {"gt_boxes": [[[0, 0, 20, 60], [4, 0, 24, 60]]]}
    once, twice = (accuracy_reward([respond([[0, 0, 20, 60]] * n)], **columns)[0] for n in (1, 2))
    assert once == pytest.approx(2 / 3)
    assert twice == pytest.approx(1 / 2)
    # Two who stand in the same four numbers are two.
    assert accuracy_reward([respond(PEOPLE[:1] * 2)], gt_boxes=[PEOPLE[:1] * 2]) == [1.0]


def test_the_order_of_the_boxes_does_not_matter():
    # 15 digits of the weighted sums would differ if they were added in the order of the answer.
    rng = np.random.default_rng(0)
    truth = np.array([[x, y, x + 9, y + 9] for x in range(0, 100, 10) for y in range(0, 100, 10)])
    boxes = truth + rng.integers(-1, 2, truth.shape)
    columns = {"gt_boxes": [truth.tolist()], "gt_uncertainty": [rng.random(100).tolist()]}
    values = {
        accuracy_reward([respond(rng.permutation(boxes).tolist())], **columns)[0] for _ in range(10)
    }
    assert len(values) == 1


@pytest.mark.parametrize("num", [150, 400])
def test_no_cap_on_the_number_of_boxes(num):
    boxes = [[x, y, x + 8, y + 8] for x in range(0, 200, 10) for y in range(0, 200, 10)][:num]
    columns = {"gt_boxes": [boxes] * 2, "gt_labels": [["person"] * num] * 2}
    perfect, first_hundred = accuracy_reward([respond(boxes), respond(boxes[:100])], **columns)
    assert perfect == 1.0
    assert first_hundred < 0.9


LABEL = st.sampled_from(["person", "car"])
LABELLED = st.tuples(BOX, LABEL)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(LABELLED, max_size=5),
    st.lists(st.tuples(LABELLED, LEVEL), max_size=5),
    st.lists(BOX, max_size=2),
    st.booleans(),
)
def test_accuracy_equals_the_reference(predicted, truth, ignore, copy):
    # Boxes drawn apart rarely overlap enough to match, so the truth is often predicted again.
    if copy:
        predicted = [item for item, _ in truth][:2] + predicted[:3]
    boxes, labels = [box for box, _ in predicted], [label for _, label in predicted]
    gt_boxes, gt_labels = [box for (box, _), _ in truth], [label for (_, label), _ in truth]
    u = [level for _, level in truth]
    columns = {"gt_labels": gt_labels, "ignore_boxes": ignore, "gt_uncertainty": u}
    # Several matchings may be equally good and weigh differently; each is right.
    possible = reference.precisions_and_recalls(boxes, labels, gt_boxes, gt_labels, ignore, u)
    for aggregate, expected in (
        ("fbeta", [reference.f_beta(*one) for one in possible]),
        ("precision", [precision for precision, _ in possible]),
        ("recall", [recall for _, recall in possible]),
    ):
        found = score(boxes, gt_boxes, labels, {"aggregate": aggregate}, **columns)
        assert min(abs(found - value) for value in expected) < 1e-12


OPTIONS = [
    {},
    {},
    {"quality": "hard"},
    {"aggregate": "mean", "alpha": 0.25},
    {"aggregate": "precision"},
    {"aggregate": "recall", "lam": 3.0},
    {"beta": 2.0, "lam": 0.0},
    {"match_iou": 0.25},
    {"match_iou": 0.75, "quality": "hard", "aggregate": "mean"},
]


def an_answer(random: Random) -> dict:
    """A row: the text, its columns, and the answer's boxes and labels."""
    truth = some_boxes(random, 5, unusable=0.02)
    boxes = as_read(some_boxes(random, 5))
    if random.random() < 0.7:
        copies = [jittered(random, box, (0, 0, 0, 1)) for box in truth]
        boxes = as_read(copies[: random.randint(0, 5)]) + boxes[:2]
    labels = [random.choice(("person", "person", "car", None)) for _ in boxes]
    columns = {
        "gt_boxes": truth,
        "gt_labels": [random.choice(LABELS[: random.randint(1, 2)]) for _ in truth],
        "ignore_boxes": some_boxes(random, 2, [upright_boxes], 0.1),
        "gt_uncertainty": [random.choice((None, *[level(random)] * 5)) for _ in truth],
        "labels": random.choice((LABELS, LABELS[:1])),
    }
    for name in ("gt_labels", "ignore_boxes", "gt_uncertainty", "labels"):
        if random.random() < 0.25:
            columns[name] = None
    return {
        "text": response_of([], boxes, labels),
        "boxes": boxes,
        "labels": labels,
        "columns": columns,
    }


def combined(precision, recall, aggregate="fbeta", beta=1.0, alpha=0.5, **others):
    if aggregate == "fbeta":
        return reference.f_beta(precision, recall, Fraction(beta))
    if aggregate == "mean":
        return (1 - Fraction(alpha)) * precision + Fraction(alpha) * recall
    return precision if aggregate == "precision" else recall


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_accuracy_and_its_parts_equal_the_reference(number):
    options = OPTIONS[number]
    reward, rows, values = AccuracyReward(**options), [], []
    choice = {name: options[name] for name in ("quality", "match_iou") if name in options}
    for random in cases(f"accuracy {number}", 400):
        row = an_answer(random)
        columns = row["columns"]
        possible = reference.precisions_and_recalls(
            row["boxes"],
            row["labels"],
            columns["gt_boxes"],
            columns["gt_labels"],
            columns["ignore_boxes"] or (),
            columns["gt_uncertainty"],
            asked=columns["labels"],
            lam=Fraction(options.get("lam", 1.0)),
            **choice,
        )
        given = {name: [value] for name, value in columns.items()}
        value, metrics = reward_and_metrics(reward, row["text"], **given)
        assert nearest(value, [combined(p, r, **options) for p, r in possible]) < TOLERANCE
        assert nearest(metrics["answer/precision"], [p for p, _ in possible]) < TOLERANCE
        assert nearest(metrics["answer/recall"], [r for _, r in possible]) < TOLERANCE
        rows.append(row)
        values.append(value)
    assert reward([row["text"] for row in rows], **batch(rows)) == values
    assert sum(0 < value < 1 for value in values) > 50


def test_accuracy_of_a_crowd():
    # 200 people, each found at an IoU of 9/11, ten of them twice, and 30 boxes where nobody is.
    truth = [[20 * x, 20 * y, 20 * x + 10, 20 * y + 10] for x in range(20) for y in range(10)]
    found = [[x1 + 1, y1, x2 + 1, y2] for x1, y1, x2, y2 in truth]
    nobody = [[20 * x, 500, 20 * x + 10, 510] for x in range(30)]
    uncertainty = [0.5] * 100 + [0.0] * 100
    value, metrics = reward_and_metrics(
        AccuracyReward(),
        response_of([], found[:150] + found[:10] + nobody),
        gt_boxes=[truth],
        gt_uncertainty=[uncertainty],
    )
    precision, recall = Fraction(150 * 9, 190 * 11), Fraction(200 * 9, 250 * 11)
    assert metrics["answer/precision"] == pytest.approx(float(precision), rel=1e-12)
    assert metrics["answer/recall"] == pytest.approx(float(recall), rel=1e-12)
    assert value == pytest.approx(float(reference.f_beta(precision, recall)), rel=1e-12)


@pytest.mark.parametrize("row", golden("Accuracy"), ids=lambda row: row["case"])
def test_accuracy_equals_the_table(row):
    truth, truth_labels, uncertainty = box_cell(row["ground truth"])
    boxes, labels, _ = box_cell(row["answer"])
    value, metrics = reward_and_metrics(
        AccuracyReward(**option_cell(row["options"])),
        response_of([], boxes, labels),
        gt_boxes=[truth],
        gt_labels=[truth_labels if any(truth_labels) else None],
        ignore_boxes=[box_cell(row["ignored"])[0]],
        gt_uncertainty=[uncertainty],
    )
    check_by_hand(row, value, metrics, "answer")
