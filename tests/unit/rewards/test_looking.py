"""The looking reward: by hand, against exact references, and by the prompt's own group."""

from __future__ import annotations

import itertools
from random import Random

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.regions import box_variance
from dipr1.rewards import LookingReward, looking_reward
from tests.unit import reference
from tests.unit.random_boxes import (
    BOX,
    INTEGER_KINDS,
    LEVEL,
    SIDE,
    TOLERANCE,
    cases,
    jittered,
    level,
    some_boxes,
)
from tests.unit.rewards.exact import (
    as_read,
    batch,
    box_cell,
    check_by_hand,
    golden,
    option_cell,
    response_of,
    reward_and_metrics,
)
from tests.unit.rewards.responding import HONEST, respond


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


def test_looking_counts_every_look():
    hulls, u = [[0, 0, 10, 10], [6, 0, 16, 10]], [0.8, 0.8]
    assert look([[0, 0, 16, 10]], hulls, u) == 1.0
    # where two regions lie, a second look is none too many: 160 + 40 of 320
    assert look([[0, 0, 16, 10]] * 2, hulls, u) == pytest.approx(2 * 0.625 / 1.625)
    assert look([[0, 0, 16, 10]] * 5, hulls, u) == pytest.approx(2 * 0.25 / 1.25)
    assert look([[0, 0, 10, 10], [10, 0, 20, 10]], hulls, u) == pytest.approx(2 * 0.8 / 1.8)


@pytest.mark.parametrize("times", [2, 6, 27])
def test_repeated_looks_cost_their_whole_area(times):
    hulls, u = [[0, 0, 10, 10], [30, 0, 40, 10]], [0.8, 0.8]
    assert look(hulls * times, hulls, u) == pytest.approx(2 / (1 + times))
    near = [[x, y, x + 10, y + 10] for x in range(times) for y in range(2)]
    assert look([*hulls, *near], hulls, u) < look(hulls, hulls, u) == 1.0


def test_a_region_that_lies_in_a_target_is_no_target():
    hulls, u = [[0, 0, 10, 10], [5, 0, 15, 10], [40, 0, 50, 10]], [0.9, 0.8, 0.7]
    assert look([hulls[0], hulls[2]], hulls, u) == pytest.approx(1.0, abs=1e-15)
    # clipped to the frame first: all that is left of the second lies in the first
    assert look([[0, 0, 10, 10]], [[0, 0, 10, 10], [-90, 0, 10, 10]], [0.9, 0.8]) == 1.0


def test_only_the_most_uncertain_regions_are_targets():
    hulls = [[10 * k, 0, 10 * k + 5, 5] for k in range(20)]
    u = [0.5 + k / 100 for k in range(20)]
    assert look(hulls[16:], hulls, u, (300, 10)) == pytest.approx(1.0, abs=1e-15)
    assert look(hulls[4:], hulls, u, (300, 10), max_regions=16) == pytest.approx(1.0, abs=1e-15)
    assert look(hulls, hulls, u, (300, 10)) < 1.0
    assert look(hulls[19:], hulls, u, (300, 10), max_regions=1) == 1.0
    uncertain = look(hulls[10:], hulls, u, (300, 10), threshold=0.6, max_regions=20)
    assert uncertain == pytest.approx(1.0, abs=1e-15)


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


def test_unreadable_responses_are_no_part_of_a_group():
    """They do not say that nobody is there: with fewer than two others nothing is known."""
    reward, columns = LookingReward(source="group"), GROUP_COLUMNS
    group = [GROUP[0], respond([SURE]), respond([SURE]), "nothing", "<answer> many </answer>"]
    first, *others = reward(group, image_id=["a"] * 5, **columns)
    # of two others none finds DOUBTFUL, e = 5 / 9, and both find SURE, e the same
    assert 0.0 < first < 1.0
    assert others[:2] == [0.0, 0.0]
    assert reward([*group[:2], *["nothing"] * 3], image_id=["a"] * 5, **columns)[0] is None


def test_a_group_may_tell_whom_it_misses():
    """Nobody among the others finds HIDDEN: for u that is certain, for a miss the surest target."""
    hidden = [40, 10, 60, 60]
    group = [respond([SURE], [hidden]), *[respond([SURE])] * 4]
    columns = GROUP_COLUMNS | {"gt_boxes": [[SURE, hidden]] * 5, "image_id": ["a"] * 5}
    by_miss = LookingReward(source="group", target="miss")(group, **columns)
    assert by_miss == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert LookingReward(source="group")(group, **columns)[0] == 0.0


def test_a_group_has_no_crops_to_gain_from():
    with pytest.raises(ValueError, match="'gain' is measured on crops, which looking_source"):
        LookingReward(source="group", target="gain")
    assert LookingReward(target="gain").target == "gain"


def test_groups_do_not_mix():
    # The same question about two images: without ids what is annotated tells them apart.
    together = LookingReward(source="group")(
        GROUP + GROUP[:1], prompts=["where?"] * 6, gt_boxes=[[SURE, DOUBTFUL]] * 5 + [[SURE]]
    )
    assert together == [1.0] * 5 + [None]  # one response is no group
    conversations = [[{"role": "user", "content": "where?"}]] * 5
    assert LookingReward(source="group")(GROUP, prompts=conversations, **GROUP_COLUMNS) == [1.0] * 5


def test_a_group_needs_to_know_what_it_is():
    with pytest.raises(ValueError, match="needs the column 'image_id', 'prompt_id' or"):
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


OPTIONS = [
    {},
    {},
    {"beta": 2.0},
    {"max_regions": 6},
    {"threshold": 0.25, "max_regions": 2},
    {"max_regions": 1, "beta": 0.5},
]


