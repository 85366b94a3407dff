"""What is said of a training before it begins: each fault is found, and what is right is fine."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.frames import Frame
from dipr1.prompts import build_prompt, render_response
from dipr1.training import checking
from dipr1.training.options import GrpoArm
from tests.unit import two_images

REWARDS = {"reasoning": 1, "looking": 0.5, "accuracy": 2}


def row(number: int, boxes: list, size: tuple[int, int] = (200, 100)) -> dict:
    """A row of the prompts artifact in thousandths; boxes are in its image's pixels."""
    frame = Frame.thousandths(*size)
    return {
        "image_id": str(number),
        "image": f"{number}.png",
        "width": size[0],
        "height": size[1],
        "frame": "thousandths",
        "frame_width": 1000.0,
        "frame_height": 1000.0,
        "labels": ["person"],
        "prompt": build_prompt(["person"], frame),
        "gt_boxes": frame.to_model(boxes).tolist(),
        "gt_labels": ["person"] * len(boxes),
        "ignore_boxes": [],
    }


ROWS = [row(0, [[10, 10, 40, 90], [100, 20, 140, 80]]), row(1, [[60, 30, 90, 70]])]


def table():
    import pyarrow as pa

    return pa.Table.from_pylist(ROWS, PROMPTS.schema)


def answers(boxes, factor: float = 1.0) -> str:
    found = np.array(boxes, float).reshape(-1, 4) * factor
    return render_response("Two.", found[:1], found, ["person"] * len(found))


TRUTHS = [answers(one["gt_boxes"]) for one in ROWS]


def test_a_finding_is_a_line_that_says_what_to_do_where_it_is_not_fine():
    assert str(checking.Finding("files", "fine", "8 of 8", "mend")) == "fine     files: 8 of 8"
    line = str(checking.Finding("files", "wrong", "7 of 8", "mend"))
    assert line == "wrong    files: 7 of 8; mend"
    verdicts = [checking.Finding("", verdict, "") for verdict in ("fine", "doubtful", "fine")]
    assert checking.worst(verdicts) == "doubtful"
    assert checking.worst([]) == "fine"


def test_a_resized_copy_of_an_image_is_found(tmp_path):
    rows = [one | {"image": str(tmp_path / f"{k}.png")} for k, one in enumerate(ROWS)]
    for one in rows:
        Image.new("RGB", (200, 100)).save(one["image"])
    assert checking.check_files(rows).verdict == "fine"
    Image.new("RGB", (100, 50)).save(rows[1]["image"])
    finding = checking.check_files(rows)
    assert finding.verdict == "wrong"
    assert finding.found == f"1 of 2 are as large as annotated; {rows[1]['image']} is 100 x 50"


@pytest.mark.parametrize(
    ("factor", "found"),
    [
        (1.0, "fine"),
        (0.001, "shares of the image"),
        ((0.2, 0.1) * 2, "pixels of the file"),
    ],
)
def test_numbers_of_another_frame_are_told_by_where_people_are(factor, found):
    factor = np.array(factor)
    frame = Frame.thousandths(1, 1)
    assert frame.kind == "thousandths"
    texts = []
    for one in ROWS:
        boxes = (np.array(one["gt_boxes"]) * factor).round(3).tolist()
        text = "".join(f'{{"bbox_2d": {box}, "label": "person"}}, ' for box in boxes)
        texts.append([f"<think> x </think><look> [] </look><answer> [{text[:-2]}] </answer>"])
    finding = checking.check_answers_frame(ROWS, texts)
    if found == "fine":
        assert finding.verdict == "fine"
        assert finding.found.startswith("people are covered by 100% as")
    else:
        assert finding.verdict == "wrong"
        assert f"if they were {found}" in finding.found


def test_pixels_and_thousandths_are_told_apart_for_an_absolute_policy():
    absolute = [one | {"frame": "absolute", "frame_width": 400.0} for one in ROWS]
    absolute = [one | {"frame_height": 200.0} for one in absolute]
    for one in absolute:
        one["gt_boxes"] = (np.array(one["gt_boxes"]) * np.tile([0.4, 0.2], 2)).tolist()
    finding = checking.check_answers_frame(absolute, [[text] for text in TRUTHS])
    assert finding.verdict == "wrong"
    assert "by 100% if they were thousandths" in finding.found


