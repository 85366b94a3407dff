"""Let the processor see each image once per update, however many responses are about it.

GRPO samples G responses to every prompt. TRL 1.16 hands the processor the image of each response,
once for the rollout and once more for the loss: the same image 2 G times.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from PIL import Image
    from transformers import BatchFeature, ProcessorMixin

    from dipr1.training.timing import Clock

# What is known to be one image's part after another, so that parts can be joined. Of families that
# fill images up to the largest of a batch, what an image becomes depends on the others.
JOINED = {"pixel_values", "image_grid_thw", "num_patches"}


class Processed:
    """What the processor made of the images of one update."""

    def __init__(self) -> None:
        # by the image object and the processor's settings; holding the image keeps its id its own
        self._parts: dict[tuple[int, str], tuple[Image.Image, BatchFeature]] = {}

    def forget(self) -> None:
        """Begin another update."""
        self._parts.clear()

    def part(self, image: Image.Image, settings: dict[str, Any], process) -> BatchFeature:
        """What `process` makes of an image with `settings`, computed once."""
        key = (id(image), repr(sorted(settings.items())))
        if key not in self._parts:
            self._parts[key] = image, process([image], **settings)
        return self._parts[key][1]


def processing_once(
    processor: ProcessorMixin, clock: Clock | None = None
) -> tuple[ProcessorMixin, Processed]:
    """A processor that gives what `processor` gives, and computes each image object once.

    The images must not change meanwhile.

    Args:
        processor: with images, or with text and images.
        clock: counts its seconds.

    Returns:
        The processor, whose files are those of `processor`, and what it keeps until it is told to
        forget it.
    """
    kept = Processed()
    once = copy.copy(processor)
    once.image_processor = copy.copy(processor.image_processor)
    family = type(once.image_processor)
    _override(once.image_processor, "preprocess", _computing_once(family.preprocess, kept))
    if clock is not None:
        _override(once, "__call__", clock.timed("processor", type(once).__call__))
    return once, kept


def _override(thing: Any, name: str, method: Callable) -> None:
    """Give `thing` another method.

    By a class of the same name, since the name is saved; an attribute of the object would be, too.
    """
    family = type(thing)
    about = {name: method, "__module__": family.__module__, "__doc__": family.__doc__}
    thing.__class__ = type(family.__name__, (family,), about)


def _computing_once(plain: Callable, kept: Processed) -> Callable:
    """The method `plain` of image processors, with what it makes of images kept in `kept`."""
    from PIL import Image
    from transformers import BatchFeature
    from transformers.image_utils import make_flat_list_of_images

    @functools.wraps(plain)
    def preprocess(self, images, *args: Any, **settings: Any) -> BatchFeature:
        flat = make_flat_list_of_images(images)
        if args or not all(isinstance(image, Image.Image) for image in flat):
            return plain(self, images, *args, **settings)
        tensors = settings.pop("return_tensors", None)
        process = functools.partial(plain, self)
        parts = [kept.part(image, settings, process) for image in flat]
        if not parts[0].keys() <= JOINED:
            return plain(self, images, return_tensors=tensors, **settings)
        return BatchFeature(
            {name: _joined([part[name] for part in parts]) for name in parts[0]}, tensors
        )

    return preprocess


def _joined(parts: list) -> Any:
    """The parts of images one after another: tensors, or lists of what a part has."""
    import torch

    if isinstance(parts[0], torch.Tensor):
        return torch.cat(parts)
    return [entry for part in parts for entry in part]
