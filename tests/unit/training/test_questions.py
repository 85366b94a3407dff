"""Variations of the training questions: what is asked, what is right, and whose statistics hold."""

from __future__ import annotations

import hashlib

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.frames import Frame, PolicyFrames
from dipr1.policies.families import read_policy_frames
from dipr1.prompts import REQUESTS, build_prompt
from dipr1.responses import parse_response
from dipr1.rewards import AccuracyReward, LookingReward, accuracy_reward, looking_reward
from dipr1.training import grpo, sft
from dipr1.training.lessons import asked, teacher_response
from dipr1.training.options import GrpoArm, SftArm
from dipr1.training.questions import variations

LABELS = ["person", "rider", "car"]
POLICY = PolicyFrames("thousandths")


def annotations(num_images: int = 12) -> pa.Table:
    """Up to five boxes per image, side by side, of any label; some images have none of a label."""
    rng = np.random.default_rng(0)
    rows = []
    for index in range(num_images):
        count = int(rng.integers(0, 6))
        left = 20.0 * np.arange(count)
        boxes = np.stack([left, np.full(count, 10.0), left + 15, np.full(count, 60.0)], axis=1)
        rows.append(
            {
                "image_id": f"{index:02d}",
                "image": f"{index}.png",
                "width": 200,
                "height": 100,
                "boxes": boxes.tolist(),
                "labels": rng.choice(LABELS, count).tolist(),
                "ignore": (rng.random(count) < 0.2).tolist(),
                "visibility": [None] * count,
            }
        )
    return pa.Table.from_pylist(rows, ANNOTATIONS.schema)


def statistics(table: pa.Table) -> pa.Table:
    """A region per object, whose uncertainty tells which it is, and a phantom per image."""
    rows = []
    for row in table.to_pylist():
        objects = [b for b, i in zip(row["boxes"], row["ignore"], strict=True) if not i]
        found = [("object", index, box, box[0] / 200) for index, box in enumerate(objects)]
        found.append(("phantom", None, [150, 70, 190, 95], 0.9))
        # phantoms and objects in any order, as far as a reader knows
        for region, (kind, index, box, uncertainty) in enumerate(reversed(found)):
            rows.append(
                {
                    "image_id": row["image_id"],
                    "region": region,
                    "kind": kind,
                    "gt_index": index,
                    "box": box,
                    "hull": box,
                    "support": 0.5,
                    "num_samples": 8,
                    "existence_variance": 1.0,
                    "box_variance": None,
                    "uncertainty": uncertainty,
                }
            )
    return pa.Table.from_pylist(rows, VARIANCE.schema)


@pytest.fixture
def source() -> pa.Table:
    return annotations()


@pytest.fixture
def prompts(source) -> pa.Table:
    return prompt_rows(source, LABELS, POLICY)


@pytest.fixture
def variance(source) -> pa.Table:
    return statistics(source)


def texts(prompts: pa.Table) -> list[str]:
    return [message["content"] for (message,) in prompts["prompt"].to_pylist()]


def test_the_usual_wording_has_not_changed():
    text = build_prompt(["person", "rider"], Frame.thousandths(3, 4))[0]["content"]
    digest = hashlib.sha256(text.encode()).hexdigest()
    assert digest == "c934d8fdd95500f20780f5d660d21abf5898975f6cb1aaa0e62cc77b8f381a03"


def test_by_default_nothing_changes(prompts, variance):
    ((same, statistic),) = variations(prompts, variance)
    assert same is prompts and statistic is variance
    table, columns = asked(prompts, variance)
    assert table.equals(prompts)
    assert columns == reward_columns(prompts, variance)


def test_an_empty_split(prompts):
    ((same, _),) = variations(prompts.slice(0, 0), None, wordings=4, ask="both")
    assert same.num_rows == 0


def test_wordings_differ_in_the_request_alone(prompts, variance):
    parts = list(variations(prompts, variance, wordings=4, seed=3))
    assert parts[0][0] is prompts
    for row, found in enumerate(zip(*(texts(part) for part, _ in parts), strict=True)):
        rests = {text[text.index(" Coordinates are") :] for text in found}
        assert len(set(found)) == 4 and len(rests) == 1, row
        named = " and ".join(LABELS)
        assert {text[: text.index(" Coordinates are")] for text in found} == {
            request.format(labels=named) for request in REQUESTS
        }
    for part, statistic in parts:
        assert statistic is variance
        assert part.drop(["prompt"]).equals(prompts.drop(["prompt"]))