def scaled(boxes, scale: float) -> list[list[float]]:
    return [[side * scale for side in box] for box in boxes]


def settled(hulls, frame) -> bool:
    """Whether no hull is as large as another one or lies in it by exactly a half."""
    if frame is not None:
        hulls = [reference.clipped(hull, *frame) for hull in hulls]
    pairs = list(itertools.permutations(hulls, 2))
    tied = any(reference.box_area(a) == reference.box_area(b) for a, b in pairs)
    return not tied and all(reference.box_ioa(a, b) != reference.HALF for a, b in pairs)


def a_look(random: Random) -> dict:
    """A row: the text, its columns, and the looks and hulls in whole numbers."""
    looks = as_read(some_boxes(random, 6, INTEGER_KINDS))
    hulls = some_boxes(random, 6, INTEGER_KINDS, 0)
    if random.random() < 0.5:
        looks = [jittered(random, box, (0, 0, 1, -2)) for box in hulls[:3]] + looks[:2]
    frame = random.choice((None, (12, 12), (9, 17), (40, 40)))
    # Areas and their ratios are the same in any unit, but for what rounding decides.
    unit = random.choice((1, 1, 0.125, 1e4, 3.7, 1e-3) if settled(hulls, frame) else (1, 0.125))
    return {
        "text": response_of(scaled(looks, unit), []),
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


@pytest.mark.parametrize("number", range(len(OPTIONS)))
def test_looking_equals_the_reference(number):
    options = OPTIONS[number]
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


@pytest.mark.parametrize("num_looks", [40, 400, 2000])
def test_looking_with_many_boxes(num_looks):
    rng = np.random.default_rng(num_looks)
    corners = rng.integers(-20, 380, (num_looks, 2))
    looks = np.hstack([corners, corners + rng.integers(1, 60, (num_looks, 2))])
    corners = rng.integers(-20, 380, (12, 2))
    hulls = np.hstack([corners, corners + rng.integers(20, 120, (12, 2))])
    uncertainty = rng.integers(8, 17, 12) / 16

    def painted(boxes) -> np.ndarray:
        """How many boxes hold each cell."""
        grid = np.zeros((400, 400), dtype=int)
        for x1, y1, x2, y2 in np.clip(boxes, 0, 400):
            grid[x1:x2, y1:y2] += 1
        return grid

    targets = reference.targets(np.clip(hulls, 0, 400).tolist(), uncertainty.tolist())
    looked = painted(looks)
    masks = [painted([hulls[k]]) for k in targets]
    shares = np.array([((looked > 0) & (mask > 0)).sum() / mask.sum() for mask in masks])
    recall = (uncertainty[targets] * shares).sum() / uncertainty[targets].sum()
    precision = np.minimum(looked, sum(masks)).sum() / looked.sum()
    _, metrics = reward_and_metrics(
        LookingReward(),
        response_of(looks.tolist(), []),
        region_boxes=[hulls.tolist()],
        region_uncertainty=[uncertainty.tolist()],
        frame_width=[400],
        frame_height=[400],
    )
    assert metrics["look/recall"] == pytest.approx(recall, rel=1e-9)
    assert metrics["look/precision"] == pytest.approx(precision, rel=1e-9)


@pytest.mark.parametrize("row", golden("Looking"), ids=lambda row: row["case"])
def test_looking_equals_the_table(row):
    hulls, _, uncertainty = box_cell(row["regions"])
    value, metrics = reward_and_metrics(
        LookingReward(**option_cell(row["options"])),
        response_of(box_cell(row["look"])[0], []),
        region_boxes=[hulls],
        region_uncertainty=[uncertainty],
        frame_width=[100],
        frame_height=[100],
    )
    check_by_hand(row, value, metrics, "look")


def test_a_group_shares_image_and_prompt():
    people = [[10, 10, 30, 60], [25, 12, 45, 62], [70, 20, 90, 70]]
    texts = [respond(people[:n]) for n in (3, 1, 2, 0, 3, 1)]
    columns = {"gt_boxes": [people] * 6}
    reward = LookingReward(source="group")
    apart = reward(texts, **columns, image_id=list("aaabbb"))
    assert apart == reward(texts, **columns, prompt_id=list("xxxyyy"))
    both = reward(texts, **columns, image_id=list("aabbbb"), prompt_id=list("xxxxyy"))
    assert both == reward(texts, **columns, image_id=list("aabbcc"))
    assert apart != both


def test_a_gate_pays_only_those_who_answer_better_than_their_group():
    """All look alike. Accuracies 1, 2/3, 0 (mean 5/9) of one image, and twice 2/3 of another."""
    texts = [respond([SURE, DOUBTFUL], [SURE]), respond([SURE], [SURE]), respond([], [SURE])]
    columns = {
        "gt_boxes": [[SURE, DOUBTFUL]] * 5,
        "region_boxes": [[SURE]] * 5,
        "region_uncertainty": [[0.9]] * 5,
        "image_id": list("aaabb"),
    }
    logged = {}
    reward = LookingReward(gate=True)
    found = reward([*texts, texts[1], texts[1]], **columns, log_metric=logged.__setitem__)
    assert found == [1.0, 1.0, 0.0, 0.0, 0.0]
    assert logged["look/paid"] == 0.4
    assert reward.needs == ("region_boxes", "region_uncertainty", "gt_boxes")
    assert LookingReward()([*texts, texts[1], texts[1]], **columns) == [1.0] * 5


def test_a_gate_knows_nobody_where_nothing_is_annotated():
    columns = {"region_boxes": [[SURE]], "region_uncertainty": [[0.9]], "image_id": ["a"]}
    found = LookingReward(gate=True)([respond([SURE], [SURE])], gt_boxes=[None], **columns)
    assert found == [0.0]
