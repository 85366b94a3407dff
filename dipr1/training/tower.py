"""Let a frozen vision tower encode each image once, however many responses are about it.

GRPO samples G responses to every prompt, and TRL hands the tower each image G times, for the
rollout and again for the loss. A frozen tower gives the same features each time.
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch


def share_repeated_images(model) -> bool:
    """Have the tower of a Qwen-VL model compute repeated images of a batch once.

    Args:
        model: its tower must be frozen, since gradients do not flow through the copies.

    Returns:
        Whether the model has a tower of that form; any other is left as it is.
    """
    tower = getattr(model.model, "visual", None)
    if tower is None or not hasattr(tower, "spatial_merge_unit"):
        return False
    plain = tower.forward

    @functools.wraps(plain)
    def shared(hidden_states, grid_thw, **kwargs):
        lengths = grid_thw.prod(-1).tolist()
        images = list(hidden_states.split(lengths))
        first = _first_alike(images, grid_thw)
        distinct = sorted(set(first))
        if len(distinct) == len(images):
            return plain(hidden_states, grid_thw=grid_thw, **kwargs)
        output = plain(
            hidden_states=_joined(images, distinct), grid_thw=grid_thw[distinct], **kwargs
        )
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

    tower.forward = shared
    return True


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