def test_wordings_are_drawn_by_the_seed(prompts):
    def second(seed: int) -> list[str]:
        return texts(list(variations(prompts, None, wordings=2, seed=seed))[1][0])

    assert second(1) == second(1) != second(2)
    assert len({text[:8] for text in second(1)}) > 1


def test_each_label_alone(prompts, variance, source):
    parts = list(variations(prompts, variance, ask="each"))
    assert len(parts) == len(LABELS)
    num_negatives = 0
    for label, (part, statistic) in zip(LABELS, parts, strict=True):
        alone = prompt_rows(source, [label], POLICY)
        unchanged = ["image_id", "frame_width", "labels", "prompt", "gt_boxes", "gt_labels"]
        assert part.select(unchanged).equals(alone.select(unchanged))
        assert part["ignore_boxes"].equals(prompts["ignore_boxes"])
        columns = reward_columns(part, statistic)
        for boxes, uncertainty in zip(columns["gt_boxes"], columns["gt_uncertainty"], strict=True):
            np.testing.assert_allclose(uncertainty, [box[0] / 1000 for box in boxes], rtol=1e-6)
            num_negatives += not boxes
        assert set(statistic["kind"].to_pylist()) == {"object"}
    assert num_negatives > 3


def test_images_without_statistics_stay_so_for_each_label(prompts, variance):
    there = pa.compute.not_equal(variance["image_id"], "03")
    row = pa.Table.from_pylist([{"image_id": "03", "num_samples": 1}], VARIANCE.schema)
    few = pa.concat_tables([variance.filter(there), row])
    for part, statistic in variations(prompts, few, ask="each"):
        known = [boxes is not None for boxes in reward_columns(part, statistic)["region_boxes"]]
        assert known == [name != "03" for name in part["image_id"].to_pylist()]


def test_both_asks_a_single_label_once(source):
    prompts = prompt_rows(source, ["car"], POLICY)
    assert len(list(variations(prompts, None, ask="both"))) == 1
    assert len(list(variations(prompt_rows(source, LABELS, POLICY), None, ask="both"))) == 4


@pytest.mark.parametrize("ask", ["all", "each", "both"])
def test_a_perfect_teacher_earns_every_reward(prompts, variance, ask):
    variety = {"wordings": 2, "ask": ask, "absent_labels": ["giraffe", "boat"], "seed": 1}
    table, columns = asked(prompts, variance, **variety)
    assert len(set(columns["image_id"])) == table.num_rows == len(columns["gt_boxes"])
    responses = [
        teacher_response(columns, row, "{count} of them.") for row in range(table.num_rows)
    ]
    for row, text in enumerate(responses):
        assert parse_response(text, labels=columns["labels"][row]).well_formed
    np.testing.assert_allclose(accuracy_reward(responses, **columns), 1, atol=0.02)  # whole numbers
    np.testing.assert_allclose(looking_reward(responses, **columns), 1, atol=0.05)


@pytest.mark.parametrize(
    "frames",
    [
        PolicyFrames("absolute", fixed=(128, 128)),  # the embedded policy
        PolicyFrames("absolute"),  # Qwen2.5-VL
        PolicyFrames("thousandths", largest_ratio=200),  # Qwen2-VL, Qwen3-VL
        PolicyFrames("thousandths"),  # InternVL
    ],
)
def test_every_family_is_asked_for_boxes_alone(source, frames):
    prompts = prompt_rows(source, LABELS, frames)
    table, columns = asked(prompts, None, form="answer", fixed=frames.fixed is not None)
    rows = range(table.num_rows)
    responses = [teacher_response(columns, row, "", form="answer") for row in rows]
    for text, question, labels in zip(responses, texts(table), columns["labels"], strict=True):
        assert parse_response(text, labels).in_form("answer")
        assert "think" not in question
        assert all(label in question for label in labels)
    at_least = 0.8  # of 128 x 128 pixels whole numbers are coarse
    assert min(accuracy_reward(responses, **columns)) > at_least


