"""What the trainers are given and what they leave."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from dipr1.responses import parse_response
from dipr1.rewards import accuracy_reward, looking_reward
from dipr1.training.grpo import reward_functions
from dipr1.training.options import GrpoArm
from dipr1.training.running import log_table, newest_checkpoint


@pytest.fixture
def prompts() -> pa.Table:
    """Two images of 200 x 100 in a frame of 100 x 100; the second is empty."""
    shared = {
        "width": 200,
        "height": 100,
        "frame": "absolute",
        "frame_width": 100.0,
        "frame_height": 100.0,
        "labels": ["person"],
        "prompt": [{"role": "user", "content": "Find every person."}],
    }
    rows = [
        {
            "image_id": "a",
            "image": "a.jpg",
            "gt_boxes": [[10, 10, 30, 60], [50, 10, 70, 60]],
            "gt_labels": ["person", "person"],
            "ignore_boxes": [[80, 0, 100, 20]],
        },
        {"image_id": "b", "image": "b.jpg", "gt_boxes": [], "gt_labels": [], "ignore_boxes": []},
    ]
    return pa.Table.from_pylist([shared | row for row in rows], PROMPTS.schema)


def region(image_id, index, kind, gt_index, hull, uncertainty) -> dict:
    return {
        "image_id": image_id,
        "region": index,
        "kind": kind,
        "gt_index": gt_index,
        "box": hull,
        "hull": hull,
        "support": 0.5,
        "num_samples": 8,
        "existence_variance": 1.0,
        "box_variance": None,
        "uncertainty": uncertainty,
    }


@pytest.fixture
def variance() -> pa.Table:
    rows = [
        region("a", 0, "object", 0, [20, 10, 60, 60], 0.1),
        region("a", 1, "object", 1, [100, 10, 140, 60], 0.9),
        region("a", 2, "phantom", None, [0, 50, 20, 100], 0.6),
        region("other", 0, "object", 0, [0, 0, 1, 1], 0.5),
    ]
    return pa.Table.from_pylist(rows, VARIANCE.schema)


def test_columns_are_in_the_model_frame(prompts, variance):
    columns = reward_columns(prompts, variance)
    assert columns["gt_uncertainty"] == [[0.1, 0.9], []]
    assert columns["region_boxes"][0] == [[10, 10, 30, 60], [50, 10, 70, 60], [0, 50, 10, 100]]
    assert columns["region_uncertainty"] == [[0.1, 0.9, 0.6], []]
    assert columns["region_boxes"][1] == []


def test_columns_without_statistics(prompts):
    assert "region_boxes" not in reward_columns(prompts, None)


def test_statistics_of_other_annotations(prompts, variance):
    with pytest.raises(UserError, match="2 objects are annotated but the variance has 1"):
        reward_columns(prompts, variance.slice(1))


@pytest.mark.parametrize("why", [None, "overlap"])
def test_teacher_earns_every_reward(prompts, variance, why):
    from dipr1.training.lessons import teacher_response

    columns = reward_columns(prompts, variance)
    responses = [teacher_response(columns, row, "{count} people.", why) for row in range(2)]
    assert all(parse_response(text, labels=["person"]).well_formed for text in responses)
    assert accuracy_reward(responses, **columns) == [1.0, 1.0]
    np.testing.assert_allclose(looking_reward(responses, **columns), [1.0, 1.0])


def test_rewards_of_an_arm():
    arm = GrpoArm(method="grpo", rewards={"accuracy": 2.0, "reasoning": 1.0}, uncertainty_weight=0)
    functions, weights = reward_functions(arm)
    assert [function.__name__ for function in functions] == ["reasoning_reward", "accuracy_reward"]
    assert weights == [1.0, 2.0]
    assert functions[1].lam == 0


def test_log_has_no_wall_clock():
    history = [
        {"step": 1, "loss": 0.5, "step_time": 1.2, "epoch": 0.1},
        {"step": 1, "train_runtime": 9.0, "train_loss": 0.5},
    ]
    assert log_table(history).to_pylist() == [{"step": 1, "name": "loss", "value": 0.5}]


def test_a_half_written_checkpoint_is_passed_over(tmp_path):
    for step in (2, 10):
        (tmp_path / f"checkpoint-{step}").mkdir()
    (tmp_path / "checkpoint-2" / "trainer_state.json").touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-2"
    (tmp_path / "checkpoint-10" / "trainer_state.json").touch()
    assert newest_checkpoint(tmp_path).name == "checkpoint-10"
    assert newest_checkpoint(tmp_path / "none") is None


def test_sizes_must_divide(prompts, tmp_path):
    pytest.importorskip("trl")
    from dipr1.training.grpo import trainer

    sizes = {"prompts_per_update": 3, "group_size": 2, "micro_batch_size": 4}
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, **sizes)
    with pytest.raises(UserError, match="6 responses per update"):
        trainer(arm, None, None, 0, tmp_path)


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
