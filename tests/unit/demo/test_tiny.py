"""The tiny policy: a tokenizer that loses nothing, and the checkpoint that ships."""

from __future__ import annotations

import json

import pytest

from dipr1.demo import tiny
from dipr1.policies.families import policy_folder, read_policy_frames
from dipr1.policies.load import load_policy
from dipr1.prompts import render_response

pytest.importorskip("torch")


@pytest.fixture(scope="module")
def processor():
    return tiny.build_processor()


@pytest.fixture(scope="module")
def shipped():
    return load_policy("tiny", threads=1)


def test_each_number_is_one_token(processor):
    ids = tiny.number_ids(processor.tokenizer)
    assert len(set(ids)) == tiny.SIDE + 1
    for number, token in enumerate(ids):
        assert processor.tokenizer(str(number))["input_ids"] == [token]


@pytest.mark.parametrize(
    "text", ["", "Ein Straßenbild – 人群 🙂\n\t<think>", "bbox_2d 12.75 129 x2y"]
)
def test_tokenizer_loses_nothing(processor, text):
    ids = processor.tokenizer(text)["input_ids"]
    assert processor.tokenizer.decode(ids) == text


def test_sixteen_people_and_six_looks_fit_in_the_longest_response(processor):
    boxes = [[k, 10, k + 20, 90] for k in range(16)]
    text = render_response("A crowded street.", boxes[:6], boxes, ["person"] * 16, [tiny.WHY] * 6)
    assert len(processor.tokenizer(text)["input_ids"]) <= 200


def test_the_shipped_tokenizer_is_the_one_that_was_built(processor, shipped):
    text = render_response("An 8 people street.", [[0, 1, 128, 9]], [[7, 8, 9, 100]], ["person"])
    ids = processor.tokenizer(text)["input_ids"]
    assert shipped.processor.tokenizer(text)["input_ids"] == ids
    assert shipped.processor.tokenizer.padding_side == "left"


def test_the_shipped_policy_is_small():
    folder = policy_folder("tiny")
    assert sum(file.stat().st_size for file in folder.iterdir()) <= 12e6
    assert json.loads((folder / "config.json").read_text())["model_type"] == "qwen3_vl"


def test_the_shipped_policy_has_at_most_five_million_parameters(shipped):
    assert sum(p.numel() for p in shipped.model.parameters()) <= 5e6


def test_a_saved_policy_is_loaded_with_its_frame(processor, tmp_path):
    tiny.save(tiny.build_model(processor.tokenizer), processor, tmp_path)
    policy = load_policy(str(tmp_path), threads=1)
    assert policy.model.config.model_type == "qwen3_vl"
    assert read_policy_frames(str(tmp_path)) == read_policy_frames("tiny")