def test_what_is_not_there_is_answered_with_nothing(prompts, variance):
    table, columns = asked(prompts, variance, absent_labels=["giraffe", "boat"], seed=1)
    absent = range(prompts.num_rows, 2 * prompts.num_rows)
    assert table.num_rows == 2 * prompts.num_rows
    assert {label for row in absent for label in columns["labels"][row]} == {"giraffe", "boat"}
    assert [columns["gt_boxes"][row] for row in absent] == [[]] * prompts.num_rows
    assert all(columns["labels"][row][0] in texts(table)[row] for row in absent)
    nothing = "<think> None. </think><look> [] </look><answer> [] </answer>"
    rewards = accuracy_reward([nothing] * table.num_rows, **columns)
    assert rewards[prompts.num_rows :] == [1.0] * prompts.num_rows
    looks = looking_reward([nothing] * table.num_rows, **columns)
    assert looks[prompts.num_rows :] == [1.0] * prompts.num_rows
    guess = nothing.replace(
        "<answer> []", '<answer> [{"bbox_2d": [1, 980, 9, 999], "label": "giraffe"}]'
    )
    guesses = AccuracyReward()([guess] * table.num_rows, **columns)
    assert set(guesses[prompts.num_rows :]) == {0.0}


def test_answers_to_different_questions_are_no_group(prompts):
    _, columns = asked(prompts.slice(0, 1), None, wordings=2)
    repeated = {
        name: [value for value in values for _ in range(2)] for name, values in columns.items()
    }
    looks = ["[]", "[]", '[{"bbox_2d": [0, 0, 9, 9]}]', "[]"]
    responses = [f"<think> x </think><look> {look} </look><answer> [] </answer>" for look in looks]
    together = LookingReward(source="group")(responses, **repeated)
    halves = [
        LookingReward(source="group")(
            responses[part], **{name: values[part] for name, values in repeated.items()}
        )
        for part in (slice(0, 2), slice(2, 4))
    ]
    assert together == [*halves[0], *halves[1]]


def test_a_policy_with_a_fixed_frame_knows_one_wording(source):
    prompts = prompt_rows(source, LABELS, read_policy_frames("tiny"))
    with pytest.raises(UserError, match="wordings: the policy's prompt has 1 but 2 are wanted"):
        list(variations(prompts, None, wordings=2, fixed=True))
    asked_for = [texts(part)[0] for part, _ in variations(prompts, None, ask="each", fixed=True)]
    assert asked_for == [f"Find every {label}." for label in LABELS]


def test_more_wordings_than_there_are(prompts):
    with pytest.raises(UserError, match="has 4 but 5 are wanted"):
        list(variations(prompts, None, wordings=5))


def test_an_absent_label_that_is_asked_for(prompts):
    with pytest.raises(UserError, match="absent_labels: 'car' is asked for anyway"):
        list(variations(prompts, None, absent_labels=["car"]))


def test_statistics_of_other_boxes(prompts, variance):
    fewer = prompt_rows(annotations().slice(1), LABELS, POLICY)
    shifted = fewer.set_column(0, "image_id", prompts["image_id"].slice(0, fewer.num_rows))
    with pytest.raises(UserError, match="run `dipr1 variance` on it again"):
        for part, statistic in variations(shifted, variance, ask="each"):
            reward_columns(part, statistic)


def test_lessons_open_the_image_of_each_variation(prompts, variance, tmp_path, monkeypatch):
    pytest.importorskip("datasets")
    monkeypatch.chdir(tmp_path)
    for index, name in enumerate(prompts["image"].to_pylist()):
        Image.new("RGB", (200, 100), (10 * index, 0, 0)).save(name)
    variety = {"wordings": 2, "ask": "each"}
    for rows in (
        grpo.lessons(
            GrpoArm(method="grpo", rewards={"looking": 1}, **variety), prompts, variance, seed=0
        ),
        sft.lessons(SftArm(method="sft", **variety), prompts, variance, seed=0),
    ):
        assert len(rows) == 6 * prompts.num_rows
        for row in (0, 5, 14, 71):
            colour = rows[row]["image"].getpixel((0, 0))
            assert colour == (10 * (row % prompts.num_rows), 0, 0)
