"""Synthetic street crowds: the built-in data set.

A scene is drawn back to front on one four-channel canvas of twice the size. The fourth channel
names the person who owns the pixel (0 for the background), so one drawing gives the picture, every
person's full-body box and every person's visible share. The canvas is then halved, which smooths
the edges, and lit.

Boxes are `(x1, y1, x2, y2)` in the image frame (pixels of the scene), full-body (the hidden part is
included) and clipped to the image.
"""

from __future__ import annotations

import json
import math
import os
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, lru_cache

import numpy as np
from PIL import Image

from dipr1.artifacts.writing import whole
from dipr1.demo.drawing import (
    BACKGROUND,
    PROPS,
    Canvas,
    Colour,
    Dice,
    draw_person,
    draw_umbrella,
    night_backdrop,
    palette,
    shade,
    street_backdrop,
)
from dipr1.planting import plant

_SUPERSAMPLING = 2
_LEAST_VISIBLE = 0.2  # persons less visible than this become ignore boxes
_MOST_COVERED = 0.72  # a place where one nearer person would hide more than this is not taken
_EMPTY = 0.05  # share of scenes without people


@dataclass(frozen=True)
class Scene:
    """One picture and what is in it.

    Attributes:
        image: RGB.
        boxes: (N, 4) float32 xyxy, image frame, full-body, clipped to the image.
        visibility: (N,) float32 in (0, 1], the visible share of the pixels that the person would
            have inside the image if nobody stood in front.
        ignore_boxes: (M, 4) float32 xyxy, image frame: far groups and persons too hidden to count.
    """

    image: Image.Image
    boxes: np.ndarray
    visibility: np.ndarray
    ignore_boxes: np.ndarray


@dataclass(frozen=True)
class Style:
    """What distinguishes one domain from another."""

    number: int  # enters the seed; never reuse one
    backdrop: Callable[[Canvas, Dice, float], None]
    clothes: Sequence[Colour]
    trousers: Sequence[Colour]
    horizon: tuple[float, float]  # share of the image's height
    steepness: tuple[float, float]  # a person's height / (foot - horizon); low: from high above
    heights: tuple[float, float]  # units: pixels in an image 144 high
    props: Sequence[str]
    gain: tuple[float, float]
    tints: Sequence[tuple[float, float, float]]
    gradient: float
    noise: tuple[float, float]
    umbrella: float = 0.0
    glow: bool = False
    size: tuple[int, int] = (192, 144)  # pixels, where none are asked for
    mean_people: float = 5.1  # about; the first is certain, the others are counted by Poisson
    most_people: int = 9
    clusters: tuple[int, int] = (1, 2)
    depth: float = 12  # of a cluster, units
    far_heights: tuple[float, float] = (14, 22)  # of people too far to tell apart, units


_MAST = {
    "size": (384, 288),
    "mean_people": 9.0,
    "most_people": 16,
    "clusters": (2, 4),
}
"""A crowd as a camera on a mast sees it: many people, and most of them small."""

_STREET = {
    "backdrop": street_backdrop,
    "clothes": palette(
        "be2c30 284682 2c2c32 e2e0d8 466e4c e2b03c 78466e"
        " 966e4e 648cb4 d67846 606268 e696aa 3c8286 543c30"
    ),
    "trousers": palette("282e46 222226 5a6888 826e54 545458 aa9c82 3c322e 782832"),
}
_DAYLIGHT = {
    "gain": (0.82, 1.12),
    "tints": ((1.0, 1.0, 1.0), (1.05, 1.0, 0.92), (0.94, 0.99, 1.06)),
    "gradient": 0.14,
    "noise": (2.0, 6.0),
}
_STREET_LAMPS = {
    "tints": ((0.9, 0.95, 1.2), (1.12, 0.98, 0.8), (1.08, 0.86, 1.1)),
    "gradient": 0.35,
    "noise": (6.0, 11.0),
    "glow": True,
}

