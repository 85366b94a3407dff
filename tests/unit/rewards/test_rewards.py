from __future__ import annotations

import json
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.regions import box_variance
from dipr1.rewards import (
    AccuracyReward,
    LookingReward,
    ReasoningReward,
    accuracy_reward,
    looking_reward,
    reasoning_reward,
)
from dipr1.rewards.completions import completion_text
from tests.unit import reference


def respond(boxes=(), looks=(), label="person", think="a crowd") -> str:
    answer = [{"bbox_2d": list(box), "label": label} for box in boxes]
    look = [{"bbox_2d": list(box), "why": "overlap"} for box in looks]
    sections = {"think": think, "look": json.dumps(look), "answer": json.dumps(answer)}
    return "\n".join(f"<{name}>{text}</{name}>" for name, text in sections.items())


PEOPLE = [[10, 10, 30, 60], [25, 12, 45, 62], [70, 20, 90, 70]]
SCENE = {
    "gt_boxes": PEOPLE,
    "gt_labels": ["person"] * 3,
    "ignore_boxes": [[0, 80, 100, 100]],
    "gt_uncertainty": [0.9, 0.7, 0.1],
    "region_boxes": PEOPLE,
    "region_uncertainty": [0.9, 0.7, 0.1],
    "frame_width": 100,
    "frame_height": 100,
    "labels": ["person"],
}
EMPTY_SCENE = SCENE | {
    "gt_boxes": [],
    "gt_labels": [],
    "gt_uncertainty": [],
    "region_boxes": [],
    "region_uncertainty": [],
}
HONEST = respond(PEOPLE, PEOPLE[:2])


def rewards(text: str, scene=SCENE) -> list[float]:
    columns = {name: [value] for name, value in scene.items()}
    return [f([text], **columns)[0] for f in (reasoning_reward, looking_reward, accuracy_reward)]


# --- what a response must not gain by ------------------------------------------------------------

ONE_INVERTED = [[30, 10, 10, 60], *PEOPLE[1:]]
HACKS = {
    "every box three times": respond(PEOPLE * 3, PEOPLE[:2]),
    "four far false positives": respond(
        [*PEOPLE, *([x, 2, x + 4, 8] for x in (50, 55, 60, 65))], PEOPLE[:2]
    ),
    "one inverted box": respond(ONE_INVERTED, PEOPLE[:2]),
    "one inverted box more": respond([*PEOPLE, [30, 10, 10, 60]], PEOPLE[:2]),
    "one infinite box more": HONEST.replace("}]</answer>", '}, {"bbox_2d": [0, 0, 1e999, 9],'
                                            ' "label": "person"}]</answer>'),
    "missing label": HONEST.replace(', "label": "person"', "", 1),
    "another label": HONEST.replace('"person"', '"car"', 1),
    "answer twice": HONEST + HONEST[HONEST.index("<answer>") :],
    "all sections twice": HONEST + HONEST,
    "think twice": "<think>a crowd</think>" + HONEST,
    "empty answer": respond([], PEOPLE[:2]),
    "one sure box": respond(PEOPLE[2:], PEOPLE[:2]),
    "the whole image as one box": respond([[0, 0, 100, 100]], PEOPLE[:2]),
    "a grid of boxes": respond(
        [[x, y, x + 20, y + 50] for x in range(0, 80, 5) for y in range(0, 50, 5)], PEOPLE[:2]
    ),
    "look at the whole image": respond(PEOPLE, [[0, 0, 100, 100]]),
    "look at everyone": respond(PEOPLE, PEOPLE),
    "look nowhere": respond(PEOPLE),
    "look at specks": respond(PEOPLE, [[10, 10, 11, 11], [26, 12, 27, 13]]),
    "no thoughts": HONEST.replace("a crowd", ""),
    "text outside": HONEST + " I am sure of it.",
    "a fence": HONEST.replace("<answer>", "<answer>```json\n").replace("</answer>", "```</answer>"),
    "nothing but the answer": json.dumps([{"bbox_2d": box, "label": "person"} for box in PEOPLE]),
    "nothing": "",
}  # fmt: skip


@pytest.mark.parametrize("hack", HACKS.values(), ids=HACKS.keys())
def test_the_honest_response_scores_higher(hack):
    honest, hacked = rewards(HONEST), rewards(hack)
    assert sum(honest) > sum(hacked)
    assert all(a >= b for a, b in zip(honest, hacked, strict=True))


