"""Boxes, statistics and rewards against slow exact references, on thousands of random cases."""

from __future__ import annotations

import json
import re
from fractions import Fraction
from pathlib import Path
from random import Random

import numpy as np
import pytest

from dipr1.boxes import area, clip, ioa, iou, match, overlapping, union_area
from dipr1.regions import box_variance, look_targets
from dipr1.rewards import AccuracyReward, LookingReward, ReasoningReward
from tests.unit import reference

TOLERANCE = 1e-9
NAN, INF = float("nan"), float("inf")
UNUSABLE = [
    [NAN, 0, 4, 4],
    [NAN] * 4,
    [0, 0, INF, 4],
    [-INF, -INF, INF, INF],
    [4, 0, 0, 4],
    [0, 4, 4, 0],
    [4, 4, 0, 0],
    [2, 2, 2, 4],
    [2, 2, 2, 2],
    [-1e300, -1e300, 1e300, 1e300],
]
# Halves and thirds of one another, at the same place or touching: IoUs of exactly 1/2, 1/3, 1/4.
TIES = [[0, 0, 4, 4], [0, 0, 4, 2], [0, 2, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [0, 0, 2, 2]]


# --- random cases -------------------------------------------------------------------------------


def any_boxes(random: Random, num: int) -> list[list[float]]:
    """Small integers in any order, so that some are inverted, degenerate or outside the frame."""
    return [[random.randint(-3, 14) for _ in range(4)] for _ in range(num)]


def upright_boxes(random: Random, num: int) -> list[list[float]]:
    corners = [(random.randint(-3, 14), random.randint(-3, 14)) for _ in range(num)]
    return [[x, y, x + random.randint(1, 9), y + random.randint(1, 9)] for x, y in corners]


def clustered_boxes(random: Random, num: int) -> list[list[float]]:
    """Duplicates, and near-duplicates of one to three boxes."""
    centres = upright_boxes(random, random.randint(1, 3))
    return [
        [side + random.choice((0, 0, 0, -1, 1)) for side in random.choice(centres)]
        for _ in range(num)
    ]


def tied_boxes(random: Random, num: int) -> list[list[float]]:
    return [list(random.choice(TIES)) for _ in range(num)]


def decimal_boxes(random: Random, num: int) -> list[list[float]]:
    corners = [(random.uniform(-9, 40), random.uniform(-9, 40)) for _ in range(num)]
    return [[x, y, x + random.uniform(0, 30), y + random.uniform(0, 30)] for x, y in corners]


INTEGER_KINDS = [any_boxes, upright_boxes, clustered_boxes, tied_boxes]


def sixteenths(random: Random, num: int) -> list[list[float]]:
    """Decimals whose fractions stay short: for what is slow to work out exactly."""
    return [[round(side * 16) / 16 for side in box] for box in decimal_boxes(random, num)]


KINDS = [*INTEGER_KINDS, decimal_boxes]


def some_boxes(random: Random, most: int, kinds=KINDS, unusable=0.15) -> list[list[float]]:
    boxes = random.choice(kinds)(random, random.randint(0, most))
    return [list(random.choice(UNUSABLE)) if random.random() < unusable else b for b in boxes]


def cases(seed: str, num: int):
    """A generator of random numbers for each case, so that one case can be run alone."""
    return [Random(f"{seed} {case}") for case in range(num)]


def nearest(found: float, expected) -> float:
    return min(abs(found - value) for value in expected)


# --- overlaps -----------------------------------------------------------------------------------


def test_areas_and_overlaps():
    for random in cases("overlaps", 3000):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        expected = [float(reference.box_area(p)) for p in a]
        np.testing.assert_allclose(area(a), expected, rtol=0, atol=TOLERANCE)
        for function, exact in ((iou, reference.box_iou), (ioa, reference.box_ioa)):
            expected = np.reshape([float(exact(p, q)) for p in a for q in b], (len(a), len(b)))
            np.testing.assert_allclose(function(a, b), expected, rtol=0, atol=TOLERANCE)


def test_clipping():
    for random in cases("clip", 1000):
        boxes = some_boxes(random, 6)
        width, height = random.randint(1, 12), random.uniform(1, 12)
        expected = [reference.clipped(box, width, height) for box in boxes]
        np.testing.assert_array_equal(clip(boxes, width, height), np.reshape(expected, (-1, 4)))


@pytest.mark.parametrize("threshold", [0.0, 0.25, 0.5, 0.75, 1.0])
def test_overlapping_pairs(threshold):
    for random in cases("pairs", 500):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        rows, columns, ious = overlapping(a, b, threshold)
        exact = {(i, j): reference.box_iou(p, q) for i, p in enumerate(a) for j, q in enumerate(b)}
        expected = {pair for pair, value in exact.items() if value >= threshold and value > 0}
        found = list(zip(rows.tolist(), columns.tolist(), strict=True))
        assert len(found) == len(expected) and set(found) == expected
        assert all(abs(v - exact[p]) < TOLERANCE for p, v in zip(found, ious, strict=True))


def test_unions_equal_counted_cells():
    for random in cases("unions", 2000):
        boxes = some_boxes(random, 8, INTEGER_KINDS)
        assert abs(union_area(boxes) - len(reference.cells(boxes))) < TOLERANCE


def test_unions_of_decimals():
    for random in cases("decimal unions", 300):
        boxes = some_boxes(random, 6)
        assert abs(union_area(boxes) - float(reference.union_area(boxes))) < 1e-9


@pytest.mark.parametrize("num", [30, 100, 300, 1000, 3000])
@pytest.mark.parametrize("largest", [3, 40, 400])
def test_unions_of_many_boxes(num, largest):
    rng = np.random.default_rng(num + largest)
    corners = rng.integers(0, 400, (num, 2))
    boxes = np.hstack([corners, corners + rng.integers(1, largest + 1, (num, 2))])
    painted = np.zeros((800, 800), dtype=bool)
    for x1, y1, x2, y2 in boxes:
        painted[x1:x2, y1:y2] = True
    assert union_area(boxes) == pytest.approx(painted.sum(), rel=1e-12)
    # Scaled down they are decimals that binary numbers do not hold.
    assert union_area(boxes / 7) == pytest.approx(painted.sum() / 49, rel=1e-11)


# --- matching -----------------------------------------------------------------------------------


def check_matching(found, a, b, threshold, num_pairs, total) -> None:
    rows, columns, ious = found
    assert len(rows) == num_pairs
    assert rows.tolist() == sorted(set(rows.tolist()))
    assert len(set(columns.tolist())) == num_pairs
    exact = [reference.box_iou(a[i], b[j]) for i, j in zip(rows, columns, strict=True)]
    assert all(value >= threshold and value > 0 for value in exact)
    assert all(abs(value - v) < TOLERANCE for value, v in zip(exact, ious, strict=True))
    # Exact: of equally many pairs none with a larger total may exist, however little larger.
    assert sum(exact) == total


def test_matching():
    for random in cases("matching", 3000):
        a, b = some_boxes(random, 6), some_boxes(random, 6)
        if random.random() < 0.5:
            b = [[side + random.choice((0, 0, 1)) for side in box] for box in a[:4]] + b[:2]
        threshold = random.choice((0.0, 0.25, 0.5, 0.5, 0.5, 0.75, 1.0))
        overlaps = [[reference.box_iou(p, q) for q in b] for p in a]
        best = reference.best_matchings(overlaps, threshold)[0]
        total = sum(overlaps[i][j] for i, j in best)
        check_matching(match(a, b, threshold), a, b, threshold, len(best), total)


@pytest.mark.parametrize("num_groups", [10, 40, 120])
def test_matching_in_a_crowd_of_groups(num_groups):
    # Groups that lie far apart, so that each can be matched alone, shuffled into one crowd.
    random = Random(num_groups)
    a, b, num_pairs, total = [], [], 0, Fraction(0)
    for group in range(num_groups):
        far = group * 100
        boxes = clustered_boxes(random, random.randint(0, 5))
        jittered = [[s + random.choice((0, 0, 1, -1)) for s in box] for box in boxes]
        boxes, jittered = boxes[: random.randint(0, 5)], jittered[: random.randint(0, 5)]
        boxes, jittered = ([[s + far for s in box] for box in side] for side in (boxes, jittered))
        overlaps = [[reference.box_iou(p, q) for q in jittered] for p in boxes]
        best = reference.best_matchings(overlaps)[0]
        num_pairs += len(best)
        total += sum(overlaps[i][j] for i, j in best)
        a, b = a + boxes, b + jittered
    random.shuffle(a)
    random.shuffle(b)
    found = match(a, b)
    assert len(found[0]) == num_pairs > num_groups / 2
    assert found[2].sum() == pytest.approx(float(total), abs=TOLERANCE)


# --- box variance -------------------------------------------------------------------------------


def jittered(random: Random, box, amount) -> list[float]:
    return [side + random.choice(amount) for side in box]


def an_image(random: Random) -> tuple[list, list, list, dict]:
    """Samples, ground truth, ignore regions and options."""
    kind = random.choice((upright_boxes, sixteenths))
    amount = (0, 0, 0, 1, -1) if kind is upright_boxes else (0.0, 0.25, -0.375, 1.75, -1.125)
    truth = kind(random, random.randint(0, 3))
    seen = truth + kind(random, random.randint(0, 2))
    samples = []
    for _ in range(random.randint(1, 6)):
        boxes = [jittered(random, box, amount) for box in seen if random.random() < 0.7]
        boxes += some_boxes(random, 1, [kind])
        random.shuffle(boxes)
        samples.append(boxes)
    options = {} if random.random() < 0.7 else {"match_iou": 0.25, "v0": 0.03}
    return samples, truth, some_boxes(random, 2, [kind], 0), options


def test_box_variance():
    num_compared = num_phantoms = num_repeated = 0
    for random in cases("variance", 1000):
        samples, truth, ignore, options = an_image(random)
        truth = [box for box in truth if reference.box_area(box)]
        try:
            expected = reference.regions(samples, truth, ignore, **options)
        except reference.Ambiguous:
            continue
        found = box_variance(samples, truth, ignore, **options)
        assert len(found) == len(expected)
        for region, row in zip(found, expected, strict=True):
            gt_index, box, hull, support, existence, variance, uncertainty = row
            assert region.gt_index == gt_index
            assert region.kind == ("phantom" if gt_index is None else "object")
            assert region.num_samples == len(samples)
            np.testing.assert_allclose(region.box, box, rtol=0, atol=TOLERANCE)
            np.testing.assert_allclose(region.hull, hull, rtol=0, atol=TOLERANCE)
            assert abs(region.support - support) < TOLERANCE
            assert abs(region.existence_variance - existence) < TOLERANCE
            assert (region.box_variance is None) == (variance is None)
            if variance is not None:
                assert region.box_variance == pytest.approx(variance, rel=1e-9, abs=TOLERANCE)
                num_repeated += 1
            assert abs(region.uncertainty - uncertainty) < TOLERANCE
            num_phantoms += gt_index is None
        num_compared += 1
    assert num_compared > 700 and num_phantoms > 1000 and num_repeated > 1000


def level(random: Random) -> float:
    """Sixteenths, so that ties and the threshold itself come up."""
    return random.randint(0, 16) / 16


def test_look_targets():
    for random in cases("targets", 3000):
        hulls = some_boxes(random, 8)
        uncertainty = [level(random) for _ in hulls]
        options = {
            "threshold": random.choice((0.25, 0.5, 1.0)),
            "max_regions": random.randint(1, 9),
        }
        expected = reference.targets(hulls, uncertainty, **options)
        assert look_targets(hulls, uncertainty, **options).tolist() == expected


# --- rewards ------------------------------------------------------------------------------------


def respond(looks, boxes, labels=None) -> str:
    """A response; `json` writes the coordinates that are not finite as NaN and Infinity."""
    answer = [{"bbox_2d": box, "label": "person"} for box in boxes]
    if labels is not None:
        answer = [
            {"bbox_2d": box} | ({} if label is None else {"label": label})
            for box, label in zip(boxes, labels, strict=True)
        ]
    look = json.dumps([{"bbox_2d": box} for box in looks])
    return f"<think>a crowd</think><look>{look}</look><answer>{json.dumps(answer)}</answer>"


def as_read(boxes) -> list[list[float]]:
    """A box with a coordinate that is not finite is read as none at all."""
    return [box if np.isfinite(box).all() else [NAN] * 4 for box in boxes]


def reward_and_metrics(reward, text: str, **columns) -> tuple[float, dict[str, float]]:
    metrics: dict[str, float] = {}
    [value] = reward([text], **columns, log_metric=metrics.__setitem__)
    return value, metrics


def scaled(boxes, scale: float) -> list[list[float]]:
    return [[side * scale for side in box] for box in boxes]


LOOKING_OPTIONS = [
    {},
    {},
    {"beta": 2.0},
    {"threshold": 0.25, "max_regions": 2},
    {"max_regions": 1, "beta": 0.5},
]


def a_look(random: Random) -> dict:
    """A row: the text, its columns, and the looks and hulls in whole numbers."""
    looks = as_read(some_boxes(random, 6, INTEGER_KINDS))
    hulls = some_boxes(random, 6, INTEGER_KINDS, 0)
    if random.random() < 0.5:
        looks = [jittered(random, box, (0, 0, 1, -2)) for box in hulls[:3]] + looks[:2]
    frame = random.choice((None, (12, 12), (9, 17), (40, 40)))
    # Areas and their ratios are the same in any unit.
    unit = random.choice((1, 1, 0.125, 3.7, 1e-3, 1e4))
    return {
        "text": respond(scaled(looks, unit), []),
        "looks": looks,
        "hulls": hulls,
        "frame": frame,
        "columns": {
            "region_boxes": scaled(hulls, unit),
            "region_uncertainty": [random.choice((None, *[level(random)] * 9)) for _ in hulls],
            "frame_width": None if frame is None else frame[0] * unit,
            "frame_height": None if frame is None else frame[1] * unit,
        },
    }


@pytest.mark.parametrize("number", range(len(LOOKING_OPTIONS)))
def test_looking(number):
    options = LOOKING_OPTIONS[number]
    reward, rows, values = LookingReward(**options), [], []
    beta = options.get("beta", 1.0)
    choice = {name: value for name, value in options.items() if name != "beta"}
    for random in cases(f"looking {number}", 600):
        row = a_look(random)
        recall, precision = reference.look_recall_precision(
            row["looks"],
            row["hulls"],
            row["columns"]["region_uncertainty"],
            row["frame"],
            **choice,
        )
        columns = {name: [value] for name, value in row["columns"].items()}
        value, metrics = reward_and_metrics(reward, row["text"], **columns)
        assert abs(value - reference.f_beta(precision, recall, beta)) < TOLERANCE
        assert abs(metrics["look/recall"] - recall) < TOLERANCE
        assert abs(metrics["look/precision"] - precision) < TOLERANCE
        rows.append(row)
        values.append(value)
    assert reward([row["text"] for row in rows], **batch(rows)) == values
    assert sum(0 < value < 1 for value in values) > 100


def batch(rows) -> dict[str, list]:
    return {name: [row["columns"][name] for row in rows] for name in rows[0]["columns"]}


@pytest.mark.parametrize("num_looks", [40, 400, 2000])
def test_looking_with_many_boxes(num_looks):
    rng = np.random.default_rng(num_looks)
    corners = rng.integers(-20, 380, (num_looks, 2))
    looks = np.hstack([corners, corners + rng.integers(1, 60, (num_looks, 2))])
    corners = rng.integers(-20, 380, (12, 2))
    hulls = np.hstack([corners, corners + rng.integers(20, 120, (12, 2))])
    uncertainty = rng.integers(8, 17, 12) / 16

    def painted(boxes) -> np.ndarray:
        grid = np.zeros((400, 400), dtype=bool)
        for x1, y1, x2, y2 in np.clip(boxes, 0, 400):
            grid[x1:x2, y1:y2] = True
        return grid

    looked = painted(looks)
    masks = [painted([hull]) for hull in hulls]
    shares = np.array([(looked & mask).sum() / mask.sum() for mask in masks])
    recall = (uncertainty * shares).sum() / uncertainty.sum()
    precision = (looked & painted(hulls)).sum() / looked.sum()
    _, metrics = reward_and_metrics(
        LookingReward(),
        respond(looks.tolist(), []),
        region_boxes=[hulls.tolist()],
        region_uncertainty=[uncertainty.tolist()],
        frame_width=[400],
        frame_height=[400],
    )
    assert metrics["look/recall"] == pytest.approx(recall, rel=1e-9)
    assert metrics["look/precision"] == pytest.approx(precision, rel=1e-9)


ACCURACY_OPTIONS = [
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
LABELS = ["person", "car"]


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
        "text": respond([], boxes, labels),
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


@pytest.mark.parametrize("number", range(len(ACCURACY_OPTIONS)))
def test_accuracy(number):
    options = ACCURACY_OPTIONS[number]
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
        respond([], found[:150] + found[:10] + nobody),
        gt_boxes=[truth],
        gt_uncertainty=[uncertainty],
    )
    precision, recall = Fraction(150 * 9, 190 * 11), Fraction(200 * 9, 250 * 11)
    assert metrics["answer/precision"] == pytest.approx(float(precision), rel=1e-12)
    assert metrics["answer/recall"] == pytest.approx(float(recall), rel=1e-12)
    assert value == pytest.approx(float(reference.f_beta(precision, recall)), rel=1e-12)


def test_reasoning_is_one_for_every_well_formed_response():
    texts = []
    for random in cases("reasoning", 300):
        looks, boxes = some_boxes(random, 4, unusable=0), some_boxes(random, 4, unusable=0)
        texts.append(respond(looks, boxes))
    assert ReasoningReward()(texts, labels=[LABELS] * len(texts)) == [1.0] * len(texts)
    assert ReasoningReward(graded=True)(texts) == [1.0] * len(texts)


# --- worked out by hand -------------------------------------------------------------------------

GOLDEN = (Path(__file__).parent / "golden_rewards.md").read_text(encoding="utf-8")


def golden(section: str) -> list[dict[str, str]]:
    """The rows of a section's table."""
    lines = GOLDEN.split(f"## {section}\n")[1].split("\n## ")[0].splitlines()
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    header, _, *rows = rows
    return [dict(zip(header, row, strict=True)) for row in rows]


def box_cell(cell: str) -> tuple[list[list[float]], list[str | None], list[float]]:
    """The boxes of a cell, their labels and their uncertainties."""
    boxes, labels, uncertainty = [], [], []
    for item in filter(None, cell.split(",")):
        label, box, u = re.fullmatch(r"\s*([a-z]+)?\s*([-\d ]+?)\s*(?:u ([\d.]+))?", item).groups()
        boxes.append([int(side) for side in box.split()])
        labels.append(label)
        uncertainty.append(float(u or 0))
    return boxes, labels, uncertainty


def fraction(expression: str) -> Fraction:
    numbers = re.sub(r"\d+(\.\d+)?", r"Fraction('\g<0>')", expression)
    return eval(numbers, {"__builtins__": {}, "Fraction": Fraction})


def by_hand(cell: str) -> dict[str, Fraction]:
    """The values of P, R and F, every step of their arithmetic checked."""
    values = {}
    for line in cell.split(";"):
        name, *steps = line.split("=")
        exact = {fraction(step) for step in steps}
        assert len(exact) == 1, f"the steps of {line!r} differ"
        values[name.strip()] = exact.pop()
    return values


def option_cell(cell: str) -> dict:
    return eval(f"dict({cell})", {"__builtins__": {"dict": dict}})


def check_by_hand(row, value, metrics, prefix) -> None:
    expected = by_hand(row["by hand"])
    assert fraction(row["reward"]) == expected["F"]
    assert abs(value - expected["F"]) < 1e-12
    assert abs(metrics[f"{prefix}/precision"] - expected["P"]) < 1e-12
    assert abs(metrics[f"{prefix}/recall"] - expected["R"]) < 1e-12


@pytest.mark.parametrize("row", golden("Accuracy"), ids=lambda row: row["case"])
def test_accuracy_by_hand(row):
    truth, truth_labels, uncertainty = box_cell(row["ground truth"])
    boxes, labels, _ = box_cell(row["answer"])
    value, metrics = reward_and_metrics(
        AccuracyReward(**option_cell(row["options"])),
        respond([], boxes, labels),
        gt_boxes=[truth],
        gt_labels=[truth_labels if any(truth_labels) else None],
        ignore_boxes=[box_cell(row["ignored"])[0]],
        gt_uncertainty=[uncertainty],
    )
    check_by_hand(row, value, metrics, "answer")


@pytest.mark.parametrize("row", golden("Looking"), ids=lambda row: row["case"])
def test_looking_by_hand(row):
    hulls, _, uncertainty = box_cell(row["regions"])
    value, metrics = reward_and_metrics(
        LookingReward(**option_cell(row["options"])),
        respond(box_cell(row["look"])[0], []),
        region_boxes=[hulls],
        region_uncertainty=[uncertainty],
        frame_width=[100],
        frame_height=[100],
    )
    check_by_hand(row, value, metrics, "look")
