"""The sizes of a policy by its config.json: how many weights it has, and how many tokens an image.

Nothing but JSON is read: no weights, no torch. The counts are exact; the tests hold them to the
real classes of every family.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dipr1.errors import UserError
from dipr1.frames import smart_resize
from dipr1.policies.families import settings_in, whole_folder

MERGED = 4  # patches that become one token, of every family


@dataclass(frozen=True)
class Language:
    """The language model.

    Attributes:
        hidden, intermediate, layers, vocabulary: as in config.json.
        attended: width of all heads' queries together.
        shared: width of all heads' keys together, of which several queries share one.
        tied: the input's embeddings serve as the output's.
        weights: how many it has, embeddings included.
    """

    hidden: int
    intermediate: int
    layers: int
    vocabulary: int
    attended: int
    shared: int
    tied: bool
    weights: int

    @property
    def linear(self) -> list[tuple[int, int]]:
        """The (inputs, outputs) of the linear layers of one block."""
        wide = (self.hidden, self.intermediate)
        return [
            (self.hidden, self.attended),
            (self.hidden, self.shared),
            (self.hidden, self.shared),
            (self.attended, self.hidden),
            wide,
            wide,
            wide[::-1],
        ]


@dataclass(frozen=True)
class Tower:
    """The vision tower, without its projector.

    Attributes:
        hidden, intermediate, layers: of its blocks.
        gated: its feed-forward blocks have a gate.
        patch: side of a patch, pixels.
        pictures: pictures of a patch, of which a still image shows one again and again.
        weights: how many it has.
    """

    hidden: int
    intermediate: int
    layers: int
    gated: bool
    patch: int
    pictures: int
    weights: int

    @property
    def linear(self) -> list[tuple[int, int]]:
        """The (inputs, outputs) of the linear layers of one block."""
        wide = (self.hidden, self.intermediate)
        gate = [wide] if self.gated else []
        return [(self.hidden, 3 * self.hidden), (self.hidden, self.hidden), *gate, wide, wide[::-1]]


@dataclass(frozen=True)
class Anatomy:
    """The sizes of a policy.

    Attributes:
        language: the language model.
        tower: the vision tower.
        projector: weights of what makes tokens of the tower's features.
        image: how its processor sees images.
    """

    language: Language
    tower: Tower
    projector: int
    image: ImageSettings

    @property
    def weights(self) -> int:
        """All weights."""
        return self.language.weights + self.tower.weights + self.projector


@dataclass(frozen=True)
class ImageSettings:
    """How a processor sees images.

    Attributes:
        side: sides are multiples of it, pixels (Qwen-VL), or the side of a tile (InternVL).
        min_pixels, max_pixels: bounds of the area (Qwen-VL).
        tile_tokens: tokens of a tile (InternVL); 0 where there are no tiles.
        most_tiles: of an image, the whole as a further one not counted (InternVL).
    """

    side: int
    min_pixels: int = 0
    max_pixels: int = 0
    tile_tokens: int = 0
    most_tiles: int = 0

    def tokens(self, width: int, height: int) -> int:
        """Tokens of an image of so many pixels."""
        if self.tile_tokens:
            return self.tile_tokens * num_tiles(width, height, self.side, self.most_tiles)
        down, across = smart_resize(height, width, self.side, self.min_pixels, self.max_pixels)
        return down * across // self.side**2


def num_tiles(width: int, height: int, side: int, most: int) -> int:
    """Tiles into which InternVL's processor cuts an image, the whole as one more included.

    Source: `transformers.models.got_ocr2.image_processing_got_ocr2.get_optimal_tiled_canvas`.

    >>> num_tiles(896, 448, side=448, most=12), num_tiles(400, 400, side=448, most=12)
    (3, 1)
    """
    grids = [(x, y) for x in range(1, most + 1) for y in range(1, most + 1) if x * y <= most]
    best, least = (1, 1), math.inf
    for x, y in sorted(grids, key=lambda grid: grid[0] * grid[1]):
        off = abs(width / height - x / y)
        larger = off == least and width * height > 0.5 * side**2 * x * y
        if off < least or larger:
            best, least = (x, y), off
    count = best[0] * best[1]
    return count + (count > 1)


def read_anatomy(
    folder_or_name: str, min_pixels: int | None = None, max_pixels: int | None = None
) -> Anatomy:
    """Read the sizes of a policy.

    Args:
        folder_or_name: a Hugging Face checkpoint folder, or `tiny`; the weights need not be there.
        min_pixels, max_pixels: in place of the checkpoint's own bounds.

    Raises:
        UserError: there is no config.json, its family is not known, or it lacks a size.
    """
    folder = whole_folder(folder_or_name)
    config = settings_in(folder / "config.json") or {}
    family = str(config.get("model_type"))
    if family not in _TOWERS:
        raise UserError(
            f"{folder / 'config.json'}: the sizes of model_type {family!r} are not known; known are"
            f" {', '.join(_TOWERS)}"
        )
    text = {"tie_word_embeddings": config.get("tie_word_embeddings")} | (
        config.get("text_config") or config
    )
    text["tie_word_embeddings"] = config.get("tie_word_embeddings", text["tie_word_embeddings"])
    try:
        language = _language(text)
        tower, projector = _TOWERS[family](config["vision_config"], language.hidden)
    except KeyError as missing:
        raise UserError(
            f"{folder / 'config.json'}: {missing} is missing; download the checkpoint again"
        ) from None
    image = _image_settings(folder, config, tower, (min_pixels, max_pixels))
    return Anatomy(language, tower, projector, image)


def _language(text: Mapping[str, Any]) -> Language:
    hidden, wide, layers = (
        text[name] for name in ("hidden_size", "intermediate_size", "num_hidden_layers")
    )
    heads = text["num_attention_heads"]
    head = text.get("head_dim") or hidden // heads
    attended, shared = head * heads, head * text.get("num_key_value_heads", heads)
    qwen3 = str(text.get("model_type")).startswith("qwen3")
    biases = text.get("attention_bias", False) if qwen3 else True
    block = 2 * hidden * (attended + shared) + 3 * hidden * wide + 2 * hidden
    block += (2 * head if qwen3 else 0) + (attended + 2 * shared if biases else 0)
    tied = bool(text["tie_word_embeddings"])
    embeddings = text["vocab_size"] * hidden * (1 if tied else 2)
    weights = layers * block + hidden + embeddings
    return Language(hidden, wide, layers, text["vocab_size"], attended, shared, tied, weights)


def _linear(inputs: int, outputs: int) -> int:
    return inputs * outputs + outputs


def _tower(
    vision: Mapping[str, Any], hidden: int, wide: int, *, gated: bool, norm: int, further: int
) -> Tower:
    """A tower of one of Qwen's families; a norm has `norm` weights per channel."""
    layers, patch = vision.get("depth", 32), vision.get("patch_size", 14)
    pictures = vision.get("temporal_patch_size", 2)
    block = _linear(hidden, 3 * hidden) + _linear(hidden, hidden) + 2 * norm * hidden
    block += (2 if gated else 1) * _linear(hidden, wide) + _linear(wide, hidden)
    weights = layers * block + 3 * pictures * patch**2 * hidden + further
    return Tower(hidden, wide, layers, gated, patch, pictures, weights)