def test_the_honest_response_scores_one_in_each():
    assert rewards(HONEST) == pytest.approx([1.0, 1.0, 1.0], abs=1e-15)


def test_a_correct_empty_answer_scores_one():
    assert rewards(respond(), EMPTY_SCENE) == [1.0, 1.0, 1.0]
    assert rewards(respond(PEOPLE, PEOPLE), EMPTY_SCENE) == [1.0, 0.0, 0.0]


def test_one_bad_box_does_not_cost_the_others():
    clean, spoilt = rewards(respond(PEOPLE[1:]))[2], rewards(respond(ONE_INVERTED))[2]
    assert 0.5 < spoilt < clean


def test_line_breaks_within_the_lists_change_nothing():
    broken = HONEST.replace("[{", "\n[\n{").replace(", ", ",\n ").replace("}]", "}\n]\n")
    assert broken != HONEST
    assert rewards(broken) == rewards(HONEST)


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


# --- reasoning -----------------------------------------------------------------------------------


def test_reasoning_of_no_completions():
    assert reasoning_reward([]) == []


@pytest.mark.parametrize(
    ("text", "thirds"),
    [
        (HONEST, 3),
        ("", 0),
        ("[]", 0),
        ("<think>a</think>", 1),
        ("<think></think><look>[]</look><answer>[]</answer>", 2),
        ("<think>a</think><look>[]</look><answer>nobody</answer>", 2),
        ("<think>a</think><look>[]</look><answer>```[]```</answer>", 2),
        ("<think>a</think><look>[]</look><answer>[]", 2),
        ("<think>a</think><answer>[]</answer><look>[]</look>", 2),
        (HONEST + HONEST, 0),
        (respond([[5, 5, 1, 1]]), 3),
    ],
)
def test_graded_reasoning_counts_sections(text, thirds):
    assert ReasoningReward(graded=True)([text]) == [thirds / 3]
    assert reasoning_reward([text]) == [float(thirds == 3)]


def test_reasoning_checks_the_labels_asked_for():
    assert reasoning_reward([HONEST] * 2, labels=[["person"], ["car"]]) == [1.0, 0.0]


# --- looking -------------------------------------------------------------------------------------


def look(looks, hulls, uncertainty, size=(100, 100), **options):
    columns = {"frame_width": [size[0]], "frame_height": [size[1]]} if size else {}
    reward = LookingReward(**options)
    text = respond(looks=looks)
    return reward([text], region_boxes=[hulls], region_uncertainty=[uncertainty], **columns)[0]


def test_looking_without_regions():
    assert look([], [], []) == 1.0
    assert look([[0, 0, 5, 5]], [], []) == 0.0
    assert look([[5, 5, 5, 9], [9, 9, 1, 1]], [], []) == 1.0
    assert look([], [[0, 0, 5, 5]], [0.4]) == 1.0
    assert look([], [[0, 0, 5, 5]], [0.5]) == 0.0
    assert look([[5, 5, 5, 9]], [[0, 0, 5, 5]], [0.5]) == 0.0


def test_looking_by_hand():
    # 25 of 50 looked at are wanted; recall (0.9 * 25 / 25 + 0.6 * 0) / 1.5.
    value = look([[0, 0, 10, 5]], [[0, 0, 5, 5], [50, 50, 60, 60]], [0.9, 0.6])
    assert value == pytest.approx(2 * 0.5 * 0.6 / 1.1, rel=1e-15)
    # beta 2 favours recall: 5 * p * r / (4 * p + r).
    value = look([[0, 0, 10, 5]], [[0, 0, 5, 5], [50, 50, 60, 60]], [0.9, 0.6], beta=2.0)
    assert value == pytest.approx(5 * 0.5 * 0.6 / (4 * 0.5 + 0.6), rel=1e-15)


def test_looking_counts_each_place_once():
    hulls, u = [[0, 0, 10, 10], [5, 0, 15, 10]], [0.8, 0.8]
    assert look([[0, 0, 15, 10]], hulls, u) == 1.0
    assert look([[0, 0, 15, 10]] * 5, hulls, u) == 1.0
    assert look([[0, 0, 10, 10], [10, 0, 20, 10]], hulls, u) == pytest.approx(2 * 0.75 / 1.75)


