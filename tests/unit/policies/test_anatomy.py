"""Weights and tokens by config.json are those of the real classes."""

from __future__ import annotations

import json

import pytest

from dipr1.errors import UserError
from dipr1.policies.anatomy import num_tiles, read_anatomy
from tests.unit.miniatures import MAKERS

PUBLISHED = {
    # Qwen2.5-VL's 3B and 7B, their config.json as published; weights as in its index of files
    "3b": (
        {"hidden_size": 2048, "intermediate_size": 11008, "num_hidden_layers": 36}
        | {"num_attention_heads": 16, "num_key_value_heads": 2, "vocab_size": 151936}
        | {"tie_word_embeddings": True},
        3_754_622_976,
    ),
    "7b": (
        {"hidden_size": 3584, "intermediate_size": 18944, "num_hidden_layers": 28}
        | {"num_attention_heads": 28, "num_key_value_heads": 4, "vocab_size": 152064}
        | {"tie_word_embeddings": False},
        8_292_166_656,
    ),
}


@pytest.mark.parametrize("size", PUBLISHED)
def test_weights_of_a_published_policy(tmp_path, size):
    text, weights = PUBLISHED[size]
    vision = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420}
    vision["out_hidden_size"] = text["hidden_size"]
    config = {"model_type": "qwen2_5_vl", "vision_config": vision} | text
    (tmp_path / "config.json").write_text(json.dumps(config))
    assert read_anatomy(str(tmp_path)).weights == weights


@pytest.mark.parametrize("family", MAKERS)
def test_weights_and_tokens_of_every_family(tmp_path, family):
    pytest.importorskip("torch")
    from PIL import Image

    from dipr1.training.freezing import PROJECTORS, TOWERS

    model, processor = MAKERS[family]()
    model.config.save_pretrained(tmp_path)
    processor.save_pretrained(tmp_path)
    body = read_anatomy(str(tmp_path))
    counted = {"tower": 0, "projector": 0, "language": 0}
    for name, weight in model.named_parameters():
        parts = set(name.split("."))
        inner = "tower" if parts & set(TOWERS) else "language"
        counted["projector" if parts & set(PROJECTORS) else inner] += weight.numel()
    planned = {"tower": body.tower.weights, "projector": body.projector}
    assert counted == planned | {"language": body.language.weights}

    for size in ((180, 120), (333, 517), (40, 300)):
        inputs = processor(
            text=["<IMG_CONTEXT>" if family == "internvl" else "<|image_pad|>"],
            images=[Image.new("RGB", size)],
            return_tensors="pt",
        )
        tokens = int((inputs["input_ids"] == model.config.image_token_id).sum())
        assert body.image.tokens(*size) == tokens


@pytest.mark.parametrize("size", [(640, 480), (100, 900), (448, 448), (2000, 300), (901, 899)])
@pytest.mark.parametrize("most", [1, 4, 12])
def test_tiles_are_those_of_the_processor(size, most):
    transformers = pytest.importorskip("transformers")
    processor = transformers.GotOcr2ImageProcessor(size={"height": 448, "width": 448})
    settings = {"crop_to_patches": True, "max_patches": most}
    theirs = processor.get_number_of_image_patches(*size[::-1], settings)
    assert num_tiles(*size, side=448, most=most) == theirs


def test_what_is_not_known_is_told(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "llava"}))
    with pytest.raises(UserError, match="sizes of model_type 'llava' are not known; known are"):
        read_anatomy(str(tmp_path))
    config = {"model_type": "qwen2_5_vl", "hidden_size": 8, "vision_config": {}}
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(UserError, match="'intermediate_size' is missing; download the checkpoint"):
        read_anatomy(str(tmp_path))