STYLES: dict[str, Style] = {
    "street": Style(
        number=1,
        horizon=(0.10, 0.30),
        steepness=(0.78, 1.02),
        heights=(36, 115),
        props=("pole", "sign", "bin", "mannequin", "tree", "car"),
        **_STREET,
        **_DAYLIGHT,
    ),
    "night": Style(
        number=2,
        backdrop=night_backdrop,
        clothes=palette("282a38 463e50 1c1e26 685446 bed23c 781e2c 3c545c 968c96"),
        trousers=palette("1a1c24 2c2e3c 3c3432 141418"),
        horizon=(-0.06, 0.12),
        steepness=(0.46, 0.62),
        heights=(14, 66),
        props=("pole", "sign", "bin", "car"),
        gain=(0.62, 0.95),
        umbrella=0.28,
        far_heights=(7, 10),
        **_STREET_LAMPS,
        **_MAST,
    ),
    "square": Style(
        number=3,
        horizon=(-0.02, 0.14),
        steepness=(0.46, 0.64),
        heights=(12, 66),
        props=("pole", "sign", "bin", "mannequin", "tree", "car"),
        far_heights=(6, 9),
        **_STREET,
        **_DAYLIGHT,
        **_MAST,
    ),
    "far": Style(
        number=4,
        horizon=(-0.12, 0.06),
        steepness=(0.3, 0.42),
        heights=(10, 46),
        props=("pole", "sign", "bin", "mannequin", "tree", "car"),
        far_heights=(5, 7),
        **_STREET,
        **_DAYLIGHT,
        **_MAST,
    ),
    # what the tiny policy knows of the night: its light, but neither its clothes nor its houses
    "dusk": Style(
        number=5,
        horizon=(-0.02, 0.14),
        steepness=(0.46, 0.64),
        heights=(12, 66),
        props=("pole", "sign", "bin", "mannequin", "tree", "car"),
        gain=(0.4, 0.85),
        far_heights=(6, 9),
        **_STREET,
        **_STREET_LAMPS,
        **_MAST,
    ),
}


# --- composition --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Placed:
    """Something that stands on the ground; lengths in canvas pixels."""

    foot: float
    x: float
    height: float
    prop: str | None = None


@cache
def _poisson_steps(mean: float, most: int) -> tuple[float, ...]:
    weights = [mean**k / math.factorial(k) for k in range(most)]
    total = sum(weights)
    return tuple(np.cumsum([weight / total for weight in weights]).tolist())


def _num_people(dice: Dice, style: Style) -> int:
    if dice.chance(_EMPTY):
        return 0
    extra = _poisson_steps(style.mean_people - 1, style.most_people)
    return min(style.most_people, 1 + bisect_right(extra, dice.roll()))


def _place_people(
    canvas: Canvas,
    dice: Dice,
    style: Style,
    horizon: float,
    crowding: float,
    occlusion: float,
) -> list[_Placed]:
    """Feet and heights in clusters, none almost wholly behind another."""
    unit = canvas.unit
    steep = dice.between(*style.steepness)
    least, most = (height * unit for height in style.heights)
    first_foot = horizon + 1.1 * least / steep
    last_foot = min(horizon + most / steep, canvas.height + 8 * unit)
    centres = [
        (dice.between(0.12, 0.88) * canvas.width, dice.between(first_foot, last_foot))
        for _ in range(dice.integer(*style.clusters))
    ]
    placed: list[_Placed] = []
    for _ in range(_num_people(dice, style)):
        for _attempt in range(6):
            if placed and occlusion > 1 and dice.chance(1 - 1 / occlusion):
                person = _behind(canvas, dice, dice.pick(placed), horizon, steep)
                if person.foot >= first_foot and not _too_covered(person, placed):
                    placed.append(person)
                    break
                continue
            centre_x, centre_foot = dice.pick(centres)
            foot = centre_foot + dice.bell() * style.depth * unit
            foot = min(last_foot, max(first_foot, foot))
            height = (foot - horizon) * steep * (1 + 0.05 * dice.bell())
            if dice.chance(0.08):  # a child
                height *= 0.72
            height = min(most, max(least, height))
            x = centre_x + dice.bell() * 0.5 * height / crowding
            x = min(0.97 * canvas.width, max(0.03 * canvas.width, x))
            person = _Placed(foot, x, height)
            if not _too_covered(person, placed):
                placed.append(person)
                break
    return placed


def _behind(canvas: Canvas, dice: Dice, nearer: _Placed, horizon: float, steep: float) -> _Placed:
    """Somebody of whom `nearer` hides a good part."""
    foot = nearer.foot - dice.between(0.02, 0.12) * nearer.height
    side = 1 if dice.chance(0.5) else -1
    x = nearer.x + side * dice.between(0.1, 0.18) * nearer.height
    x = min(0.97 * canvas.width, max(0.03 * canvas.width, x))
    return _Placed(foot, x, (foot - horizon) * steep * (1 + 0.05 * dice.bell()))


