"""Frames: what the numbers of a box mean, and the only arithmetic between two meanings.

- The *image frame* counts pixels of the original image. Annotations, statistics, predictions and
  metrics live in it.
- The *model frame* is what the MLLM reads and writes: `absolute` pixels after the processor's
  resize (Qwen2.5-VL), or `thousandths` of the width and height (Qwen2-VL, Qwen3-VL, InternVL).

A resize maps the borders of the image onto the borders of the resized image, so both conversions
scale each axis about 0 and nothing else: no half-pixel shift, no rounding.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

LARGEST_ASPECT_RATIO = 200  # of Qwen2-VL's processor


@dataclass(frozen=True)
class Frame:
    """The image frame and the model frame of one image, or of one image per box.

    Every size is a number, or an array with one entry per box: boxes of many images are then
    converted in one call.

    Attributes:
        kind: `absolute` or `thousandths`.
        width, height: of the image, pixels.
        model_width, model_height: where the right and lower borders lie in the model frame.
        fixed: the model frame has the same size for every image.

    Raises:
        ValueError: a size is not positive and finite.
    """

    kind: Literal["absolute", "thousandths"]
    width: ArrayLike
    height: ArrayLike
    model_width: ArrayLike
    model_height: ArrayLike
    fixed: bool = False

    def __post_init__(self) -> None:
        for name in ("width", "height", "model_width", "model_height"):
            size = np.asarray(getattr(self, name), np.float64)
            if not (np.isfinite(size) & (size > 0)).all():
                raise ValueError(f"expected a positive {name} but got {getattr(self, name)}")

    @classmethod
    def absolute(
        cls,
        width: ArrayLike,
        height: ArrayLike,
        model_width: ArrayLike,
        model_height: ArrayLike,
        *,
        fixed: bool = False,
    ) -> Frame:
        """Pixels of the resized image.

        >>> Frame.absolute(200, 100, 400, 300).to_model([[10, 10, 20, 50]])
        array([[ 20.,  30.,  40., 150.]])
        """
        return cls("absolute", width, height, model_width, model_height, fixed)

    @classmethod
    def thousandths(cls, width: ArrayLike, height: ArrayLike) -> Frame:
        """Thousandths of the image's width and height.

        >>> Frame.thousandths(200, 100).to_image([[500, 500, 1000, 1000]])
        array([[100.,  50., 200., 100.]])
        """
        return cls("thousandths", width, height, 1000.0, 1000.0)

    def to_model(self, boxes: ArrayLike) -> np.ndarray:
        """Convert boxes (N, 4) xyxy from the image frame; returns (N, 4) float64."""
        return _scaled(boxes, (self.model_width, self.model_height), (self.width, self.height))

    def to_image(self, boxes: ArrayLike) -> np.ndarray:
        """Convert boxes (N, 4) xyxy from the model frame; returns (N, 4) float64."""
        return _scaled(boxes, (self.width, self.height), (self.model_width, self.model_height))


def _scaled(
    boxes: ArrayLike, target: tuple[ArrayLike, ArrayLike], source: tuple[ArrayLike, ArrayLike]
) -> np.ndarray:
    scaled = np.array(boxes, np.float64).reshape(-1, 4)
    for axis in (0, 1):
        # Multiplied first, so that the image's border falls on the model frame's border exactly.
        scaled[:, axis::2] *= np.reshape(target[axis], (-1, 1))
        scaled[:, axis::2] /= np.reshape(source[axis], (-1, 1))
    return scaled


def smart_resize(
    height: int, width: int, factor: int, min_pixels: int, max_pixels: int
) -> tuple[int, int]:
    """The size to which Qwen2-VL's and Qwen2.5-VL's processors resize an image.

    Both sides become multiples of `factor` (patch x merge), the area lies within the bounds where
    that is possible, and the aspect ratio is kept as nearly as possible.

    Args:
        height, width: of the image, pixels.
        factor: pixels.
        min_pixels, max_pixels: bounds of the area.

    Returns:
        (height, width) after the resize.

    Raises:
        ValueError: one side is more than 200 times the other; the processor refuses such an image.

    Source: `transformers.models.qwen2_vl.image_processing_qwen2_vl.smart_resize`.

    >>> smart_resize(480, 640, factor=28, min_pixels=56 * 56, max_pixels=28 * 28 * 1280)
    (476, 644)
    """
    _check_shape(width, height, LARGEST_ASPECT_RATIO)
    # Python's round() goes to the even neighbour, as it does in the processor.
    resized_height = round(height / factor) * factor
    resized_width = round(width / factor) * factor
    if resized_height * resized_width > max_pixels:
        shrink = math.sqrt(height * width / max_pixels)
        resized_height = max(factor, math.floor(height / shrink / factor) * factor)
        resized_width = max(factor, math.floor(width / shrink / factor) * factor)
    elif resized_height * resized_width < min_pixels:
        grow = math.sqrt(min_pixels / (height * width))
        resized_height = math.ceil(height * grow / factor) * factor
        resized_width = math.ceil(width * grow / factor) * factor
    return resized_height, resized_width


def _check_shape(width: int, height: int, most: float) -> None:
    if max(height, width) > most * min(height, width):
        raise ValueError(
            f"expected sides that differ by at most {most} times but got {width} x {height}"
        )


@dataclass(frozen=True)
class Bounds:
    """Bounds of the pixels that a policy is shown of an image; None is the checkpoint's own."""

    min_pixels: int | None = None
    max_pixels: int | None = None