def test_only_the_most_uncertain_regions_are_targets():
    hulls = [[10 * k, 0, 10 * k + 5, 5] for k in range(20)]
    u = [0.5 + k / 100 for k in range(20)]
    assert look(hulls[4:], hulls, u, (300, 10)) == pytest.approx(1.0, abs=1e-15)
    assert look(hulls, hulls, u, (300, 10)) < 1.0
    assert look(hulls[19:], hulls, u, (300, 10), max_regions=1) == 1.0
    assert look(hulls[10:], hulls, u, (300, 10), threshold=0.6) == pytest.approx(1.0, abs=1e-15)


def test_looks_and_hulls_end_at_the_frame():
    assert look([[-50, 0, 10, 150]], [[0, 0, 10, 100]], [0.9]) == 1.0
    assert look([[0, 0, 10, 100]], [[-50, -50, 10, 150]], [0.9]) == 1.0
    assert look([[-50, 0, 10, 100]], [[0, 0, 10, 100]], [0.9], None) == pytest.approx(2 / 7)


def test_a_hull_without_area_is_no_target():
    assert look([], [[5, 5, 5, 9]], [0.9]) == 1.0
    assert look([], [[200, 5, 210, 9]], [0.9]) == 1.0


@pytest.mark.parametrize("looks", ["", "nowhere", "[{]", "</look><look>[]"])
def test_a_look_section_that_does_not_parse_scores_zero(looks):
    text = f"<think>a</think><look>{looks}</look><answer>[]</answer>"
    assert looking_reward([text], region_boxes=[[]], region_uncertainty=[[]]) == [0.0]


def test_a_row_without_regions_is_skipped():
    columns = {"region_boxes": [None, []], "region_uncertainty": [None, []]}
    assert looking_reward([respond()] * 2, **columns) == [None, 1.0]


@pytest.mark.parametrize("name", ["region_boxes", "region_uncertainty"])
def test_looking_names_the_column_that_is_absent(name):
    columns = {"region_boxes": [[]], "region_uncertainty": [[]]}
    del columns[name]
    with pytest.raises(ValueError, match=f"looking_reward needs the column '{name}'"):
        looking_reward([HONEST], **columns)


SIDE = st.integers(0, 14)
BOX = st.tuples(SIDE, SIDE, st.integers(1, 8), st.integers(1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
# Sixteenths, so that the reference's fractions are the same numbers.
LEVEL = st.integers(0, 16).map(lambda level: level / 16)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(SIDE, SIDE, SIDE, SIDE) | BOX, max_size=5),
    st.lists(st.tuples(BOX, LEVEL), max_size=5),
    st.integers(1, 4),
)
def test_looking_equals_counted_cells(looks, regions, max_regions):
    hulls, u = [box for box, _ in regions], [level for _, level in regions]
    expected = reference.looking(looks, hulls, u, 22, 22, max_regions=max_regions)
    found = look(looks, hulls, u, (22, 22), max_regions=max_regions)
    assert found == pytest.approx(float(expected), abs=1e-12)


# --- accuracy ------------------------------------------------------------------------------------


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


# --- as a trainer calls them ---------------------------------------------------------------------


@pytest.mark.parametrize(
    "completion",
    [
        "hello",
        [{"role": "assistant", "content": "hello"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}],
        [{"role": "assistant", "content": [{"type": "text", "text": t} for t in ("hel", "lo")]}],
    ],
)
def test_text_of_a_completion(completion):
    assert completion_text(completion) == "hello"


@pytest.mark.parametrize("completion", ["", [], [{"role": "assistant", "content": None}]])
def test_text_of_an_empty_completion(completion):
    assert completion_text(completion) == ""


def trainer_columns(num: int) -> dict:
    return {name: [value] * num for name, value in SCENE.items()} | {
        "prompts": [[{"role": "user", "content": "?"}]] * num,
        "completion_ids": [[1, 2]] * num,
        "trainer_state": object(),
        "log_extra": lambda column, values: None,
    }


def test_conversations_score_as_strings():
    texts = [HONEST, *HACKS.values()]
    chats = [[{"role": "assistant", "content": text}] for text in texts]
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        columns = trainer_columns(len(texts))
        values = reward(completions=texts, **columns)
        assert values == reward(completions=chats, **columns)
        assert all(type(value) is float and 0.0 <= value <= 1.0 for value in values)


