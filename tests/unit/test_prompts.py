"""Prompts: the right frame for each family, the template, and grounded rows."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.errors import UserError
from dipr1.frames import Frame, PolicyFrames, policy_frame
from dipr1.policies.families import FAMILIES, read_policy_frames
from dipr1.prompts import build_prompt, render_response
from dipr1.responses import parse_response

TINY = read_policy_frames("tiny")


def checkpoint(folder: Path, config: dict, **files: dict) -> str:
    (folder / "config.json").write_text(json.dumps(config))
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    return str(folder)


# --- which frame ----------------------------------------------------------------------------------


def test_tiny_has_the_same_square_for_every_image():
    for size in ((192, 144), (31, 4000)):
        frame = policy_frame(TINY, *size)
        assert (frame.kind, frame.model_width, frame.model_height) == ("absolute", 128, 128)
        assert frame.fixed


def test_the_shipped_checkpoint_declares_the_frame_of_tiny(root):
    folder = root / "dipr1" / "demo" / "checkpoint"
    if not (folder / "config.json").exists():
        pytest.skip("the embedded policy has not been built (dipr1/demo/checkpoint)")
    assert read_policy_frames(str(folder)) == TINY


def test_a_declared_frame_wins_over_the_family(tmp_path):
    config = {"model_type": "qwen3_vl", "dipr1_frame": {"width": 96, "height": 64}}
    policy = read_policy_frames(checkpoint(tmp_path, config))
    assert policy == PolicyFrames("absolute", fixed=(96, 64))


@pytest.mark.parametrize("model_type", ["qwen3_vl", "qwen3_vl_moe", "internvl", "internvl_chat"])
def test_thousandths_families(tmp_path, model_type):
    policy = read_policy_frames(checkpoint(tmp_path, {"model_type": model_type}))
    frame = policy_frame(policy, 640, 480)
    assert (frame.kind, frame.model_width, frame.model_height) == ("thousandths", 1000, 1000)


BOUNDS = {"min_pixels": 256 * 28 * 28, "max_pixels": 512 * 28 * 28}
EDGES = {"size": {"shortest_edge": 256 * 28 * 28, "longest_edge": 512 * 28 * 28}}
BOTH = {"size": {"shortest_edge": 1, "longest_edge": 2}} | BOUNDS


@pytest.mark.parametrize("model_type", ["qwen2_vl", "qwen2_5_vl"])
@pytest.mark.parametrize("settings", [BOUNDS, EDGES, BOTH])
@pytest.mark.parametrize("nested", [False, True])
def test_both_spellings_of_the_pixel_bounds(tmp_path, model_type, settings, nested):
    settings = settings | {"patch_size": 14, "merge_size": 2}
    files = (
        {"processor_config": {"image_processor": settings}}
        if nested
        else {"preprocessor_config": settings}
    )
    policy = read_policy_frames(checkpoint(tmp_path, {"model_type": model_type}, **files))
    assert policy == PolicyFrames("absolute", None, 28, 256 * 28 * 28, 512 * 28 * 28)
    frame = policy_frame(policy, 1920, 1080)
    assert (frame.model_width, frame.model_height) == (840, 448)


def test_a_processor_saved_by_transformers_is_read(tmp_path):
    pytest.importorskip("transformers")
    from transformers import Qwen2VLImageProcessor

    processor = Qwen2VLImageProcessor(patch_size=16, min_pixels=4096, max_pixels=65536)
    processor.save_pretrained(tmp_path)
    policy = read_policy_frames(checkpoint(tmp_path, {"model_type": "qwen2_5_vl"}))
    assert policy == PolicyFrames("absolute", None, 32, 4096, 65536)
    image = np.zeros((100, 300, 3), np.uint8)
    _, rows, columns = processor(images=image, return_tensors="np")["image_grid_thw"][0]
    frame = policy_frame(policy, 300, 100)
    assert (frame.model_width, frame.model_height) == (columns * 16, rows * 16)


def test_defaults_are_those_of_the_processor_class(tmp_path):
    pytest.importorskip("transformers")
    from transformers import Qwen2VLImageProcessor

    processor = Qwen2VLImageProcessor()
    policy = read_policy_frames(checkpoint(tmp_path, {"model_type": "qwen2_vl"}))
    assert policy.factor == processor.patch_size * processor.merge_size
    assert policy.min_pixels == processor.size["shortest_edge"]
    assert policy.max_pixels == processor.size["longest_edge"]


def test_an_unknown_family_is_named_with_the_known_ones(tmp_path):
    folder = checkpoint(tmp_path, {"model_type": "llava"})
    with pytest.raises(UserError, match="'llava'; known families: " + ", ".join(FAMILIES)):
        read_policy_frames(folder)


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(UserError, match="no such file; --policy takes `tiny` or the folder"):
        read_policy_frames(str(tmp_path / "missing"))


@pytest.mark.parametrize("text", ["{", "[]"])
def test_a_config_that_is_no_json_object(tmp_path, text):
    (tmp_path / "config.json").write_text(text)
    with pytest.raises(UserError, match="config.json: "):
        read_policy_frames(str(tmp_path))


# --- what is asked --------------------------------------------------------------------------------


def test_tiny_is_asked_briefly():
    frame = policy_frame(TINY, 192, 144)
    assert build_prompt(["person"], frame) == [{"role": "user", "content": "Find every person."}]
    assert build_prompt(["car", "bus"], frame)[0]["content"] == "Find every car and bus."


@pytest.mark.parametrize(
    ("frame", "coordinates"),
    [
        (Frame.absolute(640, 480, 644, 476), "pixels of the image, which is 644 x 476"),
        (Frame.thousandths(640, 480), "thousandths of the image's width and height, 0 to 1000"),
    ],
)
def test_a_real_policy_is_told_frame_labels_and_template(frame, coordinates):
    (message,) = build_prompt(["person", "rider"], frame)
    text = message["content"]
    assert message["role"] == "user"
    assert f"Coordinates are {coordinates};" in text
    assert 'labels "person", "rider"' in text
    for tag in ("think", "look", "answer"):
        assert f"<{tag}>" in text and f"</{tag}>" in text


def test_the_template_in_the_prompt_is_well_formed_once_filled_in():
    text = build_prompt(["person"], Frame.thousandths(1, 1))[0]["content"]
    template = text[text.index("<think>") : text.index("</answer>") + len("</answer>")]
    filled = template.replace("x1, y1, x2, y2", "1, 2, 3, 4").replace(", ...", "")
    assert parse_response(filled, ["person"]).well_formed


# --- what a teacher answers -----------------------------------------------------------------------


def test_response_text_is_the_template_to_the_letter():
    text = render_response(
        "A crowd.",
        [[1, 2, 3, 4], [5, 6, 7, 8]],
        [[1.4, 2.6, 3, 4]],
        ["person"],
        whys=["overlap", 'a "sign"'],
    )
    assert text == (
        "<think> A crowd. </think>\n"
        '<look> [{"bbox_2d": [1, 2, 3, 4], "why": "overlap"},'
        ' {"bbox_2d": [5, 6, 7, 8], "why": "a \\"sign\\""}] </look>\n'
        '<answer> [{"bbox_2d": [1, 3, 3, 4], "label": "person"}] </answer>'
    )


@pytest.mark.parametrize("digits", [0, 2])
def test_a_rendered_response_parses_back(digits):
    boxes = np.array([[1.234, 5.678, 90.5, 100.0], [0, 0, 7, 8]])
    text = render_response("x", boxes[:1], boxes, ["person", "rider"], digits=digits)
    response = parse_response(text, ["person", "rider"])
    assert response.well_formed and not response.problems
    np.testing.assert_array_equal(response.answer.boxes, boxes.round(digits))
    np.testing.assert_array_equal(response.look.boxes, boxes[:1].round(digits))
    assert list(response.answer.labels) == ["person", "rider"]


def test_an_empty_response_parses_back():
    response = parse_response(render_response("Nobody.", [], [], []), ["person"])
    assert response.well_formed and len(response.answer.boxes) == 0


@pytest.mark.parametrize("extra", [{"labels": []}, {"whys": []}])
def test_labels_and_whys_must_be_as_many_as_boxes(extra):
    arguments = {"labels": ["person"], "whys": ["x"]} | extra
    with pytest.raises(ValueError, match="zip"):
        render_response("x", [[1, 2, 3, 4]], [[1, 2, 3, 4]], **arguments)


# --- rows -----------------------------------------------------------------------------------------


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