def _merger(hidden: int, outputs: int) -> int:
    return _linear(MERGED * hidden, MERGED * hidden) + _linear(MERGED * hidden, outputs)


def _qwen2_vl(vision: Mapping[str, Any], outputs: int) -> tuple[Tower, int]:
    hidden = vision.get("embed_dim", 1280)
    wide = int(hidden * vision.get("mlp_ratio", 4))
    tower = _tower(vision, hidden, wide, gated=False, norm=2, further=0)
    return tower, _merger(hidden, vision.get("hidden_size", outputs)) + 2 * hidden


def _qwen2_5_vl(vision: Mapping[str, Any], outputs: int) -> tuple[Tower, int]:
    hidden, wide = vision["hidden_size"], vision["intermediate_size"]
    tower = _tower(vision, hidden, wide, gated=True, norm=1, further=0)
    return tower, _merger(hidden, vision.get("out_hidden_size", outputs)) + hidden


def _qwen3_vl(vision: Mapping[str, Any], outputs: int) -> tuple[Tower, int]:
    hidden, wide = vision["hidden_size"], vision["intermediate_size"]
    positions = vision.get("num_position_embeddings", 2304)
    further = positions * hidden + hidden
    tower = _tower({"patch_size": 16} | vision, hidden, wide, gated=False, norm=2, further=further)
    deep = len(vision.get("deepstack_visual_indexes", (8, 16, 24)))
    merger = _merger(hidden, vision.get("out_hidden_size", outputs))
    return tower, merger + 2 * hidden + deep * (merger + 2 * MERGED * hidden)


