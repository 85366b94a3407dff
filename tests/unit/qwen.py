"""A policy of another family than the tiny one: Qwen2.5-VL with weights at random."""

from __future__ import annotations

from pathlib import Path

import pyarrow as pa
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.demo import tiny
from dipr1.policies.families import read_policy_frames

SIZES = [(640, 480), (333, 517), (97, 1200), (28, 28)]


def make_checkpoint(folder: Path) -> None:
    """Save a Qwen2.5-VL of a few thousand parameters with the processor of the family."""
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
    Qwen2_5_VLForConditionalGeneration(config).save_pretrained(folder)
    processor.save_pretrained(folder)


def make_prompts(checkpoint: Path, images: Path) -> list[dict]:
    """Rows of the prompts artifact about plain images of `SIZES`, which are written to `images`."""
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
    return prompt_rows(table, ["person"], read_policy_frames(str(checkpoint))).to_pylist()