def test_no_box_tells_no_frame():
    finding = checking.check_answers_frame(ROWS, [["nothing"], ["nothing"]])
    assert (finding.verdict, finding.found) == ("doubtful", "no box to tell them by")


@pytest.mark.parametrize(
    ("longest", "verdict", "share"), [(400, "fine", "0.0%"), (10, "wrong", "100.0%")]
)
def test_the_truth_has_to_fit(longest, verdict, share):
    columns = reward_columns(table(), None)
    finding = checking.check_lessons(
        columns, "steps", "{count} objects.", len, longest, "max_completion_length"
    )
    assert finding.verdict == verdict
    assert f"of {longest} allowed; {share} of the images have more" in finding.found


@pytest.mark.parametrize(("unreadable", "verdict"), [(0, "fine"), (2, "doubtful"), (6, "wrong")])
def test_the_share_that_can_be_read(unreadable, verdict):
    texts = [[TRUTHS[0]] * (5 - unreadable // 2) + ["what?"] * (unreadable // 2), [TRUTHS[1]] * 5]
    texts[1][: unreadable - unreadable // 2] = ["what?"] * (unreadable - unreadable // 2)
    finding = checking.check_readable(ROWS, texts, least=0.5)
    assert finding.verdict == verdict
    assert finding.found.startswith(f"{10 - unreadable} of 10 ({1 - unreadable / 10:.0%})")


def test_the_statistics_of_a_few_images_are_those_of_their_samples():
    variance = checking.variance_of(ROWS, [[TRUTHS[0]] * 3, ["what?"] * 3], 0.5, 0.01)
    assert variance.schema == VARIANCE.schema
    rows = variance.to_pylist()
    assert [(one["image_id"], one["gt_index"], one["support"]) for one in rows] == [
        ("0", 0, 1.0),
        ("0", 1, 1.0),
        ("1", None, None),
    ]
    np.testing.assert_allclose(rows[0]["box"], [10, 10, 40, 90])


def verdicts(texts: list[list[str]], **options) -> dict[str, str]:
    arm = GrpoArm(method="grpo", rewards=REWARDS, **options)
    variance = checking.variance_of(ROWS, texts, 0.5, 0.01)
    columns = reward_columns(table(), variance)
    return {
        finding.about.partition(", ")[2]: finding
        for finding in checking.check_rewards("dipr1", arm, columns, texts)
    }


def test_rewards_of_the_truth_of_the_base_and_of_shuffled_boxes():
    half = [[TRUTHS[0], answers(ROWS[0]["gt_boxes"][:1])], [TRUTHS[1], answers([[0, 0, 9, 9]])]]
    found = verdicts(half)
    assert {name: finding.verdict for name, finding in found.items()} == {
        "reward of the truth": "fine",
        "reward of the base": "fine",
        "reward of shuffled boxes": "fine",
        "groups with reward variance": "fine",
    }
    assert found["groups with reward variance"].found == "2 of 2 (100%)"
    assert found["reward of the truth"].found.endswith(" of 3.50")


def test_a_base_that_knows_everything_or_nothing_is_told():
    perfect = verdicts([[text] * 3 for text in TRUTHS], looking_threshold=1.0)
    assert perfect["groups with reward variance"].verdict == "wrong"
    nothing = verdicts([["what?"] * 3] * 2)
    assert nothing["reward of the base"].verdict == "doubtful"
    assert nothing["groups with reward variance"].found == "0 of 2 (0%)"


def test_a_reward_that_pays_for_the_form_alone_is_told():
    arm = GrpoArm(method="grpo", rewards={"reasoning": 1})
    texts = [[text, "what?"] for text in TRUTHS]
    findings = checking.check_rewards("form", arm, reward_columns(table(), None), texts)
    wrong = [finding for finding in findings if finding.verdict == "wrong"]
    assert [finding.about for finding in wrong] == ["form, reward of shuffled boxes"]
    assert wrong[0].found == "1.00, which is 100% of the truth's"


def test_images_without_people_are_no_fault():
    columns = reward_columns(two_images.prompts(), two_images.variance())
    shuffled = checking.shuffled_columns(columns)
    assert [len(boxes) for boxes in shuffled["gt_boxes"]] == [0, 0]
    assert "region_boxes" not in shuffled
