"""Bounds of the pixels that a policy is shown of an image, other than the checkpoint's own.

They bound what an image costs. A window is cut from the file as it is and then has the whole bound
to itself, so it keeps its detail. Prompts say for which bounds they were made, since pixels after
the resize mean other places under others.
"""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from dipr1.artifacts.made import read_made
from dipr1.errors import UserError
from dipr1.frames import Bounds, PolicyFrames

if TYPE_CHECKING:
    from transformers import ProcessorMixin

NAMES = ("min_pixels", "max_pixels")


def bounded_frames(frames: PolicyFrames, bounds: Bounds) -> PolicyFrames:
    """The frames of a policy under other bounds.

    Raises:
        UserError: it sees every image at one size, or its least is more than its most.
    """
    if bounds == Bounds():
        return frames
    if frames.fixed is not None:
        raise UserError(
            f"{_given(bounds)}: the policy sees every image at {frames.fixed[0]} x"
            f" {frames.fixed[1]} pixels; leave it out"
        )
    if frames.kind == "thousandths":  # which mean the same at any size
        return frames
    least, most = _settled(bounds, frames.min_pixels, frames.max_pixels)
    return replace(frames, min_pixels=least, max_pixels=most)


def bound(processor: ProcessorMixin, bounds: Bounds) -> None:
    """Let a policy's processor keep to bounds; nothing changes where none is given.

    Raises:
        UserError: they do not go together, or how its family bounds images is not known.
    """
    for name, value in bounded_settings(processor, bounds).items():
        setattr(processor.image_processor, name, value)


def bounded_settings(processor: ProcessorMixin, bounds: Bounds) -> dict[str, Any]:
    """The settings of a policy's image processor under bounds, those that change.

    Raises:
        UserError: as :func:`bound`.
    """
    images = processor.image_processor
    if bounds == Bounds():
        return {}
    if hasattr(images, "max_patches"):  # InternVL: tiles of one size, and one of the whole image
        return _tiles(bounds, images.size["height"] * images.size["width"], images)
    if not (hasattr(images, "merge_size") and "longest_edge" in images.size):
        raise UserError(
            f"{_given(bounds)}: how {type(images).__name__} bounds images is not known; leave it"
            " out"
        )
    size = {"shortest_edge": images.size["shortest_edge"]}
    size["longest_edge"] = images.size["longest_edge"]
    least, most = _settled(bounds, *size.values())
    return {"size": type(images.size)(shortest_edge=least, longest_edge=most)}


def _tiles(bounds: Bounds, tile: int, images: Any) -> dict[str, int]:
    """So many tiles of `tile` pixels that they are within the bounds, with that of the whole."""
    most, least = images.max_patches, images.min_patches
    if bounds.max_pixels is not None:
        if bounds.max_pixels < tile:
            raise UserError(
                f"max_pixels: the policy sees {tile} pixels at least, one tile, but"
                f" {bounds.max_pixels} are allowed; raise it"
            )
        most = max(1, bounds.max_pixels // tile - 1)
    if bounds.min_pixels is not None:
        least = max(1, -(-bounds.min_pixels // tile) - 1)
    if least > most:
        raise UserError(f"min_pixels: asks for {least} tiles, but there are {most}; lower it")
    return {"min_patches": least, "max_patches": most}


def _settled(bounds: Bounds, least: int, most: int) -> tuple[int, int]:
    """The bounds, with a checkpoint's own where none is given."""
    least = least if bounds.min_pixels is None else bounds.min_pixels
    most = most if bounds.max_pixels is None else bounds.max_pixels
    if least > most:
        raise UserError(
            f"{_given(bounds)}: {least} pixels at least and {most} at most; give both min_pixels"
            " and max_pixels"
        )
    return least, most


def check_bounds(bounds: Bounds, *prompts: str | os.PathLike | None) -> None:
    """Check that prompts were made for the bounds that the policy is given now.

    Args:
        bounds: of the policy.
        prompts: artifacts; what another tool made is taken as it is, and so is None.

    Raises:
        UserError: some were made for others.
    """
    for path in prompts:
        options = None if path is None else read_made(path).options
        made = bounds if options is None else Bounds(*map(options.get, NAMES))
        if made != bounds:
            raise UserError(
                f"{path}: was made for {_given(made)}, but the policy has {_given(bounds)}; give"
                " the same (--max-pixels, --min-pixels, policy.max_pixels), or make it again"
            )


def _given(bounds: Bounds) -> str:
    given = [(name, getattr(bounds, name)) for name in NAMES]
    return (
        " and ".join(f"{name} {value}" for name, value in given if value is not None)
        or "the checkpoint's own bounds"
    )
