"""Grounded prompts: one row per image, its boxes in the model frame."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import PROMPTS, frame_of, prompt_rows, window_row
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.errors import UserError
from dipr1.frames import LARGEST_ASPECT_RATIO, PolicyFrames, policy_frame
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
    assert rows.schema == PROMPTS.schema_with(["ignore_labels"])
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
        assert row["ignore_labels"] == [
            label for label, skip in zip(image["labels"], skipped, strict=True) if skip
        ]
        boxes = frame.to_model(image["boxes"]).astype(np.float32)
        np.testing.assert_array_equal(ground_truth[index], boxes[np.array(wanted, bool)])
        np.testing.assert_array_equal(ignored[index], boxes[np.array(skipped, bool)])


def test_labels_of_ignored_areas_are_told_where_several_are_asked_for():
    image = {
        "image_id": "a",
        "image": "a.jpg",
        "width": 400,
        "height": 300,
        "boxes": [[200, 60, 320, 100], [210, 60, 330, 100], [10, 10, 30, 90], [0, 0, 9, 9]],
        "labels": ["rider", ANY_LABEL, "person", "car"],
        "ignore": [True, True, False, True],
        "visibility": [None] * 4,
    }
    table = pa.Table.from_pylist([image], ANNOTATIONS.schema)
    rows = prompt_rows(table, ["person", "rider"], PolicyFrames("thousandths"))
    [row] = rows.to_pylist()
    assert row["ignore_labels"] == ["rider", ANY_LABEL]
    assert reward_columns(rows, None)["ignore_labels"] == [["rider", ANY_LABEL]]
    # the border cuts the person: ignored, with its label; of the areas one lies outside
    part = window_row(row, [25, 0, 205, 200], PolicyFrames("thousandths"))
    assert (part["gt_labels"], part["ignore_labels"]) == ([], ["rider", "person"])
    assert len(part["ignore_boxes"]) == 2
    alone = prompt_rows(table, ["person"], PolicyFrames("thousandths"))
    assert "ignore_labels" not in alone.column_names


def test_no_images_give_no_rows():
    rows = prompt_rows(annotations(0), ["person"], TINY)
    assert rows.num_rows == 0 and rows.schema == PROMPTS.schema


def test_an_image_that_the_processor_refuses_is_named():
    rows = annotations(2).to_pylist()
    rows[1] |= {"width": 4000, "height": 10, "image": "images/thin.jpg"}
    table = pa.Table.from_pylist(rows, schema=ANNOTATIONS.schema)
    with pytest.raises(UserError, match="images/thin.jpg: .*4000 x 10"):
        prompt_rows(table, ["person"], PolicyFrames("absolute"))


FAMILIES = [TINY, PolicyFrames("absolute"), PolicyFrames("thousandths")]


def one_row(policy: PolicyFrames, boxes: list[list[float]], ignore: list[bool]) -> dict:
    """The prompt about an image of 400 x 300 with these boxes."""
    image = {
        "image_id": "a",
        "image": "a.jpg",
        "width": 400,
        "height": 300,
        "boxes": boxes,
        "labels": ["person"] * len(boxes),
        "ignore": ignore,
        "visibility": [None] * len(boxes),
    }
    table = pa.Table.from_pylist([image], ANNOTATIONS.schema)
    return prompt_rows(table, ["person"], policy).to_pylist()[0]


@pytest.mark.parametrize("policy", FAMILIES)
def test_a_window_counts_from_its_corner(policy):
    boxes = [
        [110, 60, 130, 100],  # inside
        [80, 60, 130, 100],  # three fifths inside
        [70, 60, 110, 100],  # a quarter inside: cut, and not to be found
        [200, 60, 320, 100],  # an area that is ignored
        [0, 0, 50, 50],  # far away
    ]
    row = one_row(policy, boxes, [False, False, False, True, False])
    part = window_row(row, [99.7, 50.2, 300, 200], policy)
    assert part["window"] == [99, 50, 300, 200]
    assert (part["width"], part["height"]) == (201, 150)
    assert part["image_id"] == "a@99,50,300,200"
    frame = frame_of(part)
    expected = [[11, 10, 31, 50], [0, 10, 31, 50]]
    np.testing.assert_allclose(frame.to_image(part["gt_boxes"]), expected, atol=1e-3)
    ignored = frame.to_image(part["ignore_boxes"])
    np.testing.assert_allclose(ignored, [[101, 10, 201, 50], [0, 10, 11, 50]], atol=1e-3)
    assert part["gt_labels"] == ["person", "person"]
    whole = policy_frame(policy, 201, 150) if policy.fixed else frame
    assert part["prompt"] == build_prompt(["person"], whole)


@pytest.mark.parametrize("policy", FAMILIES)
def test_a_window_of_a_window(policy):
    row = one_row(policy, [[110, 60, 130, 100]], [False])
    once = window_row(row, [110, 70, 160, 120], policy)
    twice = window_row(window_row(row, [100, 50, 300, 200], policy), [10, 20, 60, 70], policy)
    assert twice["window"] == once["window"]
    for name in ("width", "height"):
        assert twice[name] == once[name]
    np.testing.assert_allclose(
        frame_of(twice).to_image(twice["gt_boxes"]), [[0, 0, 20, 30]], atol=1e-3
    )


@pytest.mark.parametrize("policy", FAMILIES)
@settings(deadline=None)
@given(
    window=st.tuples(*[st.floats(-100, 500)] * 4),
    boxes=st.lists(st.tuples(*[st.floats(0, 300)] * 4), max_size=5),
)
def test_a_window_shows_what_lies_in_it(policy, window, boxes):
    upright = [[min(a, c), min(b, d), max(a, c) + 1, max(b, d) + 1] for a, b, c, d in boxes]
    row = one_row(policy, upright, [False] * len(upright))
    try:
        part = window_row(row, window, policy)
    except ValueError:
        low, high = np.clip(np.reshape(window, (2, 2)), 0, [400, 300])
        sides = np.ceil(high) - np.floor(low)
        assert (high <= low).any() or sides.max() > LARGEST_ASPECT_RATIO * sides.min()
        return
    assert 0 <= part["window"][0] < part["window"][2] <= 400
    assert 0 <= part["window"][1] < part["window"][3] <= 300
    found = frame_of(part).to_image(part["gt_boxes"]) + np.tile(part["window"][:2], 2)
    assert len(found) == len(part["gt_labels"])
    assert (found[:, :2] >= np.array(part["window"][:2]) - 1e-3).all()
    assert (found[:, 2:] <= np.array(part["window"][2:]) + 1e-3).all()


def test_rows_with_windows_are_written_and_read(tmp_path):
    row = one_row(TINY, [[110, 60, 130, 100]], [False])
    rows = [row, window_row(row, [100, 50, 300, 200], TINY)]
    table = pa.Table.from_pylist(rows, PROMPTS.schema_with(["window"]))
    PROMPTS.write(table, tmp_path / "prompts.parquet")
    assert PROMPTS.read(tmp_path / "prompts.parquet")["window"].to_pylist() == [
        None,
        [100, 50, 300, 200],
    ]