def _internvl(vision: Mapping[str, Any], outputs: int) -> tuple[Tower, int]:
    hidden, wide = vision.get("hidden_size", 1024), vision.get("intermediate_size", 4096)
    layers, patch = vision.get("num_hidden_layers", 24), _side(vision.get("patch_size", 14))
    norm = 1 if vision.get("norm_type", "layer_norm") == "rms_norm" else 2
    block = 3 * hidden**2 + (3 * hidden if vision.get("attention_bias") else 0)
    block += _linear(hidden, hidden) + (2 * hidden if vision.get("use_qk_norm") else 0)
    block += _linear(hidden, wide) + _linear(wide, hidden) + 2 * norm * hidden + 2 * hidden
    weights = layers * block + _linear(3 * patch**2, hidden) + hidden
    if vision.get("use_absolute_position_embeddings", True):
        weights += ((_side(vision.get("image_size", 448)) // patch) ** 2 + 1) * hidden
    if vision.get("use_mask_token"):
        weights += hidden
    if not vision.get("use_mean_pooling", True):
        weights += 2 * hidden
    tower = Tower(hidden, wide, layers, False, patch, 1, weights)
    merged = MERGED * hidden
    return tower, 2 * merged + _linear(merged, outputs) + _linear(outputs, outputs)


_TOWERS = {
    "qwen2_vl": _qwen2_vl,
    "qwen2_5_vl": _qwen2_5_vl,
    "qwen3_vl": _qwen3_vl,
    "internvl": _internvl,
}


def _side(size: int | list[int]) -> int:
    return size if isinstance(size, int) else size[0]


def _image_settings(
    folder: Path,
    config: Mapping[str, Any],
    tower: Tower,
    bounds: tuple[int | None, int | None],
) -> ImageSettings:
    """What the checkpoint's processor says of images."""
    settings = settings_in(folder / "preprocessor_config.json")
    if settings is None:
        settings = (settings_in(folder / "processor_config.json") or {}).get("image_processor", {})
    size = settings.get("size") or {}
    if config["model_type"] == "internvl":
        side = size.get("height") or _side(config["vision_config"].get("image_size", 448))
        tokens = config.get("image_seq_length", 256)
        most = settings.get("max_patches", 12)
        if bounds[1]:  # as dipr1.policies.bounding does
            most = max(1, bounds[1] // side**2 - 1)
        return ImageSettings(side, tile_tokens=tokens, most_tiles=most)
    least = bounds[0] or settings.get("min_pixels") or size.get("shortest_edge") or 56 * 56
    most = bounds[1] or settings.get("max_pixels") or size.get("longest_edge") or 28 * 28 * 1280
    merge = settings.get("merge_size", 2)
    return ImageSettings(settings.get("patch_size", tower.patch) * merge, least, most)
