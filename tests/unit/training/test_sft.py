"""Supervised fine-tuning: what an arm is shown."""

from __future__ import annotations

import pytest

from dipr1.responses import parse_response
from dipr1.training.options import SftArm
from dipr1.training.sft import lessons
from tests.unit.two_images import prompts, variance


def test_an_arm_chooses_the_words_of_its_teacher():
    pytest.importorskip("datasets")
    arm = SftArm(method="sft", sft_think="So many: {count}.", sft_why="crowd", ask="both")
    rows = lessons(arm, prompts(), variance(), fixed=True, seed=0)
    crowd, nobody = (turn["content"] for [turn] in rows.data["completion"].to_pylist())
    assert "<think> So many: 2. </think>" in crowd
    assert crowd.count('"why": "crowd"') == 2
    assert "<think> So many: 0. </think>" in nobody


def test_an_arm_that_asks_for_boxes_alone_is_shown_boxes_alone():
    pytest.importorskip("datasets")
    arm = SftArm(method="sft", form="answer")
    rows = lessons(arm, prompts(), variance(), fixed=True, seed=0)
    questions = {turn["content"] for [turn] in rows.data["prompt"].to_pylist()}
    assert questions == {"Find every person. Boxes only."}
    for [turn] in rows.data["completion"].to_pylist():
        assert parse_response(turn["content"], ["person", "rider"]).in_form("answer")
