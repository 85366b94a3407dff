"""Images as a policy reads them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dipr1.artifacts.prompts import window_row
from dipr1.errors import UserError
from dipr1.frames import Bounds
from dipr1.policies.families import read_policy_frames
from dipr1.policies.load import (
    ImageCache,
    LoadedPolicy,
    image_source,
    load_image,
    load_policy,
    load_processor,
    open_image,
    whole_checkpoint,
)


def test_broken_image(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"not an image")
    with pytest.raises(UserError, match="cannot be read as an image"):
        load_image(str(path), "absolute", 128, 128)


def test_an_image_has_the_frame_s_size_only_where_that_is_absolute(tmp_path):
    path = str(tmp_path / "a.png")
    Image.new("L", (30, 20)).save(path)
    assert load_image(path, "absolute", 128.0, 64.0).size == (128, 64)
    thousandths = load_image(path, "thousandths", 1000.0, 1000.0)
    assert (thousandths.size, thousandths.mode) == ((30, 20), "RGB")


def test_an_image_is_turned_to_the_frame_of_its_boxes(tmp_path):
    path, exif = str(tmp_path / "a.png"), Image.Exif()
    exif[0x0112] = 6
    Image.new("L", (30, 20)).save(path, exif=exif)
    assert load_image(path, "thousandths", 1000.0, 1000.0).size == (20, 30)
    assert load_image(path, "thousandths", 1000.0, 1000.0, "ignore").size == (30, 20)


def test_white_of_sixteen_bits_is_white_and_gray_is_gray(tmp_path):
    path = str(tmp_path / "a.png")
    Image.fromarray(np.array([[0, 32768, 65535]], np.uint16)).save(path)
    image = load_image(path, "thousandths", 1000.0, 1000.0)
    assert np.asarray(image)[0, :, 0].tolist() == [0, 128, 255]


def test_the_frame_is_the_size_that_the_model_sees(qwen, qwen_prompts):
    policy = load_policy(str(qwen), threads=1)
    for row in qwen_prompts:
        image = load_image(row["image"], row["frame"], row["frame_width"], row["frame_height"])
        seen = policy.processor.image_processor(images=[image], return_tensors="pt")
        _, down, across = seen["image_grid_thw"][0].tolist()
        assert (across * 14, down * 14) == (row["frame_width"], row["frame_height"])


def numbered(path, exif=None, size=(6, 4)) -> np.ndarray:
    """A picture, each pixel of another grey; returns its greys (height, width)."""
    greys = np.arange(size[0] * size[1], dtype=np.uint8).reshape(size[::-1])
    Image.fromarray(greys).save(path, exif=exif or Image.Exif())
    return greys


def test_a_window_is_cut_from_the_picture_as_it_is_seen(tmp_path):
    path, exif = str(tmp_path / "a.png"), Image.Exif()
    exif[0x0112] = 6
    turned = np.rot90(numbered(path, exif), -1)  # 4 x 6: an orientation of 6 turns it clockwise
    row = {"image": path, "frame": "absolute", "frame_width": 3.0, "frame_height": 5.0}
    row["window"] = [1.0, 0.0, 4.0, 5.0]
    window = load_image(*image_source(row))
    np.testing.assert_array_equal(np.asarray(window)[..., 0], turned[0:5, 1:4])
    whole = load_image(*image_source(row | {"window": None, "exif": None}))
    assert whole.size == (3, 5)


def test_a_window_in_thousandths_has_as_many_pixels_as_the_image(tmp_path):
    path = str(tmp_path / "a.png")
    numbered(path, size=(20, 10))
    size = load_image(path, "thousandths", 1000.0, 1000.0, "turn", (0, 0, 10, 5)).size
    assert size == (20, 10)
    size = load_image(path, "thousandths", 1000.0, 1000.0, "turn", (19, 0, 20, 2)).size
    assert size == (10, 20)


def test_the_frame_of_a_window_is_the_size_that_the_model_sees_and_pays_for(qwen, qwen_prompts):
    policy, frames = load_policy(str(qwen), threads=1), read_policy_frames(str(qwen))
    for whole in qwen_prompts[:3]:
        sides = np.array([0.5, 0.25, 0.9, 0.75]) * np.tile([whole["width"], whole["height"]], 2)
        row = window_row(whole, sides, frames)
        image = load_image(*image_source(row))
        seen = policy.processor.image_processor(images=[image], return_tensors="pt")
        _, down, across = seen["image_grid_thw"][0].tolist()
        assert (across * 14, down * 14) == (row["frame_width"], row["frame_height"])
        cost = row["frame_width"] * row["frame_height"]
        assert 0.7 < cost / (whole["frame_width"] * whole["frame_height"]) <= 1.5


def test_images_are_kept_up_to_so_many_bytes():
    images = ImageCache(lambda name: Image.new("RGB", (10, 10)), most=2 * 10 * 10 * 3)
    first, second = images.load("a"), images.load("b")
    assert images.load("a") is first
    images.load("c")  # for which the one that was used longest ago leaves
    assert images.load("a") is first
    assert images.load("b") is not second


def test_so_many_images_are_kept_whatever_they_take():
    images = ImageCache(lambda name: Image.new("RGB", (10, 10)), most=1, least=2)
    first, second = images.load("a"), images.load("b")
    assert (images.load("a"), images.load("b")) == (first, second)
    images.load("c")
    assert images.load("b") is second
    assert images.load("a") is not first


def test_a_file_is_decoded_once_for_all_windows_of_it(tmp_path):
    path, decoded = str(tmp_path / "a.png"), []
    greys = numbered(path)

    def opened(*source):
        decoded.append(source)
        return open_image(*source)

    policy = LoadedPolicy(None, None, ImageCache(opened, most=1000))
    row = {"image": path, "frame": "absolute", "frame_width": 2.0, "frame_height": 2.0}
    for x in range(3):
        shown = policy.image(row | {"window": [x, 1.0, x + 2.0, 3.0]})
        np.testing.assert_array_equal(np.asarray(shown)[..., 0], greys[1:3, x : x + 2])
    assert decoded == [(path, "turn")]


def test_a_folder_without_weights_is_told(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(UserError, match="holds no weights"):
        load_policy(str(tmp_path))


def test_a_whole_checkpoint_is_itself_but_for_what_its_files_do_not_say(qwen):
    with whole_checkpoint(str(qwen), "float32", Bounds()) as folder:
        assert folder == qwen
    files = {file: file.read_bytes() for file in qwen.iterdir()}
    most = Bounds(max_pixels=10 * 28 * 28)
    with whole_checkpoint(str(qwen), "float32", most) as folder:
        bounded = load_processor(str(folder)).image_processor.size
        assert (bounded["shortest_edge"], bounded["longest_edge"]) == (56 * 56, 10 * 28 * 28)
        weights = folder / "model.safetensors"
        assert weights.is_symlink() and weights.read_bytes() == files[qwen / weights.name]
    assert not folder.exists()
    assert files == {file: file.read_bytes() for file in qwen.iterdir()}