def _too_covered(person: _Placed, others: Sequence[_Placed]) -> bool:
    for other in others:
        far, near = (person, other) if person.foot <= other.foot else (other, person)
        half_far, half_near = 0.17 * far.height, 0.17 * near.height
        right = min(far.x + half_far, near.x + half_near)
        width = right - max(far.x - half_far, near.x - half_near)
        height = min(far.foot, near.foot) - max(far.foot - far.height, near.foot - near.height)
        covered = max(width, 0.0) * max(height, 0.0)
        if covered > _MOST_COVERED * 2 * half_far * far.height:
            return True
    return False


def _place_props(canvas: Canvas, dice: Dice, style: Style, horizon: float) -> list[_Placed]:
    unit = canvas.unit
    steep = sum(style.steepness) / 2
    placed = []
    for _ in range(dice.integer(0, 3)):
        foot = dice.between(horizon + style.heights[0] * unit / steep, canvas.height * 0.9)
        height = (foot - horizon) * steep * dice.between(0.9, 1.05)
        x = dice.between(0, canvas.width)
        placed.append(_Placed(foot, x, height, prop=dice.pick(style.props)))
    return placed


def _far_group(canvas: Canvas, dice: Dice, style: Style, ground: float) -> tuple[float, ...]:
    """People too far to tell apart, drawn blurred. Returns their common box, canvas pixels."""
    unit = canvas.unit
    height = dice.between(*style.far_heights) * unit
    count = dice.integer(6, 11)
    x = dice.between(0.05, 0.7) * canvas.width
    foot = ground + dice.between(6, 12) * unit
    x1, right, top, bottom = x, x, foot, foot
    for _ in range(count):
        h = height * dice.between(0.85, 1.1)
        f = foot + dice.between(-2, 2) * unit
        draw_person(canvas, dice, style.clothes, style.trousers, x=x, foot=f, height=h, light=1)
        top, bottom, right = min(top, f - h), max(bottom, f), x
        x += h * dice.between(0.14, 0.34)
    box = (
        max(0, math.floor(x1 - 0.2 * height)),
        max(0, math.floor(top - 1)),
        min(canvas.width, math.ceil(right + 0.2 * height)),
        min(canvas.height, math.ceil(bottom + 2)),
    )
    canvas.blur(box, 0.8 * unit)
    return box


def _search_window(canvas: Canvas, person: _Placed) -> tuple[int, int, int, int]:
    """Canvas pixels that surely hold all of a person."""
    h = person.height
    return (
        max(0, int(person.x - 0.4 * h)),
        max(0, int(person.foot - 1.08 * h)),
        min(canvas.width, int(person.x + 0.4 * h) + 1),
        min(canvas.height, int(person.foot + 0.05 * h) + 1),
    )


def scene(
    index: int,
    *,
    seed: int,
    style: str = "square",
    width: int | None = None,
    height: int | None = None,
    crowding: float = 1.0,
    occlusion: float = 1.0,
) -> Scene:
    """Draw scene `index` of the endless set named by `seed` and `style`.

    Args:
        index: number of the scene, >= 0.
        seed: >= 0.
        style: a key of `STYLES`.
        width: pixels; the style's own where it is not given.
        height: likewise; people's sizes follow it.
        crowding: how tightly people stand together, > 0; 2 halves their distances.
        occlusion: how many people stand right behind another, >= 1; at 2 about every second one.

    Returns:
        The scene. The same arguments give the same scene, bit for bit, in any order of calls.

    Raises:
        KeyError: unknown style.

    >>> first, again = scene(0, seed=1), scene(0, seed=1)
    >>> first.image.size, first.image.tobytes() == again.image.tobytes()
    ((384, 288), True)
    """
    look = STYLES[style]
    width, height = width or look.size[0], height or look.size[1]
    rng = np.random.default_rng([seed, index, look.number])
    dice = Dice(rng)
    canvas = Canvas(width * _SUPERSAMPLING, height * _SUPERSAMPLING, (128, 128, 128))
    horizon = dice.between(*look.horizon) * canvas.height
    ground = horizon + dice.between(8, 16) * canvas.unit
    look.backdrop(canvas, dice, ground)
    ignore = [_far_group(canvas, dice, look, ground)] if dice.chance(0.12) else []
    things = _place_people(canvas, dice, look, horizon, crowding, occlusion)
    things += _place_props(canvas, dice, look, horizon)
    things.sort(key=lambda thing: (thing.foot, thing.x))
    light = 1 if dice.chance(0.5) else -1
    boxes, visibility, hidden = _draw_things(canvas, dice, look, things, light)
    image = _lit(canvas, dice, rng, look, width, height)
    return Scene(image, boxes, visibility, _as_boxes(ignore + hidden))


