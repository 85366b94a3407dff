"""The processor sees each image once per update."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

SIZES = [(640, 480), (640, 480), (333, 517), (97, 1200), (28, 28)]
ASKED = [0, 0, 1, 2, 3, 4, 4, 1]  # the image of each response


def image_processors() -> list:
    """Those of the four families; that of Qwen2-VL and Qwen2.5-VL is one."""
    pytest.importorskip("torchvision")
    from transformers import GotOcr2ImageProcessor, Qwen2VLImageProcessor

    half = [0.5] * 3
    return [
        Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": 100 * 28 * 28}),
        Qwen2VLImageProcessor(patch_size=16, image_mean=half, image_std=half),  # Qwen3-VL
        GotOcr2ImageProcessor(size={"height": 96, "width": 96}),  # InternVL
    ]


@pytest.fixture
def images() -> list[Image.Image]:
    rng = np.random.default_rng(0)
    return [Image.fromarray(rng.integers(0, 256, (h, w, 3), np.uint8)) for w, h in SIZES]


def entries(values) -> list:
    import torch

    return [torch.as_tensor(value) for value in values]


@pytest.mark.parametrize("family", range(3))
@pytest.mark.parametrize("settings", [{}, {"return_tensors": "pt"}])
def test_what_is_computed_once_is_equal_to_the_last_bit(images, family, settings):
    from dipr1.training.processing import processing_once

    plain = image_processors()[family]
    if family == 2:
        settings = settings | {"crop_to_patches": True}
    asked = [[images[number]] for number in ASKED]
    once, kept = processing_once(SimpleNamespace(image_processor=plain))
    expected = plain(asked, **settings)
    for _ in range(2):  # for the rollout, and for the loss
        seen = once.image_processor(asked, **settings)
        assert seen.keys() == expected.keys()
        for name, values in expected.items():
            assert type(seen[name]) is type(values)
            pairs = zip(entries(seen[name]), entries(values), strict=True)
            assert all((a == b).all() and a.dtype == b.dtype for a, b in pairs)
    assert len(kept._parts) == len(SIZES)


def test_another_update_is_computed_anew(images):
    from dipr1.training.processing import processing_once

    once, kept = processing_once(SimpleNamespace(image_processor=image_processors()[0]))
    once.image_processor([images[:1]])
    once.image_processor([images[:1]], do_normalize=False)  # other settings, another result
    assert len(kept._parts) == 2
    kept.forget()
    once.image_processor([images[1:2]])
    assert len(kept._parts) == 1


def test_its_files_are_those_of_the_processor(qwen, tmp_path):
    from dipr1.policies.load import load_processor
    from dipr1.training.processing import processing_once

    plain = load_processor(str(qwen))
    once, _ = processing_once(plain)
    once.image_processor([[Image.new("RGB", (56, 56))]])
    for name, processor in (("plain", plain), ("once", once)):
        processor.save_pretrained(tmp_path / name)
    files = sorted(path.name for path in (tmp_path / "plain").iterdir())
    assert files == sorted(path.name for path in (tmp_path / "once").iterdir())
    for name in files:
        assert (tmp_path / "plain" / name).read_bytes() == (tmp_path / "once" / name).read_bytes()
