"""Images as a policy reads them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dipr1.errors import UserError
from dipr1.policies.load import load_image, load_policy


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


def test_a_folder_without_weights_is_told(tmp_path):
    pytest.importorskip("torch")
    (tmp_path / "config.json").write_text('{"model_type": "qwen2_5_vl"}')
    with pytest.raises(UserError, match="holds no weights"):
        load_policy(str(tmp_path))