def _draw_things(
    canvas: Canvas, dice: Dice, style: Style, things: Sequence[_Placed], light: int
) -> tuple[np.ndarray, np.ndarray, list[tuple[float, ...]]]:
    """Draw back to front. Returns boxes and visibility of the persons, and boxes of the hidden."""
    for thing in things:
        reach = 0.75 if thing.prop == "car" else 0.2
        canvas.ellipse(
            thing.x + light * 0.08 * thing.height,
            thing.foot,
            reach * thing.height,
            0.03 * thing.height,
            _shadow(canvas, thing),
        )
    extents, totals = [], []
    for thing in things:
        if thing.prop is not None:
            canvas.owner = BACKGROUND
            PROPS[thing.prop](canvas, dice, thing.x, thing.foot, thing.height)
            continue
        canvas.owner = len(extents) + 1
        draw_person(
            canvas,
            dice,
            style.clothes,
            style.trousers,
            x=thing.x,
            foot=thing.foot,
            height=thing.height,
            light=light,
        )
        extent, total = canvas.extent(_search_window(canvas, thing))
        extents.append(extent)
        totals.append(total)
        if dice.chance(style.umbrella):
            canvas.owner = BACKGROUND
            draw_umbrella(canvas, dice, thing.x, thing.foot, thing.height)
    left = canvas.image.getchannel("X").histogram()[1 : len(totals) + 1]
    visibility = np.array(left, np.float32) / np.array(totals, np.float32)
    seen = visibility >= _LEAST_VISIBLE
    hidden = [extent for extent, kept in zip(extents, seen.tolist(), strict=True) if not kept]
    return _as_boxes(extents)[seen], visibility[seen], hidden


def _shadow(canvas: Canvas, thing: _Placed) -> Colour:
    """The ground's colour under a thing's feet, darkened."""
    x = min(canvas.width - 1, max(0, int(thing.x)))
    y = min(canvas.height - 1, max(0, int(thing.foot)))
    return shade(canvas.image.getpixel((x, y))[:3], 0.7)


def _as_boxes(extents: Sequence[tuple[float, ...]]) -> np.ndarray:
    return np.array(extents, np.float32).reshape(-1, 4) / _SUPERSAMPLING


@lru_cache(maxsize=1)
def _noise_tile() -> np.ndarray:
    """(512, 3 * 512) float32 normal noise, mostly grey: the grain of every picture."""
    rng = np.random.default_rng(20240)
    grey = rng.standard_normal((512, 512, 1), np.float32)
    return (0.8 * grey + 0.6 * rng.standard_normal((512, 512, 3), np.float32)).reshape(512, -1)


@lru_cache(maxsize=8)
def _ramps(width: int, height: int) -> tuple[np.ndarray, np.ndarray]:
    """-1..1 over the columns, each three times for its channels, and over the rows."""
    across = np.linspace(-1, 1, width, dtype=np.float32).repeat(3)[None, :]
    down = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    return across, down


def _lit(
    canvas: Canvas, dice: Dice, rng: np.random.Generator, style: Style, width: int, height: int
) -> Image.Image:
    """Halve the canvas, then apply the scene's light, tint and grain."""
    small = canvas.image.reduce(_SUPERSAMPLING).convert("RGB")
    across, down = _ramps(width, height)
    slope = style.gradient
    field = dice.between(-slope, slope) * across + dice.between(-slope, slope) * down
    field += 1
    if style.glow:
        lamp_x, lamp_y = dice.between(-0.8, 0.8), dice.between(-0.9, 0.0)
        glow = np.exp(-2.5 * (across - lamp_x) ** 2) * np.exp(-2.5 * (down - lamp_y) ** 2)
        field += dice.between(0.3, 0.9) * glow
    tint = np.array(dice.pick(style.tints), np.float32)
    pixels = np.asarray(small).reshape(height, 3 * width).astype(np.float32)
    pixels *= field
    pixels *= np.tile(dice.between(*style.gain) * tint, width)
    pixels += dice.between(*style.noise) * _grain(dice, rng, width, height)
    np.clip(pixels, 0, 255, out=pixels)
    return Image.fromarray(pixels.astype(np.uint8).reshape(height, width, 3))


