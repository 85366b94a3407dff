"""A frozen vision tower encodes each image once."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dipr1.policies.rendering import prompt_text
from tests.unit.miniatures import make_miniature


def test_repeated_images_are_seen_once_and_alike():
    torch = pytest.importorskip("torch")
    from dipr1.demo import tiny
    from dipr1.training.tower import share_repeated_images

    model = tiny.build_model(tiny.build_tokenizer()).eval()
    torch.nn.init.normal_(model.model.visual.deepstack_merger_list[0].linear_fc2.weight)
    generator = torch.Generator().manual_seed(0)
    small, large = (torch.randn(n, 192, generator=generator) for n in (64, 256))
    other = small + (torch.arange(64) == 3)[:, None]
    pixels = torch.cat([small, large, other, small, large])
    grid = torch.tensor([[1, 8, 8], [1, 16, 16], [1, 8, 8], [1, 8, 8], [1, 16, 16]])
    with torch.no_grad():
        plain = model.model.visual(pixels, grid_thw=grid)
        patches_seen = []
        model.model.visual.patch_embed.register_forward_hook(
            lambda module, inputs, output: patches_seen.append(len(output))
        )
        assert share_repeated_images(model)
        shared = model.model.visual(pixels, grid_thw=grid)
    assert patches_seen == [64 + 256 + 64]
    for name in ("last_hidden_state", "pooler_output"):
        torch.testing.assert_close(getattr(shared, name), getattr(plain, name))
    torch.testing.assert_close(shared.deepstack_features[0], plain.deepstack_features[0])


@pytest.mark.parametrize("frozen", [True, False])
@pytest.mark.parametrize("family", ["qwen2_vl", "qwen2_5_vl", "qwen3_vl"])
def test_stand_ins_lead_to_the_same_features_to_the_last_bit(tmp_path, family, frozen):
    torch = pytest.importorskip("torch")
    from dipr1.policies.load import load_policy
    from dipr1.training.processing import processing_once
    from dipr1.training.tower import share_repeated_images, take_stand_ins

    policy = load_policy(str(make_miniature(family, tmp_path)), threads=1)
    if frozen:
        assert share_repeated_images(policy.model) == (family != "qwen2_vl")
    once, processed = processing_once(policy.processor)
    rng = np.random.default_rng(0)
    first, other = (
        Image.fromarray(rng.integers(0, 256, (*size, 3), np.uint8)) for size in ((90, 60), (64, 64))
    )
    asked = {
        "images": [[first], [first], [other], [first]],
        "text": [prompt_text(policy.processor, [{"role": "user", "content": "a"}])] * 4,
        "return_tensors": "pt",
        "padding": True,
    }
    with torch.no_grad():
        expected = policy.model(**policy.processor(**asked)).logits
        assert take_stand_ins(processed, policy.model, None)
        given = once(**asked)
        assert given["pixel_values"].shape[1] == 3
        assert torch.equal(policy.model(**given).logits, expected)
        # who knows nothing of stand-ins is served as before
        assert torch.equal(policy.model(**policy.processor(**asked)).logits, expected)


def test_towers_of_another_form_are_given_pixels(tmp_path):
    pytest.importorskip("torch")
    from dipr1.policies.load import load_policy
    from dipr1.training.processing import processing_once
    from dipr1.training.tower import share_repeated_images, take_stand_ins

    policy = load_policy(str(make_miniature("internvl", tmp_path)), threads=1)
    once, processed = processing_once(policy.processor)
    assert not share_repeated_images(policy.model)
    assert not take_stand_ins(processed, policy.model)
    given = once.image_processor([[Image.new("RGB", (112, 56))]] * 2, return_tensors="pt")
    assert given["pixel_values"].shape[1:] == (3, 56, 56)
