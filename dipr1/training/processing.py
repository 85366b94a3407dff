"""Let the processor see each image once per update, however many responses are about it.

GRPO samples G responses to every prompt. TRL 1.16 hands the processor the image of each response,
once for the rollout and once more for the loss: the same image 2 G times. And it carries 2 G copies
of the pixels to the device, and a third one in the order of the micro-batches. Here each image is
computed once, and where the vision tower can be told what is meant, TRL carries stand-ins: a row of
a few digits for each patch, in place of its pixels.
"""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    from PIL import Image
    from transformers import BatchFeature, ProcessorMixin

    from dipr1.training.timing import Clock

# What is known to be one image's part after another, so that parts can be joined. Of families that
# fill images up to the largest of a batch, what an image becomes depends on the others.
JOINED = {"pixel_values", "image_grid_thw", "num_patches"}

# A stand-in is the number of an image in digits that every type of numbers holds exactly.
BASE, DIGITS = 128, 3


class Processed:
    """What the processor made of the images of one update.

    Attributes:
        stands_in: it gives stand-ins for pixels, which towers must be able to replace
            (:func:`dipr1.training.tower.take_stand_ins`).
    """

    def __init__(self) -> None:
        self.stands_in = False
        # by the image object and the processor's settings; holding the image keeps its id its own
        self._parts: dict[tuple[int, str], tuple[Image.Image, BatchFeature]] = {}
        self._pixels: list[torch.Tensor] = []
        self._alike: dict[tuple, list[int]] = {}

    @contextmanager
    def generation(self, training: bool) -> Iterator[None]:
        """In the body responses are generated and scored.

        Args:
            training: an update begins; the one before is forgotten. Otherwise, in an evaluation
                between updates, real pixels are given, and nothing is kept but the update's.
        """
        if training:
            self._parts, self._pixels, self._alike = {}, [], {}
            yield
            return
        stood_in, parts = self.stands_in, self._parts
        self.stands_in, self._parts = False, {}
        try:
            yield
        finally:
            self.stands_in, self._parts = stood_in, parts

    def part(self, image: Image.Image, settings: dict[str, Any], process) -> BatchFeature:
        """What `process` makes of an image with `settings`, computed once."""
        key = (id(image), repr(sorted(settings.items())))
        if key not in self._parts:
            part = process([image], **settings)
            if self.stands_in:
                part["pixel_values"] = self._stand_in(part)
            self._parts[key] = image, part
        return self._parts[key][1]

    def _stand_in(self, part: BatchFeature) -> torch.Tensor:
        """(patches, DIGITS) in place of the pixels; the same for images that are alike."""
        import torch

        pixels = part["pixel_values"]
        key = (*part["image_grid_thw"][0].tolist(), float(pixels.double().sum()))
        alike = self._alike.setdefault(key, [])
        number = next((k for k in alike if torch.equal(self._pixels[k], pixels)), None)
        if number is None:
            number = len(self._pixels)
            alike.append(number)
            self._pixels.append(pixels)
        digits = [number // BASE**place % BASE for place in range(DIGITS)]
        return torch.tensor([digits], dtype=pixels.dtype).expand(len(pixels), -1)

    def numbers(self, patches: torch.Tensor, grid: torch.Tensor) -> list[int] | None:
        """Which images stand-ins are for; None of real pixels.

        Args:
            patches: (P, D) of some images.
            grid: (N, 3) patches of each, in time, down and across.
        """
        if patches.shape[-1] != DIGITS:
            return None
        lengths = grid.prod(-1)
        digits = patches[(lengths.cumsum(0) - lengths).to(patches.device)].tolist()
        return [sum(int(d) * BASE**place for place, d in enumerate(row)) for row in digits]

    def pixels(self, numbers: Sequence[int], like: torch.Tensor) -> torch.Tensor:
        """The pixels of images one after another, on the device and in the type of `like`."""
        import torch

        distinct = {k: self._pixels[k].to(like.device, like.dtype) for k in set(numbers)}
        return torch.cat([distinct[k] for k in numbers])


def processing_once(
    processor: ProcessorMixin, clock: Clock | None = None
) -> tuple[ProcessorMixin, Processed]:
    """A processor that gives what `processor` gives, and computes each image object once.

    The images must not change meanwhile.

    Args:
        processor: with images, or with text and images.
        clock: counts its seconds.

    Returns:
        The processor, whose files are those of `processor`, and what it keeps of an update.
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
