"""A frozen vision tower encodes each image once."""

from __future__ import annotations

import pytest


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