PATCH_SIZE, MERGE_SIZE = 14, 2  # of Qwen2-VL's processor where the checkpoint does not say
MIN_PIXELS, MAX_PIXELS = 56 * 56, 28 * 28 * 1280  # likewise


@dataclass(frozen=True)
class PolicyFrames:
    """How a checkpoint sees images.

    Attributes:
        kind: `absolute` or `thousandths`.
        fixed: (width, height) of the model frame where it is the same for every image.
        factor: sides are multiples of this many pixels (`absolute` without `fixed`).
        min_pixels, max_pixels: bounds of the resized area (`absolute` without `fixed`).
        largest_ratio: its processor refuses images whose sides differ by more (`thousandths`).
    """

    kind: Literal["absolute", "thousandths"]
    fixed: tuple[int, int] | None = None
    factor: int = PATCH_SIZE * MERGE_SIZE
    min_pixels: int = MIN_PIXELS
    max_pixels: int = MAX_PIXELS
    largest_ratio: float = math.inf


def policy_frame(policy: PolicyFrames, width: int, height: int) -> Frame:
    """The frame of one image of `width` x `height` pixels.

    Raises:
        ValueError: a side is not positive, or the processor refuses the aspect ratio.

    >>> policy_frame(PolicyFrames("absolute"), 640, 480).model_width
    644
    """
    if policy.kind == "thousandths":
        _check_shape(width, height, policy.largest_ratio)
        return Frame.thousandths(width, height)
    if policy.fixed is not None:
        return Frame.absolute(width, height, *policy.fixed, fixed=True)
    return Frame.absolute(width, height, *_settled_size(policy, width, height))


def window_frame(policy: PolicyFrames, width: int, height: int, model_pixels: float) -> Frame:
    """The frame of a window of `width` x `height` pixels, enlarged to `model_pixels`.

    So a look at a part costs what a look at the whole image costs, and shows more of it. A frame of
    fixed size holds the window as it holds the image; thousandths mean the same at any size.

    Args:
        policy: whose frame it is.
        width, height: of the window, pixels of the image.
        model_pixels: area of the whole image in the model frame.

    Raises:
        ValueError: as :func:`policy_frame`.

    >>> frame = window_frame(PolicyFrames("absolute"), 160, 120, model_pixels=644 * 476)
    >>> frame.model_width, frame.model_height
    (644, 476)
    """
    if policy.kind == "thousandths" or policy.fixed is not None:
        return policy_frame(policy, width, height)
    grow = math.sqrt(model_pixels / (width * height))
    enlarged = (max(1, round(side * grow)) for side in (width, height))
    return Frame.absolute(width, height, *_settled_size(policy, *enlarged))


def _settled_size(policy: PolicyFrames, width: int, height: int) -> tuple[int, int]:
    """The (width, height) that the processor leaves alone once an image was resized to it.

    One resize is not always enough. A strip whose short side was raised to `factor` can have more
    than `max_pixels`, and is shrunk again when the policy's processor is handed it.
    """
    size = (height, width)
    for _ in range(8):
        resized = smart_resize(*size, policy.factor, policy.min_pixels, policy.max_pixels)
        if resized == size:
            return size[1], size[0]
        size = resized
    raise ValueError(
        f"no size that the processor leaves alone has {policy.min_pixels} to {policy.max_pixels}"
        f" pixels and the shape of {width} x {height}"
    )
