"""The processor sees each image once per update."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from tests.unit.scenes import scene_prompts

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
    with kept.generation(training=True):
        once.image_processor([images[:1]])
        once.image_processor([images[:1]], do_normalize=False)  # other settings, another result
    assert len(kept._parts) == 2
    with kept.generation(training=True):
        once.image_processor([images[1:2]])
    assert len(kept._parts) == 1


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_stand_ins_are_for_the_pixels(images, dtype):
    """Images that are alike have the same, whichever file they are from."""
    import torch

    from dipr1.training.processing import processing_once

    plain = image_processors()[0]
    once, kept = processing_once(SimpleNamespace(image_processor=plain))
    kept.stands_in = True
    asked = [[image] for image in (images[0], images[3], images[0].copy(), images[3])]
    given, expected = once.image_processor(asked), plain(asked)
    grid = expected["image_grid_thw"]
    assert torch.equal(given["image_grid_thw"], grid)
    assert given["pixel_values"].shape == (len(expected["pixel_values"]), 3)
    patches = given["pixel_values"].to(getattr(torch, dtype))
    numbers = kept.numbers(patches, grid)
    assert numbers == [0, 1, 0, 1]
    pixels = expected["pixel_values"].to(patches.dtype)
    assert torch.equal(kept.pixels(numbers, like=patches), pixels)
    assert kept.numbers(pixels, grid) is None


def test_stand_ins_of_many_images_are_told_apart():
    import torch

    from dipr1.training.processing import processing_once

    once, kept = processing_once(SimpleNamespace(image_processor=image_processors()[0]))
    kept.stands_in = True
    shades = [[Image.new("RGB", (56, 56), (k % 256, k // 256, 0))] for k in range(300)]
    given = once.image_processor(shades)
    patches = given["pixel_values"].to(torch.bfloat16)
    assert kept.numbers(patches, given["image_grid_thw"]) == list(range(300))


def test_an_evaluation_between_updates_sees_pixels_and_leaves_the_updates_alone(images):
    import torch

    from dipr1.training.processing import processing_once

    plain = image_processors()[0]
    once, kept = processing_once(SimpleNamespace(image_processor=plain))
    kept.stands_in = True
    with kept.generation(training=True):
        given = once.image_processor([images[:1]])
    with kept.generation(training=False):
        seen = once.image_processor([images[1:2]])
    assert torch.equal(seen["pixel_values"], plain([images[1:2]])["pixel_values"])
    numbers = kept.numbers(given["pixel_values"], given["image_grid_thw"])
    expected = plain([images[:1]])["pixel_values"]
    assert torch.equal(kept.pixels(numbers, like=expected), expected)


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


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize("frozen", [True, False])
def test_updates_are_the_same_to_the_last_bit(tmp_path, frozen):
    """As those with TRL's own way: a copy of the pixels for each response, twice."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("trl")
    from dipr1.policies.load import load_policy
    from dipr1.training.freezing import freeze
    from dipr1.training.grpo import lessons, trainer
    from dipr1.training.options import GrpoArm
    from dipr1.training.tower import share_repeated_images

    sizes = {"prompts_per_update": 2, "group_size": 2, "micro_batch_size": 2, "updates": 2}
    arm = GrpoArm(
        method="grpo",
        rewards={"reasoning": 1, "accuracy": 1},
        max_completion_length=40,
        learning_rate=1e-3,
        save_every=2,
        beta=0.0 if frozen else 0.1,
        **sizes,
    )
    prompts = scene_prompts(tmp_path, 2)
    weights = []
    for plain in (True, False):
        policy = load_policy("tiny", threads=1)
        if frozen:
            assert freeze(policy.model, True, True)
            assert share_repeated_images(policy.model)
        questions = lessons(arm, prompts, None, fixed=True, seed=0)
        trained = trainer(arm, policy, questions, 0, tmp_path / str(plain))
        assert trained.images.stands_in
        if plain:
            trained.processing_class = policy.processor
        trained.train()
        assert bool(trained.images._pixels) != plain
        weights.append(torch.cat([w.detach().flatten() for w in policy.model.parameters()]))
    assert not torch.equal(weights[0], load_weights())
    assert torch.equal(*weights)


def load_weights():
    import torch

    from dipr1.policies.load import load_policy

    return torch.cat([w.detach().flatten() for w in load_policy("tiny").model.parameters()])
