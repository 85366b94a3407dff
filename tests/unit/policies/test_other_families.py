"""A policy of another family, with weights at random: its frame, its images, its responses."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.demo import tiny
from dipr1.policies.engines.transformers import respond
from dipr1.policies.families import read_policy_frames
from dipr1.policies.load import load_image, load_policy
from dipr1.policies.sampling import record

pytest.importorskip("torch")

SIZES = [(640, 480), (333, 517), (97, 1200), (28, 28)]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A Qwen2.5-VL of a few thousand parameters with the processor of the family."""
    from transformers import (
        Qwen2_5_VLConfig,
        Qwen2_5_VLForConditionalGeneration,
        Qwen2_5_VLProcessor,
        Qwen2VLImageProcessor,
        Qwen2VLVideoProcessor,
    )

    tokenizer = tiny.build_tokenizer()
    ids = tokenizer.convert_tokens_to_ids
    config = Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 1,
            "num_attention_heads": 2,
            "num_key_value_heads": 1,
            "rope_parameters": {"rope_type": "default", "mrope_section": [2, 3, 3]},
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 1,
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_heads": 2,
            "out_hidden_size": 32,
            "fullatt_block_indexes": [0],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
    )
    size = {"shortest_edge": 56 * 56, "longest_edge": 20 * 28 * 28}
    processor = Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(size=size),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=tiny.CHAT_TEMPLATE,
    )
    folder = tmp_path_factory.mktemp("qwen2_5_vl")
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def rows(folder, tmp_path_factory):
    images = tmp_path_factory.mktemp("images")
    annotations = []
    for index, (width, height) in enumerate(SIZES):
        path = images / f"{index}.png"
        Image.new("RGB", (width, height), (90, 120, 10 * index)).save(path)
        annotations.append(
            {
                "image_id": str(index),
                "image": str(path),
                "width": width,
                "height": height,
                "boxes": [[1, 1, width / 2, height / 2]],
                "labels": ["person"],
                "ignore": [False],
                "visibility": [None],
            }
        )
    table = pa.Table.from_pylist(annotations, ANNOTATIONS.schema)
    return prompt_rows(table, ["person"], read_policy_frames(str(folder))).to_pylist()


def test_the_frame_is_the_size_that_the_model_sees(folder, rows):
    policy = load_policy(str(folder), threads=1)
    for row in rows:
        image = load_image(row["image"], row["frame"], row["frame_width"], row["frame_height"])
        seen = policy.processor.image_processor(images=[image], return_tensors="pt")
        _, down, across = seen["image_grid_thw"][0].tolist()
        assert (across * 14, down * 14) == (row["frame_width"], row["frame_height"])


def test_it_responds(folder, rows):
    policy = load_policy(str(folder), threads=1)
    answers = respond(policy, rows, num_samples=2, temperature=1.0, max_new_tokens=5, seed=0)
    assert [len(responses) for responses in answers] == [2] * len(SIZES)
    for row, responses in zip(rows, answers, strict=True):
        assert responses[0].num_tokens <= 5
        assert np.isfinite(responses[0].token_probabilities).all()
        assert record(row, 0, responses[0])["image_id"] == row["image_id"]


def test_it_is_trained(folder, rows, tmp_path):
    pytest.importorskip("trl")
    import json

    from dipr1.artifacts.prompts import PROMPTS
    from dipr1.artifacts.training_log import TRAINING_LOG
    from dipr1.cli import main

    prompts = tmp_path / "prompts.parquet"
    PROMPTS.write(pa.Table.from_pylist(rows[:2], PROMPTS.schema), prompts)
    arguments = [
        *("train", "--arm", "trained", "--method", "grpo", "--looking-source", "group"),
        *("--rewards", json.dumps({"reasoning": 1, "looking": 1, "accuracy": 1})),
        *("--prompts", prompts, "--policy", folder, "--threads", 1, "--updates", 1),
        *("--prompts-per-update", 2, "--group-size", 2, "--micro-batch-size", 4),
        *("--max-completion-length", 4, "--output", tmp_path / "policy"),
    ]
    assert main([str(argument) for argument in arguments]) == 0
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet")
    names = set(log["name"].to_pylist())
    assert {"loss", "rewards/looking_reward/mean", "problems/no_tags", "grad_norm"} <= names