def test_metrics_are_means_over_the_batch():
    logged = {}
    texts = [HONEST, respond(PEOPLE * 2, [[0, 0, 50, 100]]), "", respond(PEOPLE[:1])]
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        reward(completions=texts, **trainer_columns(4), log_metric=logged.__setitem__)
    assert logged["response/well_formed"] == 0.75
    assert logged["answer/boxes"] == pytest.approx((3 + 6 + 1) / 3)
    assert logged["answer/duplicates"] == pytest.approx(3 / 3)
    assert logged["answer/precision"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert logged["answer/recall"] == pytest.approx((1 + 1 + 1.9 / 4.7) / 3)
    assert logged["look/boxes"] == pytest.approx((2 + 1 + 0) / 3)
    assert logged["look/recall"] == pytest.approx(2 / 3)
    union = 1000 + 1000 - 5 * 48
    assert logged["look/area_share"] == pytest.approx((union / 1e4 + 0.5 + 0) / 3)
    assert logged["look/precision"] == pytest.approx((1 + union / 5000 + 0) / 3)
    assert all(type(value) is float for value in logged.values())


def test_no_metric_is_logged_where_there_is_nothing_to_average():
    logged = {}
    accuracy_reward([""], gt_boxes=[[]], log_metric=logged.__setitem__)
    accuracy_reward([], gt_boxes=[], log_metric=logged.__setitem__)
    assert logged == {}


@pytest.mark.parametrize(
    "reward",
    [
        ReasoningReward(graded=True),
        LookingReward(0.6, 3, 2.0),
        AccuracyReward("hard", "mean", alpha=0.2),
    ],
)
def test_rewards_pickle(reward):
    copy = pickle.loads(pickle.dumps(reward))
    assert vars(copy) == vars(reward) and vars(copy)
    assert copy.__name__ == reward.__name__
    texts = [HONEST, *HACKS.values()]
    assert copy(texts, **trainer_columns(len(texts))) == reward(
        texts, **trainer_columns(len(texts))
    )


def test_names_that_trainers_log():
    functions = (reasoning_reward, looking_reward, accuracy_reward)
    classes = (ReasoningReward, LookingReward, AccuracyReward)
    assert [f.__name__ for f in functions] == [c().__name__ for c in classes]
    for plain, with_options in zip(functions, classes, strict=True):
        texts = [HONEST, *HACKS.values()]
        columns = trainer_columns(len(texts))
        assert plain(texts, **columns) == with_options()(texts, **columns)


def test_threads_agree():
    texts = [HONEST, *HACKS.values()] * 4
    columns = trainer_columns(len(texts))
    expected = accuracy_reward(texts, **columns)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(accuracy_reward, texts, **columns) for _ in range(8)]
        assert all(result.result() == expected for result in results)