def _grain(dice: Dice, rng: np.random.Generator, width: int, height: int) -> np.ndarray:
    """(height, 3 * width) float32: a random cut of the tile, which is costly to draw anew."""
    tile = _noise_tile()
    high, wide = tile.shape[0], tile.shape[1] // 3
    if height > high or width > wide:
        return rng.standard_normal((height, 3 * width), np.float32)
    y, x = dice.integer(0, high - height), 3 * dice.integer(0, wide - width)
    return tile[y : y + height, x : x + 3 * width]


# --- files --------------------------------------------------------------------------------------


def write_scenes(
    folder: str | os.PathLike,
    *,
    num_images: int,
    seed: int,
    style: str = "square",
    crowding: float = 1.0,
    occlusion: float = 1.0,
    wrong_labels: float = 0.0,
    on_progress: Callable[[int], None] | None = None,
) -> None:
    """Write scenes 0 .. num_images - 1 as JPEG files with COCO annotations.

    The folder gets `images/000000.jpg` ... and `annotations.json`, in which every person has the
    extra key `visibility` and every ignore region has `iscrowd` 1. It appears whole or not at all,
    replacing an older one; the same arguments give the same bytes.

    Args:
        wrong_labels: the share of the labels of people in which errors are planted
            (:func:`dipr1.planting.plant`). An added one has no visibility.
        on_progress: called with the number of scenes written so far.

    Raises:
        KeyError: unknown style.
    """
    images, records = [], []
    with whole(folder) as part:
        (part / "images").mkdir(parents=True)
        for index in range(num_images):
            drawn = scene(index, seed=seed, style=style, crowding=crowding, occlusion=occlusion)
            width, height = drawn.image.size
            name = f"{index:06d}.jpg"
            drawn.image.save(part / "images" / name, quality=92)
            images.append({"id": index + 1, "file_name": name, "width": width, "height": height})
            records.append(list(_coco_records(drawn)))
            if on_progress is not None:
                on_progress(index + 1)
        if wrong_labels:
            records = _with_errors(records, images, wrong_labels, seed)
        document = {
            "images": images,
            "annotations": _numbered(records),
            "categories": [{"id": 1, "name": "person"}],
        }
        (part / "annotations.json").write_text(json.dumps(document), encoding="utf-8")


def _numbered(records: list[list[dict]]) -> list[dict]:
    """The annotations of all images, with the ids that COCO gives them."""
    owned = [(image, one) for image, of_image in enumerate(records, 1) for one in of_image]
    return [
        {"id": number, "image_id": image, **one} for number, (image, one) in enumerate(owned, 1)
    ]


def _with_errors(
    records: list[list[dict]], images: list[dict], share: float, seed: int
) -> list[list[dict]]:
    """The annotations of each image, with errors in the people's; the areas come last as before."""
    areas = [[one for one in of_image if one["iscrowd"]] for of_image in records]
    people = [one for of_image in records for one in of_image if not one["iscrowd"]]
    count = [
        len(of_image) - len(of_areas) for of_image, of_areas in zip(records, areas, strict=True)
    ]
    boxes = np.reshape([one["bbox"] for one in people], (-1, 4)).astype(np.float64)
    boxes[:, 2:] += boxes[:, :2]
    sizes = np.array([[image["width"], image["height"]] for image in images])
    planted = plant(boxes, np.repeat(np.arange(len(images)), count), sizes, share, seed)
    inside = np.clip(planted.boxes, 0, np.tile(sizes[planted.image], 2))
    changed: list[list[dict]] = [[] for _ in images]
    for image, box, source, wrong in zip(
        *(part.tolist() for part in (planted.image, inside, planted.source, planted.wrong)),
        strict=True,
    ):
        before = people[source] if source >= 0 else {"iscrowd": 0}
        changed[image].append(before | _coco_box(box) if wrong else before)
    return [them + rest for them, rest in zip(changed, areas, strict=True)]


def _coco_records(drawn: Scene) -> Iterator[dict]:
    for box, visible in zip(drawn.boxes.tolist(), drawn.visibility.tolist(), strict=True):
        yield {**_coco_box(box), "iscrowd": 0, "visibility": round(visible, 4)}
    for box in drawn.ignore_boxes.tolist():
        yield {**_coco_box(box), "iscrowd": 1}


def _coco_box(box: Sequence[float]) -> dict:
    x1, y1, x2, y2 = box
    return {"category_id": 1, "bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
