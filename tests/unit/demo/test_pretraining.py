"""Pretraining: patches and loss are the real model's, and interrupted work goes on."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from PIL import Image

from dipr1.demo import pretraining, tiny

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def processor():
    return tiny.build_processor()


def test_patches_are_those_of_the_processor(processor):
    pixels = np.random.default_rng(0).integers(0, 256, (2, 128, 128, 3), dtype=np.uint8)
    images = [Image.fromarray(image) for image in pixels]
    theirs = processor.image_processor(images=images, return_tensors="pt")
    ours = pretraining.patchify(torch.from_numpy(pixels))
    assert theirs["image_grid_thw"].tolist() == [[1, 16, 16]] * 2
    torch.testing.assert_close(ours, theirs["pixel_values"], atol=1e-6, rtol=0)


def test_pretraining_loss_is_the_model_s_own(processor):
    model = tiny.build_model(processor.tokenizer).eval()
    # a bridge that adds nothing would hide a mistake in how it is passed on
    torch.nn.init.normal_(model.model.visual.deepstack_merger_list[0].linear_fc2.weight, std=0.1)
    stage = pretraining.Stage(steps=1, horizon=1, batch_size=3)
    lessons = pretraining.Lessons(processor, 1, stage, seed=0, with_text=True)
    batch = lessons.collate([lessons[k] for k in range(3)])
    grid = torch.tensor([[1, 16, 16]]).expand(3, 3)
    numbers = torch.tensor(tiny.number_ids(processor.tokenizer))
    ids = batch["input_ids"]
    with torch.no_grad():
        tower = model.model.visual(batch["pixel_values"], grid_thw=grid)
        ours = pretraining._language_loss(model, tower, batch, numbers, smear=0)
        theirs = model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            pixel_values=batch["pixel_values"],
            image_grid_thw=grid,
            mm_token_type_ids=(ids == model.config.image_token_id).int(),
            labels=batch["labels"],
        ).loss
    torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize("stop_before_step", [2, 4])
def test_pretraining_goes_on_where_it_stopped(tmp_path, monkeypatch, stop_before_step):
    """Two steps in each stage: the second stop is in the second stage."""
    stages = {name: pretraining.Stage(2, 2, batch_size=4) for name in pretraining.STAGES}

    def weights(name: str) -> dict:
        model, _ = pretraining.pretrain(tmp_path / name, stages, save_every=1)
        return model.state_dict()

    steps = itertools.count(1)
    real = pretraining._losses

    def stop_or_go_on(*args, **kwargs):
        if next(steps) == stop_before_step:
            raise KeyboardInterrupt
        return real(*args, **kwargs)

    with monkeypatch.context() as patch:
        patch.setattr(pretraining, "_losses", stop_or_go_on)
        with pytest.raises(KeyboardInterrupt):
            weights("interrupted")
    resumed, undisturbed = weights("interrupted"), weights("undisturbed")
    assert resumed.keys() == undisturbed.keys()
    assert all(torch.equal(resumed[name], undisturbed[name]) for name in resumed)


def test_a_stage_scaled_down_keeps_its_batches():
    assert pretraining.Stage(800, 1600, 32).scaled(0.01) == pretraining.Stage(8, 16, 32)
    assert pretraining.Stage(800, 1600, 32).scaled(0) == pretraining.Stage(1, 1, 32)


def test_every_scene_is_seen_whole_and_as_a_cut(processor):
    stage = pretraining.Stage(steps=10, horizon=10, batch_size=4)
    lessons = pretraining.Lessons(processor, 1, stage, seed=0, with_text=True)
    assert len(lessons) == 40
    prompts = {tuple(lessons[index]["prompt"]) for index in range(40)}
    assert prompts == {tuple(lessons.prompt), tuple(lessons.answer_prompt)}
    whole, part = lessons[6], lessons[7]
    assert whole["image"].shape == part["image"].shape == (128, 128, 3)
    assert not np.array_equal(whole["image"], part["image"])
    # whatever was drawn in between
    np.testing.assert_array_equal(lessons[6]["image"], whole["image"])


def test_the_two_nearest_heads_of_a_cell_are_its_targets():
    boxes = np.array([[0, 0, 8, 40], [2, 0, 12, 100], [4, 0, 10, 60], [100, 60, 120, 128.0]])
    target = pretraining._heads(boxes)
    assert target.shape == (8, 8, 2, 5)
    # heads at 8 % of the height: 8 and 4.8 pixels below the top, in the first cell
    np.testing.assert_allclose(target[0, 0, 0], [1, 2 / 128, 0, 12 / 128, 100 / 128])
    np.testing.assert_allclose(target[0, 0, 1], [1, 4 / 128, 0, 10 / 128, 60 / 128])
    # (100 + 120) / 2 = 110 -> column 6; 60 + .08 * 68 = 65.4 -> line 4
    np.testing.assert_allclose(target[4, 6, 0], [1, 100 / 128, 60 / 128, 120 / 128, 1])
    assert target[..., 0].sum() == 3