def test_import_is_light():
    code = (
        "import sys, dipr1.rewards; heavy = ['torch', 'trl', 'transformers', 'pandas', 'pyarrow',"
        " 'scipy', 'pydantic']; print([m for m in heavy if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr


# --- regions of the group -------------------------------------------------------------------------

# A person whom everybody finds, one whom half of the group finds, and nobody else.
SURE, DOUBTFUL = [10, 10, 30, 60], [70, 20, 90, 70]
GROUP = [respond([SURE, DOUBTFUL], [DOUBTFUL])] * 2 + [respond([SURE], [DOUBTFUL])] * 3
GROUP_COLUMNS = {
    "gt_boxes": [[SURE, DOUBTFUL]] * 5,
    "frame_width": [100] * 5,
    "frame_height": [100] * 5,
}


def test_a_group_tells_its_responses_where_to_look():
    # Four others: found by 4 e = .36, by 1 or 2 e = .84 or 1; so only DOUBTFUL is a target.
    rewards = LookingReward(source="group")(GROUP, image_id=["a"] * 5, **GROUP_COLUMNS)
    assert rewards == [1.0] * 5


def test_a_response_is_not_judged_by_itself():
    # Alone in seeing a phantom: the others know of no such region, and it is wrong to look there.
    phantom = [40, 10, 60, 60]
    odd = respond([SURE, phantom], [phantom])
    group = [odd, respond([SURE]), respond([SURE]), respond([SURE]), respond([SURE])]
    columns = GROUP_COLUMNS | {"gt_boxes": [[SURE]] * 5}
    first, *others = LookingReward(source="group")(group, image_id=["a"] * 5, **columns)
    assert first == 0.0
    # For the others it is a region of support 1 / 4, e = 21 / 25, and they do not look.
    assert others == [0.0] * 4


def test_groups_do_not_mix():
    # The same question about two images: without ids what is annotated tells them apart.
    together = LookingReward(source="group")(
        GROUP + GROUP[:1], prompts=["where?"] * 6, gt_boxes=[[SURE, DOUBTFUL]] * 5 + [[SURE]]
    )
    assert together == [1.0] * 5 + [None]  # one response is no group
    conversations = [[{"role": "user", "content": "where?"}]] * 5
    assert LookingReward(source="group")(GROUP, prompts=conversations, **GROUP_COLUMNS) == [1.0] * 5


def test_a_group_needs_to_know_what_it_is():
    with pytest.raises(ValueError, match="needs the column 'prompts'"):
        LookingReward(source="group")(GROUP, **GROUP_COLUMNS)
    with pytest.raises(ValueError, match="needs the column 'gt_boxes'"):
        LookingReward(source="group")(GROUP, image_id=["a"] * 5)
    with pytest.raises(ValueError, match="source: expected"):
        LookingReward(source="batch")


def test_regions_of_the_group_are_those_of_box_variance():
    rng = np.random.default_rng(0)
    truth = rng.uniform(0, 60, (6, 2))
    truth = np.concatenate([truth, truth + rng.uniform(10, 40, (6, 2))], axis=1)
    answers = [
        (truth + rng.normal(0, 2, truth.shape))[rng.random(6) < 0.6].round(2) for _ in range(6)
    ]
    texts = [respond(boxes.tolist(), truth[:2].tolist()) for boxes in answers]
    found = LookingReward(source="group")(
        texts, image_id=[7] * 6, gt_boxes=[truth] * 6, frame_width=[100] * 6, frame_height=[100] * 6
    )
    for i, text in enumerate(texts):
        others = [np.clip(boxes, 0, 100) for j, boxes in enumerate(answers) if j != i]
        regions = box_variance(others, truth)
        expected = looking_reward(
            [text],
            region_boxes=[[region.hull for region in regions]],
            region_uncertainty=[[region.uncertainty for region in regions]],
            frame_width=[100],
            frame_height=[100],
        )
        assert [found[i]] == expected


# --- what is logged -------------------------------------------------------------------------------


def test_what_a_person_training_needs_is_logged():
    logged = {}
    texts = [
        HONEST,
        respond([PEOPLE[0]] * 3, PEOPLE[:1]),
        "<think>a crowd</think><look>[]</look><answer>[{",
    ]
    columns = {name: [value] * 3 for name, value in SCENE.items()}
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        reward(texts, log_metric=logged.__setitem__, **columns)
    assert logged["response/well_formed"] == pytest.approx(2 / 3)
    assert logged["response/truncated"] == pytest.approx(1 / 3)
    problems = {name for name, share in logged.items() if name.startswith("problems/") and share}
    assert problems == {"problems/answer_unclosed", "problems/answer_not_json"}
    # Over the answers that can be read.
    assert logged["answer/boxes"] == 3.0
    assert logged["answer/duplicates"] == 1.0
    assert logged["answer/ignored"] == 0.0
    assert logged["answer/precision"] == pytest.approx((1 + 1 / 3) / 2)
    assert logged["answer/recall"] == pytest.approx((1 + 1.9 / 4.7) / 2)
    assert logged["look/recall"] == pytest.approx((1 + 0.9 / 1.6 + (0.7 / 1.6) * 0.24 + 0) / 3)
    assert logged["look/precision"] == pytest.approx(2 / 3)
    assert logged["look/area_share"] == pytest.approx((1760 + 1000 + 0) / 3 / 10_000)


def test_a_copy_is_not_taken_for_a_neighbour():
    # Two people who overlap by more than half; one is found, and given twice.
    columns = {"gt_boxes": [[[0, 0, 20, 60], [4, 0, 24, 60]]]}
    once, twice = (accuracy_reward([respond([[0, 0, 20, 60]] * n)], **columns)[0] for n in (1, 2))
    assert once == pytest.approx(2 / 3)
    assert twice == pytest.approx(1 / 2)
    # Two who stand in the same four numbers are two.
    assert accuracy_reward([respond([SURE] * 2)], gt_boxes=[[SURE] * 2]) == [1.0]
