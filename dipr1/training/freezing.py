"""Which parts of a policy are trained; the same two names mean the same part of every family.

The *tower* encodes an image. The *projector* turns what it has encoded into tokens of the language
model: Qwen-VL's mergers, which lie inside its tower, and InternVL's `multi_modal_projector`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from dipr1.errors import UserError

if TYPE_CHECKING:
    from torch.nn import Parameter

TOWERS = ("visual", "vision_tower", "vision_model")
PROJECTORS = ("merger", "deepstack_merger_list", "multi_modal_projector")


def freeze(model, vision: bool, projector: bool | None = None) -> bool:
    """Leave the vision tower, the projector or both as they are.

    Args:
        model: of any family.
        vision: whether the tower is frozen.
        projector: whether the projector is; None as the tower.

    Returns:
        Whether nothing but the language model is trained.

    Raises:
        UserError: the model has no part of that name.
    """
    projector = vision if projector is None else projector
    for option, names, frozen in (
        ("freeze_vision", TOWERS, vision),
        ("freeze_projector", PROJECTORS, projector),
    ):
        weights = list(_weights(model, names, PROJECTORS if names is TOWERS else ()))
        if frozen and not weights:
            raise UserError(
                f"{option}: {type(model).__name__} has no part called {', '.join(names[:-1])} or"
                f" {names[-1]}; set training.{option} to false"
            )
        for weight in weights if frozen else ():
            weight.requires_grad_(False)
    return vision and projector


def _weights(model, names: tuple[str, ...], without: tuple[str, ...]) -> Iterator[Parameter]:
    """The weights of the modules that are called so, but for those of inner ones."""
    for name, weight in model.named_parameters():
        modules = name.split(".")
        if any(part in names for part in modules) and not any(part in without for part in modules):
            yield weight
