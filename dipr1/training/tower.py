"""Let a frozen vision tower encode each image once, however many responses are about it.

GRPO samples G responses to every prompt, and TRL hands the tower each image G times, for the
rollout and again for the loss. A frozen tower gives the same features each time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch

    from dipr1.training.processing import Processed


def share_repeated_images(model) -> bool:
    """Have the tower of a Qwen2.5-VL or Qwen3-VL model compute repeated images of a batch once.

    Args:
        model: its tower must be frozen, since gradients do not flow through the copies.

    Returns:
        Whether the model has a tower of that form; any other is left as it is.
    """
    towers = [tower for tower in _towers(model) if hasattr(tower, "spatial_merge_unit")]
    for tower in towers:
        tower.forward = _sharing(tower)
    return bool(towers)


def take_stand_ins(processed: Processed, *models) -> bool:
    """Have the towers of Qwen-VL models replace stand-ins for pixels by the pixels.

    Args:
        processed: gives the stand-ins, from now on, and knows the pixels.
        models: all that are handed what a processor gives; None is left out.

    Returns:
        Whether each has a tower of that form; otherwise real pixels are given, as before.
    """
    towers = [_towers(model) for model in models if model is not None]
    processed.stands_in = bool(towers) and all(towers)
    if processed.stands_in:
        for tower in sum(towers, []):
            tower.forward = _replacing(tower.forward, processed)
    return processed.stands_in


def _towers(model) -> list:
    """The towers that take the patches of images one after another, as Qwen-VL's do."""
    known = ("patch_embed", "spatial_merge_size")
    return [part for part in model.modules() if all(hasattr(part, name) for name in known)]


def _replacing(plain, processed: Processed):
    """`plain` of pixels in place of stand-ins, each image once where that is enough."""
    import torch

    @functools.wraps(plain)
    def replaced(hidden_states, grid_thw, **kwargs):
        numbers = processed.numbers(hidden_states, grid_thw)
        if numbers is None:
            return plain(hidden_states, grid_thw=grid_thw, **kwargs)
        of_distinct = getattr(plain, "of_distinct", None)
        if of_distinct is None:
            pixels = processed.pixels(numbers, like=hidden_states)
            return plain(pixels, grid_thw=grid_thw, **kwargs)
        first = [numbers.index(number) for number in numbers]
        pixels = processed.pixels([numbers[k] for k in sorted(set(first))], like=hidden_states)
        with torch.no_grad():  # whatever is around `plain`: what shares is frozen
            return of_distinct(pixels, first, grid_thw, **kwargs)

    return replaced


def _sharing(tower):
    """The forward pass of a tower, with each image computed once and its features repeated.

    Its attribute `of_distinct` is for pixels without the copies; `first` says for each image, by
    its place, which is the first that is equal to it.
    """
    plain = tower.forward

    def of_distinct(pixels, first: list[int], grid_thw, **kwargs):
        distinct = sorted(set(first))
        if len(distinct) == len(first):
            return plain(pixels, grid_thw=grid_thw, **kwargs)
        output = plain(hidden_states=pixels, grid_thw=grid_thw[distinct], **kwargs)
        lengths = grid_thw.prod(-1).tolist()
        place = {image: k for k, image in enumerate(distinct)}
        order = [place[image] for image in first]
        patches = [lengths[image] for image in distinct]
        tokens = [length // tower.spatial_merge_unit for length in patches]
        output.last_hidden_state = _joined(output.last_hidden_state.split(patches), order)
        output.pooler_output = _joined(output.pooler_output.split(tokens), order)
        # Qwen2.5-VL has no such features, Qwen3-VL a list of them.
        if getattr(output, "deepstack_features", None):
            output.deepstack_features = [
                _joined(features.split(tokens), order) for features in output.deepstack_features
            ]
        return output

    @functools.wraps(plain)
    def shared(hidden_states, grid_thw, **kwargs):
        images = list(hidden_states.split(grid_thw.prod(-1).tolist()))
        first = _first_alike(images, grid_thw)
        distinct = sorted(set(first))
        if len(distinct) < len(images):
            hidden_states = _joined(images, distinct)
        return of_distinct(hidden_states, first, grid_thw, **kwargs)

    shared.of_distinct = of_distinct
    return shared


def _first_alike(images: list[torch.Tensor], grid_thw: torch.Tensor) -> list[int]:
    """For each image the first one that is equal to it in every patch."""
    seen: dict[tuple, list[int]] = {}
    first = []
    sums = [float(image.double().sum()) for image in images]
    for index, image in enumerate(images):
        alike = seen.setdefault((*grid_thw[index].tolist(), sums[index]), [])
        same = next((k for k in alike if bool((images[k] == image).all())), index)
        if same == index:
            alike.append(index)
        first.append(same)
    return first


def _joined(parts, order: list[int]) -> torch.Tensor:
    import torch

    return torch.cat([parts[k] for k in order])
