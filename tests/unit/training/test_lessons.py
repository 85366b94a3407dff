"""What the trainers are given to learn from."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.frames import PolicyFrames
from dipr1.policies.cropping import crop_table
from dipr1.policies.options import Crop
from dipr1.responses import parse_response
from dipr1.rewards import accuracy_reward, looking_reward
from dipr1.training.lessons import (
    asked,
    teacher_response,
    with_images,
    with_targets_on_crops,
)
from tests.unit.two_images import prompts, variance


@pytest.mark.parametrize("why", [None, "overlap"])
def test_teacher_earns_every_reward(why):
    columns = reward_columns(prompts(), variance())
    responses = [teacher_response(columns, row, "{count} people.", why) for row in range(2)]
    assert all(parse_response(text, labels=["person"]).well_formed for text in responses)
    assert accuracy_reward(responses, **columns) == [1.0, 1.0]
    np.testing.assert_allclose(looking_reward(responses, **columns), [1.0, 1.0])


def test_teacher_looks_and_answers_from_left_to_right():
    columns = {
        "gt_boxes": [[[60, 0, 70, 20], [0, 0, 10, 20]]],
        "gt_labels": [["person", "person"]],
        "region_boxes": [[[60, 0, 70, 20], [0, 0, 10, 20], [30, 0, 40, 20]]],
        "region_uncertainty": [[0.9, 0.6, 0.8]],
        "frame_width": [100],
        "frame_height": [100],
    }
    response = parse_response(teacher_response(columns, 0, "{count} people."))
    assert response.look.boxes[:, 0].tolist() == [0, 30, 60]
    assert response.answer.boxes[:, 0].tolist() == [0, 60]


def test_teacher_looks_nowhere_without_statistics():
    rows = [{"image_id": name, "num_samples": 0} for name in "ab"]
    columns = reward_columns(prompts(), pa.Table.from_pylist(rows, VARIANCE.schema))
    response = parse_response(teacher_response(columns, 0, "{count} people."))
    assert (len(response.look.boxes), len(response.answer.boxes)) == (0, 2)


def test_a_lesson_shows_the_window_that_it_asks_about(tmp_path):
    greys = np.tile(np.arange(200, dtype=np.uint8), (100, 1))
    Image.fromarray(greys).save(tmp_path / "a.png")
    row = prompts().to_pylist()[0] | {"image": str(tmp_path / "a.png")}
    part = row | {"window": [50.0, 0.0, 150.0, 100.0], "width": 100, "height": 100}
    table = pa.Table.from_pylist([row, part], PROMPTS.schema_with(["window"]))
    whole, window = with_images(table, reward_columns(table, None))[:]["image"]
    assert whole.size == window.size == (100, 100)
    np.testing.assert_array_equal(np.asarray(window)[..., 0], greys[:, 50:150])


def test_crops_come_after_the_images_and_are_not_judged_by_their_statistics():
    crops = crop_table(prompts(), variance(), PolicyFrames("absolute", fixed=(100, 100)), Crop())
    table, columns = asked(prompts(), variance(), crops, fixed=True)
    assert table["image_id"].to_pylist() == ["a", "b", "a#0", "a#1"]
    assert columns["image_id"] == ["a", "b", "a#0", "a#1"]
    assert columns["region_boxes"][2:] == columns["gt_uncertainty"][2:] == [None, None]
    whole, _ = asked(prompts(), variance(), fixed=True)
    assert whole == prompts()
    responses = [teacher_response(columns, row, "{count} people.") for row in range(4)]
    assert looking_reward(responses, **columns)[2:] == [None, None]
    np.testing.assert_allclose(accuracy_reward(responses, **columns), 1.0, atol=0.02)
    only = asked(prompts(), None, crops, fixed=True, form="answer")[0]
    assert {turn["content"] for [turn] in only["prompt"].to_pylist()} == {
        "Find every person. Boxes only."
    }


def test_a_teacher_looks_on_a_crop_at_what_lies_in_it():
    # of the targets [100, 10, 140, 60] and [0, 50, 20, 100] the crops of 80 x 75 show one each
    crops = crop_table(prompts(), variance(), PolicyFrames("absolute", fixed=(100, 100)), Crop())
    assert crops["window"].to_pylist() == [[80, 0, 160, 75], [0, 25, 80, 100]]
    table, columns = asked(prompts(), variance(), crops, fixed=True)
    shown = with_targets_on_crops(table, columns)
    assert shown["region_boxes"][:2] == columns["region_boxes"][:2]
    looks = [[[25, 10 / 0.75, 75, 80]], [[0, 25 / 0.75, 25, 100]]]
    np.testing.assert_allclose(shown["region_boxes"][2:], looks)
    assert shown["region_uncertainty"][2:] == [[0.9], [0.6]]
    response = parse_response(teacher_response(shown, 2, "{count} people."), ["person"])
    np.testing.assert_allclose(response.look.boxes, [[25, 13, 75, 80]])
    aside = crops.slice(0, 1).to_pylist()[0] | {"window": [0.0, 0.0, 119.0, 75.0], "width": 119}
    aside = pa.Table.from_pylist([aside], crops.schema)
    # 19 of the first target's 40 pixels, and 25 of the second's 50
    [row] = with_targets_on_crops(*asked(prompts(), variance(), aside))["region_uncertainty"][2:]
    assert row == [0.6]


def test_a_teacher_looks_nowhere_on_crops_without_statistics():
    crops = crop_table(prompts(), variance(), PolicyFrames("absolute", fixed=(100, 100)), Crop())
    table, columns = asked(prompts(), None, crops, fixed=True)
    assert with_targets_on_crops(table, columns) is columns


def test_variations_of_an_image_are_told_from_its_crops():
    real = PolicyFrames("thousandths")
    crops = crop_table(prompts(), variance(), real, Crop())
    _, columns = asked(prompts(), variance(), crops, wordings=2)
    assert len(set(columns["image_id"])) == len(columns["image_id"]) == 8


def test_prompts_of_an_update_are_decoded_once_however_large(tmp_path):
    """They are read group by group, and again in every micro-batch."""
    pytest.importorskip("datasets")
    files = [tmp_path / f"{name}.png" for name in "abc"]
    for file in files:
        Image.new("RGB", (10, 10)).save(file)
    table = prompts().slice(0, 1).select(["frame", "frame_width", "frame_height", "prompt"])
    table = pa.concat_tables([table] * 3).append_column("image", pa.array(map(str, files)))
    rows = with_images(table, {}, together=2)
    first = rows[0]["image"]
    assert rows[1]["image"] is rows[1]["image"]
    assert rows[0]["image"] is first
