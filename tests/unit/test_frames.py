"""Frames: exact on known numbers, invertible on all, and equal to the processor's resize."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipr1.frames import Frame, smart_resize

SIZES = st.integers(1, 10_000)
BOXES = st.lists(st.tuples(*[st.floats(-1e4, 1e4, allow_nan=False) for _ in range(4)]), max_size=6)


@pytest.mark.parametrize("frame", [Frame.absolute(192, 144, 128, 128), Frame.thousandths(192, 144)])
def test_no_boxes_stay_no_boxes(frame):
    for empty in ([], np.empty((0, 4), np.float32)):
        for converted in (frame.to_model(empty), frame.to_image(empty)):
            assert converted.shape == (0, 4)
            assert converted.dtype == np.float64


def test_the_image_becomes_the_whole_model_frame():
    whole = [[0, 0, 640, 480]]
    assert Frame.absolute(640, 480, 644, 476).to_model(whole).tolist() == [[0, 0, 644, 476]]
    assert Frame.thousandths(640, 480).to_model(whole).tolist() == [[0, 0, 1000, 1000]]


@given(SIZES, SIZES, SIZES, SIZES, BOXES)
def test_there_and_back_gives_the_same_boxes(width, height, model_width, model_height, boxes):
    for frame in (
        Frame.absolute(width, height, model_width, model_height),
        Frame.thousandths(width, height),
    ):
        back = frame.to_image(frame.to_model(boxes))
        np.testing.assert_allclose(back, np.reshape(boxes, (-1, 4)), rtol=1e-12, atol=1e-9)


def test_a_frame_per_box_equals_one_call_per_image():
    widths, heights = np.array([192, 640, 640]), np.array([144, 480, 480])
    model_widths, model_heights = np.array([128, 644, 644]), np.array([128, 476, 476])
    boxes = np.array([[1, 2, 3, 4], [10, 20, 30, 40], [600, 400, 640, 480]], float)
    together = Frame.absolute(widths, heights, model_widths, model_heights)
    single = [
        Frame.absolute(*sizes).to_model(box)[0]
        for *sizes, box in zip(widths, heights, model_widths, model_heights, boxes, strict=True)
    ]
    np.testing.assert_array_equal(together.to_model(boxes), single)
    np.testing.assert_allclose(together.to_image(together.to_model(boxes)), boxes, rtol=1e-15)


def test_converting_leaves_the_given_boxes_alone():
    boxes = np.array([[1.0, 2.0, 3.0, 4.0]])
    Frame.thousandths(10, 10).to_model(boxes)
    assert boxes.tolist() == [[1, 2, 3, 4]]


@pytest.mark.parametrize("size", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("position", range(4))
def test_sizes_must_be_positive(size, position):
    sizes = [10.0, 10.0, 10.0, 10.0]
    sizes[position] = size
    with pytest.raises(ValueError, match="expected a positive"):
        Frame.absolute(*sizes)


def test_one_bad_size_among_many_is_found():
    with pytest.raises(ValueError, match="expected a positive width"):
        Frame.thousandths(np.array([10, 0]), np.array([10, 10]))


def test_smart_resize_refuses_what_the_processor_refuses():
    assert smart_resize(20, 4000, 28, 3136, 1_003_520)
    with pytest.raises(ValueError, match="at most 200 times"):
        smart_resize(19, 4000, 28, 3136, 1_003_520)


def test_smart_resize_equals_transformers():
    pytest.importorskip("transformers")
    from transformers.models.qwen2_vl.image_processing_qwen2_vl import smart_resize as reference

    rng = np.random.default_rng(0)
    sides = np.exp(rng.uniform(np.log(8), np.log(6000), (4000, 2))).astype(int)
    num_compared = 0
    for height, width in sides.tolist():
        for factor, least, most in (
            (28, 3136, 1_003_520),
            (28, 200_704, 12_845_056),
            (32, 1, 4096),
        ):
            try:
                expected = reference(height, width, factor, least, most)
            except ValueError:
                with pytest.raises(ValueError, match="at most 200 times"):
                    smart_resize(height, width, factor, least, most)
            else:
                num_compared += 1
                assert smart_resize(height, width, factor, least, most) == expected
    assert num_compared > 10_000
