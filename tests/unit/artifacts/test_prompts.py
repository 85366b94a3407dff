"""Grounded prompts: one row per image, its boxes in the model frame."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.errors import UserError
from dipr1.frames import PolicyFrames, policy_frame
from dipr1.prompts import build_prompt

TINY = PolicyFrames("absolute", fixed=(128, 128))


def annotations(num_images: int, seed: int = 0) -> pa.Table:
    """Random images with up to five boxes, some ignored, some of another label."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(num_images):
        width, height = ((192, 144), (640, 480))[index % 2]
        count = int(rng.integers(0, 6))
        corners = rng.uniform(0, 0.5, (count, 2))
        boxes = np.concatenate([corners, corners + 0.4], axis=1) * np.tile([width, height], 2)
        rows.append(
            {
                "image_id": f"{index:03d}",
                "image": f"images/{index}.jpg",
                "width": width,
                "height": height,
                "boxes": boxes.tolist(),
                "labels": rng.choice(["person", "rider", "car"], count).tolist(),
                "ignore": (rng.random(count) < 0.3).tolist(),
                "visibility": [None] * count,
            }
        )
    return pa.Table.from_pylist(rows, schema=ANNOTATIONS.schema)


@pytest.mark.parametrize("policy", [TINY, PolicyFrames("absolute"), PolicyFrames("thousandths")])
def test_rows_equal_a_loop_over_the_images(policy):
    source = annotations(40)
    # Slices and several chunks are what a reader of a large file is given.
    table = pa.concat_tables([source.slice(0, 7), source.slice(11, 20), source.slice(35)])
    rows = prompt_rows(table, ["person", "rider"], policy)
    assert rows.schema == PROMPTS.schema
    assert rows.num_rows == table.num_rows
    ground_truth, ignored = box_arrays(rows["gt_boxes"]), box_arrays(rows["ignore_boxes"])
    for index, (image, row) in enumerate(zip(table.to_pylist(), rows.to_pylist(), strict=True)):
        frame = policy_frame(policy, image["width"], image["height"])
        assert (row["frame"], row["frame_width"], row["frame_height"]) == (
            frame.kind, frame.model_width, frame.model_height,
        )  # fmt: skip
        assert row["labels"] == ["person", "rider"]
        assert row["prompt"] == build_prompt(["person", "rider"], frame)
        asked = [label != "car" for label in image["labels"]]
        wanted = [a and not i for a, i in zip(asked, image["ignore"], strict=True)]
        skipped = [a and i for a, i in zip(asked, image["ignore"], strict=True)]
        assert row["gt_labels"] == [
            label for label, keep in zip(image["labels"], wanted, strict=True) if keep
        ]
        boxes = frame.to_model(image["boxes"]).astype(np.float32)
        np.testing.assert_array_equal(ground_truth[index], boxes[np.array(wanted, bool)])
        np.testing.assert_array_equal(ignored[index], boxes[np.array(skipped, bool)])


def test_no_images_give_no_rows():
    rows = prompt_rows(annotations(0), ["person"], TINY)
    assert rows.num_rows == 0 and rows.schema == PROMPTS.schema


def test_an_image_that_the_processor_refuses_is_named():
    rows = annotations(2).to_pylist()
    rows[1] |= {"width": 4000, "height": 10, "image": "images/thin.jpg"}
    table = pa.Table.from_pylist(rows, schema=ANNOTATIONS.schema)
    with pytest.raises(UserError, match="images/thin.jpg: .*4000 x 10"):
        prompt_rows(table, ["person"], PolicyFrames("absolute"))
