"""The pieces of a synthetic scene: people, what looks like people, and what is behind them.

Everything is drawn with `ImageDraw` from a handful of polygons whose measures are shares of the
thing's height, so a scene costs a millisecond and a half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]

BACKGROUND = 0  # the owner of every pixel that no person owns
REFERENCE_HEIGHT = 144  # `Canvas.unit` is one pixel of an image this high


class Dice:
    """Random numbers one at a time.

    They are taken from the generator in blocks, which is ten times cheaper than one by one.
    """

    def __init__(self, rng: np.random.Generator) -> None:
        self._rng = rng
        self._pool: list[float] = []

    def roll(self) -> float:
        try:
            return self._pool.pop()
        except IndexError:
            self._pool = self._rng.random(512).tolist()
            return self._pool.pop()

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * self.roll()

    def chance(self, probability: float) -> bool:
        return self.roll() < probability

    def integer(self, low: int, high: int) -> int:
        """In low..high, both ends included."""
        return low + int(self.roll() * (high - low + 1))

    def pick(self, items: Sequence):
        return items[int(self.roll() * len(items))]

    def bell(self) -> float:
        """Bell-shaped with standard deviation 1, within +-3.5 (a sum of four uniforms)."""
        return (self.roll() + self.roll() + self.roll() + self.roll() - 2.0) * 1.7320508

    def near(self, colour: Colour, spread: int = 16) -> Colour:
        red, green, blue = colour
        return (
            _channel(red + self.between(-spread, spread)),
            _channel(green + self.between(-spread, spread)),
            _channel(blue + self.between(-spread, spread)),
        )


class Canvas:
    """An RGBX image whose fourth channel is the owner of the pixel."""

    def __init__(self, width: int, height: int, colour: Colour) -> None:
        self.width, self.height = width, height
        self.unit = height / REFERENCE_HEIGHT
        self.image = Image.new("RGBX", (width, height), (*colour, BACKGROUND))
        self._draw = ImageDraw.Draw(self.image)
        self.owner = BACKGROUND

    def polygon(self, points: Sequence[tuple[float, float]], colour: Colour) -> None:
        self._draw.polygon(points, fill=(*colour, self.owner))

    def rectangle(self, x1: float, y1: float, x2: float, y2: float, colour: Colour) -> None:
        if x2 >= x1 and y2 >= y1:
            self._draw.rectangle((x1, y1, x2, y2), fill=(*colour, self.owner))

    def ellipse(self, x: float, y: float, rx: float, ry: float, colour: Colour) -> None:
        self._draw.ellipse((x - rx, y - ry, x + rx, y + ry), fill=(*colour, self.owner))

    def chord(
        self, x: float, y: float, rx: float, ry: float, start: float, end: float, colour: Colour
    ) -> None:
        self._draw.chord((x - rx, y - ry, x + rx, y + ry), start, end, fill=(*colour, self.owner))

    def line(self, points: Sequence[tuple[float, float]], width: float, colour: Colour) -> None:
        self._draw.line(points, fill=(*colour, self.owner), width=max(1, round(width)))

    def blur(self, box: tuple[int, int, int, int], radius: float) -> None:
        patch = self.image.crop(box).filter(ImageFilter.GaussianBlur(radius))
        self.image.paste(patch, box[:2])

    def extent(self, box: tuple[int, int, int, int]) -> tuple[tuple | None, int]:
        """Bounding box (in canvas pixels) and number of the current owner's pixels within `box`."""
        owned = np.asarray(self.image.crop(box).getchannel("X")) == self.owner
        columns, rows = owned.any(axis=0).nonzero()[0], owned.any(axis=1).nonzero()[0]
        if not len(rows):
            return None, 0
        x, y = box[:2]
        tight = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
        return tight, int(np.count_nonzero(owned))


def _channel(value: float) -> int:
    return 0 if value < 0 else 255 if value > 255 else int(value)


def shade(colour: Colour, factor: float) -> Colour:
    """A colour made darker (factor < 1) or lighter.

    >>> shade((100, 200, 0), 0.5)
    (50, 100, 0)
    """
    red, green, blue = colour
    return _channel(red * factor), _channel(green * factor), _channel(blue * factor)


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second, strict=True))


# --- people -------------------------------------------------------------------------------------

_SKIN: Sequence[Colour] = (
    (244, 208, 180),
    (231, 184, 148),
    (209, 158, 118),
    (172, 120, 82),
    (128, 84, 56),
    (92, 60, 42),
)
_HAIR: Sequence[Colour] = (
    (32, 24, 20),
    (58, 40, 28),
    (96, 64, 36),
    (150, 108, 60),
    (200, 168, 104),
    (150, 148, 146),
)
_SHOES: Sequence[Colour] = ((30, 28, 30), (70, 48, 34), (210, 208, 204), (48, 52, 64))
_SHIRTS: Sequence[Colour] = ((232, 230, 224), (40, 42, 50), (180, 60, 56), (120, 150, 190))


@dataclass(frozen=True)
class _Figure:
    """A person's pose, measures (canvas pixels) and colours."""

    x: float
    foot: float
    height: float
    build: float
    coat: Colour
    trousers: Colour
    skin: Colour
    hair: Colour
    shoe: Colour
    walking: bool
    facing: int  # -1 left, 1 right
    dress: bool
    hem: float  # y of the coat's lower border
    lean: float  # how far the head is ahead of the hips
    stride: float  # half the distance between the feet
    light: int  # -1: the left side is in the shade; 1: the right side

    @property
    def top(self) -> float:
        return self.foot - self.height

    @property
    def neck_x(self) -> float:
        return self.x + self.lean

    @property
    def shoulder(self) -> float:
        return self.top + self.height * 0.175

    @property
    def hip(self) -> float:
        return self.top + self.height * 0.5

    @property
    def shoulder_half(self) -> float:
        return self.height * 0.125 * self.build

    @property
    def hip_half(self) -> float:
        return self.height * 0.095 * self.build


def draw_person(
    canvas: Canvas,
    dice: Dice,
    clothes: Sequence[Colour],
    trousers: Sequence[Colour],
    *,
    x: float,
    foot: float,
    height: float,
    light: int,
) -> None:
    """Draw one person as owned by `canvas.owner`.

    Args:
        clothes, trousers: colours to choose from.
        x: of the hips, canvas pixels.
        foot: y of the soles, canvas pixels.
        height: from soles to crown, canvas pixels.
        light: side that is in the shade, -1 left or 1 right.
    """
    figure = _dressed(dice, clothes, trousers, x, foot, height, light)
    _arm(canvas, dice, figure, -figure.facing, shade(figure.coat, 0.72))
    _legs(canvas, figure)
    _torso(canvas, dice, figure)
    _arm(canvas, dice, figure, figure.facing, shade(figure.coat, 0.86))
    _head(canvas, dice, figure)


def _dressed(
    dice: Dice,
    clothes: Sequence[Colour],
    trousers: Sequence[Colour],
    x: float,
    foot: float,
    height: float,
    light: int,
) -> _Figure:
    build = dice.between(0.88, 1.16)
    coat = dice.near(dice.pick(clothes))
    lower = dice.near(dice.pick(trousers), 12)
    skin = dice.near(dice.pick(_SKIN), 8)
    hair = dice.near(dice.pick(_HAIR), 8)
    shoe = dice.pick(_SHOES)
    walking = dice.chance(0.6)
    facing = 1 if dice.chance(0.5) else -1
    dress = dice.chance(0.22)
    hem = dice.between(0.58, 0.68) if dice.chance(0.3) else dice.between(0.50, 0.54)
    lean = facing * height * dice.between(0.0, 0.02) if walking else 0.0
    stride = dice.between(0.07, 0.15) if walking else dice.between(0.035, 0.06)
    return _Figure(
        x=x,
        foot=foot,
        height=height,
        build=build,
        coat=coat,
        trousers=lower,
        skin=skin,
        hair=hair,
        shoe=shoe,
        walking=walking,
        facing=facing,
        dress=dress,
        hem=foot - height + height * hem,
        lean=lean,
        stride=height * stride,
        light=light,
    )


def _legs(canvas: Canvas, figure: _Figure) -> None:
    h, foot = figure.height, figure.foot
    thick = h * 0.078 * figure.build
    hip = figure.hip
    knee_y = hip + (foot - hip) * 0.52
    forward = figure.facing if figure.walking else 0
    bare = figure.skin if figure.dress else figure.trousers
    for side in (-1, 1):
        start = figure.x + side * h * 0.045
        sole = figure.x + side * figure.stride
        knee = (start + sole) / 2 + forward * h * 0.025
        # The leg behind is in the other's shade.
        tone = shade(bare, 0.74) if side == -1 else bare
        canvas.line(((start, hip - h * 0.02), (knee, knee_y)), thick * 1.12, tone)
        canvas.line(((knee, knee_y - h * 0.015), (sole, foot - h * 0.02)), thick * 0.84, tone)
        canvas.ellipse(
            sole + forward * h * 0.022, foot - h * 0.016, h * 0.042, h * 0.016, figure.shoe
        )


def _torso(canvas: Canvas, dice: Dice, figure: _Figure) -> None:
    h, x, neck_x, light = figure.height, figure.x, figure.neck_x, figure.light
    shoulder, hem = figure.shoulder, figure.hem
    shoulder_half, hip_half = figure.shoulder_half, figure.hip_half
    waist = shoulder + h * 0.2
    if figure.dress:
        _skirt(canvas, dice, figure, waist)
        hem = waist + h * 0.09
    bottom_half = hip_half * 1.12
    outline = (
        (neck_x - shoulder_half * 0.5, shoulder - h * 0.022),
        (neck_x + shoulder_half * 0.5, shoulder - h * 0.022),
        (neck_x + shoulder_half, shoulder + h * 0.02),
        (x + hip_half * 0.92, waist),
        (x + bottom_half, hem),
        (x - bottom_half, hem),
        (x - hip_half * 0.92, waist),
        (neck_x - shoulder_half, shoulder + h * 0.02),
    )
    canvas.polygon(outline, figure.coat)
    shaded = (
        (neck_x + light * shoulder_half, shoulder + h * 0.02),
        (x + light * hip_half * 0.92, waist),
        (x + light * bottom_half, hem),
        (x + light * bottom_half * 0.3, hem),
        (x + light * hip_half * 0.35, waist),
        (neck_x + light * shoulder_half * 0.45, shoulder),
    )
    canvas.polygon(shaded, shade(figure.coat, 0.8))
    pattern = dice.roll()
    if pattern < 0.18:
        _stripe(canvas, dice, figure)
    elif pattern < 0.42:
        _open_jacket(canvas, dice, figure, hem)
    elif pattern < 0.54:
        _bag(canvas, figure, waist)


def _skirt(canvas: Canvas, dice: Dice, figure: _Figure, waist: float) -> None:
    hem = figure.shoulder + figure.height * dice.between(0.48, 0.6)
    flare = figure.hip_half * dice.between(1.25, 1.7)
    narrow = figure.hip_half * 0.8
    x = figure.x
    canvas.polygon(
        ((x - narrow, waist), (x + narrow, waist), (x + flare, hem), (x - flare, hem)),
        figure.trousers,
    )


def _stripe(canvas: Canvas, dice: Dice, figure: _Figure) -> None:
    y = figure.shoulder + figure.height * dice.between(0.08, 0.18)
    half = figure.hip_half * 0.95
    colour = dice.near(dice.pick(_SKIN), 40)
    canvas.rectangle(figure.x - half, y, figure.x + half, y + figure.height * 0.035, colour)


def _open_jacket(canvas: Canvas, dice: Dice, figure: _Figure, hem: float) -> None:
    h, x, neck_x = figure.height, figure.x, figure.neck_x
    collar = figure.shoulder - h * 0.02
    shirt = (
        (neck_x - h * 0.03, collar),
        (neck_x + h * 0.03, collar),
        (x + h * 0.02, hem - h * 0.03),
        (x - h * 0.02, hem - h * 0.03),
    )
    canvas.polygon(shirt, dice.pick(_SHIRTS))


def _bag(canvas: Canvas, figure: _Figure, waist: float) -> None:
    h, light = figure.height, figure.light
    leather = shade(figure.coat, 0.4)
    shoulder_x = figure.neck_x - light * figure.shoulder_half * 0.6
    side_x = figure.x + light * figure.hip_half
    canvas.line(((shoulder_x, figure.shoulder), (side_x, waist + h * 0.06)), h * 0.022, leather)
    canvas.rectangle(
        side_x - h * 0.04, waist + h * 0.04, side_x + h * 0.05, waist + h * 0.14, leather
    )


def _arm(canvas: Canvas, dice: Dice, figure: _Figure, side: int, colour: Colour) -> None:
    h, shoulder = figure.height, figure.shoulder
    start = figure.neck_x + side * figure.shoulder_half * 0.88
    swing = dice.between(0.0, 0.07) if figure.walking else dice.between(0.01, 0.03)
    elbow = (start + side * h * dice.between(0.02, 0.045), shoulder + h * 0.17)
    if dice.chance(0.2):  # bent
        hand = (elbow[0] - side * h * dice.between(0.03, 0.09), shoulder + h * 0.13)
    else:
        hand = (elbow[0] + side * h * (swing - 0.02), shoulder + h * dice.between(0.30, 0.34))
    canvas.line(((start, shoulder + h * 0.01), elbow), h * 0.062, colour)
    canvas.line((elbow, hand), h * 0.05, colour)
    canvas.ellipse(hand[0], hand[1] + h * 0.012, h * 0.023, h * 0.026, figure.skin)


def _head(canvas: Canvas, dice: Dice, figure: _Figure) -> None:
    h, x, facing, skin = figure.height, figure.neck_x, figure.facing, figure.skin
    rx, ry = h * dice.between(0.054, 0.062), h * 0.078
    y = figure.top + ry
    neck = figure.top + h * 0.178
    canvas.rectangle(x - h * 0.026, y + ry * 0.6, x + h * 0.026, neck, shade(skin, 0.78))
    kind = dice.roll()
    if kind < 0.22:  # long hair
        canvas.ellipse(x - facing * rx * 0.15, y + ry * 0.35, rx * 1.2, ry * 1.25, figure.hair)
    if kind > 0.88:  # seen from behind, or a hood
        canvas.ellipse(x, y, rx * 1.1, ry, figure.coat if kind > 0.95 else figure.hair)
        return
    canvas.ellipse(x, y, rx, ry, skin)
    shaded = 40 * figure.light
    canvas.chord(x, y, rx, ry, shaded, 70 + shaded, shade(skin, 0.85))
    if kind > 0.78:
        _cap(canvas, dice, x, y, rx, ry, facing)
        return
    turn = 25 * facing
    canvas.chord(x, y, rx * 1.06, ry, 170 - turn, 370 - turn, figure.hair)
    if h > 60 * canvas.unit:
        for side in (-1, 1):
            eye_x = x + (side * 0.4 + facing * 0.2) * rx
            canvas.ellipse(eye_x, y + ry * 0.12, rx * 0.12, ry * 0.09, shade(skin, 0.3))


def _cap(canvas: Canvas, dice: Dice, x: float, y: float, rx: float, ry: float, facing: int) -> None:
    colour = dice.near((90, 60, 60), 60)
    canvas.chord(x, y - ry * 0.05, rx * 1.1, ry * 0.95, 180, 360, colour)
    left, right = x + min(0, facing) * rx * 1.5, x + max(0, facing) * rx * 1.5
    canvas.rectangle(left, y - ry * 0.2, right, y - ry * 0.02, shade(colour, 0.7))


def draw_umbrella(canvas: Canvas, dice: Dice, x: float, foot: float, height: float) -> None:
    """An umbrella above a person; it hides people behind it and belongs to nobody."""
    top = foot - height
    cover = dice.near(dice.pick(((30, 32, 44), (150, 30, 40), (220, 190, 60), (40, 90, 120))))
    radius = height * dice.between(0.24, 0.32)
    centre = top + height * 0.02
    handle = (x + height * 0.1, top + height * 0.36)
    canvas.line((handle, (x, centre)), height * 0.018, (60, 60, 64))
    canvas.chord(x, centre, radius, radius * 0.62, 180, 360, cover)
    canvas.chord(x, centre, radius * 0.45, radius * 0.62, 180, 360, shade(cover, 1.25))


# --- what is no person --------------------------------------------------------------------------


def _prop_pole(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    metal = dice.near((96, 98, 100), 30)
    thick = h * dice.between(0.03, 0.05)
    canvas.rectangle(x - thick, foot - h * 1.9, x + thick, foot, metal)
    canvas.rectangle(x + thick * 0.2, foot - h * 1.9, x + thick, foot, shade(metal, 0.7))
    canvas.rectangle(x - thick * 1.8, foot - h * 0.1, x + thick * 1.8, foot, shade(metal, 0.8))


def _prop_sign(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    metal = dice.near((130, 132, 134), 20)
    canvas.rectangle(x - h * 0.015, foot - h * 0.95, x + h * 0.015, foot, metal)
    face = dice.pick(((200, 40, 40), (40, 90, 180), (230, 200, 170), (220, 180, 40)))
    y = foot - h * 0.98
    canvas.ellipse(x, y, h * 0.095, h * 0.1, shade(face, 0.8))
    canvas.ellipse(x, y, h * 0.07, h * 0.075, dice.pick((face, (236, 232, 228))))


def _prop_bin(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    colour = dice.near(dice.pick(((50, 80, 60), (70, 72, 78), (40, 50, 90), (120, 70, 40))))
    half, top = h * dice.between(0.09, 0.13), foot - h * dice.between(0.4, 0.55)
    canvas.polygon(
        ((x - half, top), (x + half, top), (x + half * 0.85, foot), (x - half * 0.85, foot)), colour
    )
    canvas.rectangle(x + half * 0.3, top, x + half * 0.85, foot, shade(colour, 0.75))
    canvas.ellipse(x, top, half * 1.1, h * 0.035, shade(colour, 1.25))


def _prop_mannequin(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    """A torso and perhaps a bare head on a stand: most of a person, without legs."""
    body = dice.near(dice.pick(((226, 218, 206), (200, 196, 190), (70, 66, 64), (150, 60, 70))))
    canvas.rectangle(x - h * 0.012, foot - h * 0.5, x + h * 0.012, foot, (70, 70, 74))
    canvas.ellipse(x, foot - h * 0.01, h * 0.09, h * 0.02, (60, 60, 64))
    top = foot - h * 0.85
    half = h * 0.115
    canvas.polygon(
        (
            (x - half, top + h * 0.02),
            (x - half * 0.4, top),
            (x + half * 0.4, top),
            (x + half, top + h * 0.02),
            (x + half * 0.7, top + h * 0.2),
            (x + half * 0.85, top + h * 0.36),
            (x - half * 0.85, top + h * 0.36),
            (x - half * 0.7, top + h * 0.2),
        ),
        body,
    )
    canvas.polygon(
        (
            (x + half * 0.4, top),
            (x + half, top + h * 0.02),
            (x + half * 0.7, top + h * 0.2),
            (x + half * 0.85, top + h * 0.36),
            (x + half * 0.3, top + h * 0.36),
        ),
        shade(body, 0.82),
    )
    canvas.rectangle(x - h * 0.022, top - h * 0.03, x + h * 0.022, top, shade(body, 0.8))
    if dice.chance(0.4):
        canvas.ellipse(x, top - h * 0.085, h * 0.052, h * 0.068, body)


def _prop_tree(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    bark = dice.near((92, 70, 50), 18)
    half = h * dice.between(0.05, 0.09)
    canvas.polygon(
        (
            (x - half * 0.8, foot - h * 1.7),
            (x + half * 0.8, foot - h * 1.7),
            (x + half, foot),
            (x - half, foot),
        ),
        bark,
    )
    canvas.rectangle(x + half * 0.2, foot - h * 1.7, x + half * 0.75, foot, shade(bark, 0.75))
    leaf = dice.near((70, 110, 52), 24)
    for _ in range(5):
        canvas.ellipse(
            x + dice.between(-0.35, 0.35) * h,
            foot - h * dice.between(1.25, 1.75),
            h * dice.between(0.16, 0.3),
            h * dice.between(0.1, 0.2),
            shade(leaf, dice.between(0.75, 1.2)),
        )


def _prop_car(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    paint = dice.near(
        dice.pick(
            (
                (160, 30, 34),
                (40, 60, 110),
                (190, 192, 196),
                (36, 38, 42),
                (220, 216, 205),
                (60, 96, 80),
            )
        )
    )
    half = h * dice.between(0.95, 1.15)
    belt, roof = foot - h * 0.52, foot - h * 0.84
    canvas.ellipse(x, foot, half, h * 0.04, (40, 40, 42))
    canvas.polygon(
        (
            (x - half * 0.66, belt),
            (x - half * 0.42, roof),
            (x + half * 0.34, roof),
            (x + half * 0.66, belt),
        ),
        shade(paint, 0.85),
    )
    glass = (96, 112, 124)
    canvas.polygon(
        (
            (x - half * 0.56, belt),
            (x - half * 0.38, roof + h * 0.05),
            (x - half * 0.04, roof + h * 0.05),
            (x - half * 0.04, belt),
        ),
        glass,
    )
    canvas.polygon(
        (
            (x + half * 0.02, belt),
            (x + half * 0.02, roof + h * 0.05),
            (x + half * 0.3, roof + h * 0.05),
            (x + half * 0.54, belt),
        ),
        shade(glass, 0.85),
    )
    canvas.polygon(
        (
            (x - half, foot - h * 0.14),
            (x - half * 0.96, belt + h * 0.08),
            (x - half * 0.66, belt),
            (x + half * 0.66, belt),
            (x + half * 0.97, belt + h * 0.1),
            (x + half, foot - h * 0.14),
        ),
        paint,
    )
    canvas.rectangle(x - half, foot - h * 0.2, x + half, foot - h * 0.13, shade(paint, 0.6))
    for side in (-1, 1):
        canvas.ellipse(x + side * half * 0.6, foot - h * 0.13, h * 0.15, h * 0.14, (28, 28, 30))
        canvas.ellipse(x + side * half * 0.6, foot - h * 0.13, h * 0.07, h * 0.065, (150, 150, 154))
    canvas.ellipse(x - half * 0.93, belt + h * 0.14, h * 0.05, h * 0.04, (250, 240, 200))


PROPS: dict[str, Callable[[Canvas, Dice, float, float, float], None]] = {
    "pole": _prop_pole,
    "sign": _prop_sign,
    "bin": _prop_bin,
    "mannequin": _prop_mannequin,
    "tree": _prop_tree,
    "car": _prop_car,
}


# --- backgrounds --------------------------------------------------------------------------------


def _facades(
    canvas: Canvas,
    dice: Dice,
    ground: float,
    walls: Sequence[Colour],
    panes: Sequence[Colour],
    lit: Sequence[Colour],
) -> None:
    """A row of houses with windows that ends at `ground` (canvas pixels)."""
    unit = canvas.unit
    x = -dice.between(0, 30) * unit
    while x < canvas.width:
        width = dice.between(38, 80) * unit
        wall = dice.near(dice.pick(walls), 18)
        top = ground - dice.between(0.75, 1.5) * ground
        canvas.rectangle(x, top, x + width, ground, wall)
        canvas.rectangle(x + width - 2 * unit, top, x + width, ground, shade(wall, 0.8))
        columns = dice.integer(2, 4)
        pitch_x, pitch_y = width / columns, dice.between(14, 20) * unit
        pane_w, pane_h = pitch_x * dice.between(0.4, 0.6), pitch_y * dice.between(0.5, 0.7)
        glass = dice.near(dice.pick(panes), 14)
        shop = ground - pitch_y * 1.15
        y = shop - pitch_y
        while y > max(top, -pitch_y):
            for column in range(columns):
                left = x + pitch_x * (column + 0.5) - pane_w / 2
                tone = dice.near(dice.pick(lit), 10) if lit and dice.chance(0.35) else glass
                canvas.rectangle(left, y, left + pane_w, y + pane_h, tone)
            y -= pitch_y
        if dice.chance(0.6):
            front = dice.near(dice.pick(lit or panes), 20)
            canvas.rectangle(x + width * 0.08, shop, x + width * 0.92, ground - 2 * unit, front)
            sign = dice.near((150, 60, 50), 70)
            canvas.rectangle(
                x + width * 0.05, shop - 3 * unit, x + width * 0.95, shop + 2 * unit, sign
            )
            canvas.rectangle(
                x + width * 0.45, shop + 4 * unit, x + width * 0.6, ground, shade(front, 0.55)
            )
        x += width


def _pavement(canvas: Canvas, dice: Dice, ground: float, colour: Colour, *, joints: bool) -> None:
    canvas.rectangle(0, ground, canvas.width, canvas.height, colour)
    kerb = ground + dice.between(4, 8) * canvas.unit
    canvas.rectangle(0, ground, canvas.width, kerb, shade(colour, 0.86))
    canvas.rectangle(0, kerb, canvas.width, kerb + canvas.unit, shade(colour, 1.12))
    if not joints:
        return
    joint = shade(colour, 0.9)
    vanish_x, depth = canvas.width * dice.between(0.2, 0.8), canvas.height - ground
    for step in range(-9, 10):
        bottom_x = vanish_x + step * canvas.width * 0.14
        top_x = vanish_x + step * canvas.width * 0.05
        canvas.line(((top_x, kerb), (bottom_x, canvas.height)), 1, joint)
    for step in range(1, 7):
        y = ground + depth * (step / 7) ** 1.8
        canvas.line(((0, y), (canvas.width, y)), 1, joint)


def street_backdrop(canvas: Canvas, dice: Dice, ground: float) -> None:
    kind = dice.roll()
    sky = dice.near(dice.pick(((150, 186, 222), (198, 208, 216), (226, 210, 190), (170, 180, 190))))
    canvas.rectangle(0, 0, canvas.width, ground * 0.5, sky)
    canvas.rectangle(0, ground * 0.5, canvas.width, ground, mix(sky, (240, 238, 232), 0.4))
    if kind < 0.55:
        _facades(
            canvas,
            dice,
            ground,
            ((176, 140, 116), (150, 92, 74), (200, 190, 170), (130, 134, 140), (206, 176, 130)),
            ((84, 100, 118), (60, 70, 84), (150, 168, 182)),
            (),
        )
    elif kind < 0.8:
        _trees(canvas, dice, ground)
    else:
        _wall(canvas, dice, ground)
    if 0.55 <= kind < 0.8 and dice.chance(0.5):
        floor, joints = dice.near((126, 140, 92), 16), False
    else:
        paving = ((150, 148, 144), (128, 128, 132), (176, 164, 148))
        floor, joints = dice.near(dice.pick(paving), 8), True
    _pavement(canvas, dice, ground, floor, joints=joints)


def _trees(canvas: Canvas, dice: Dice, ground: float) -> None:
    unit = canvas.unit
    far = dice.near((110, 138, 96), 18)
    canvas.rectangle(0, ground - 14 * unit, canvas.width, ground, shade(far, 0.8))
    for _ in range(dice.integer(14, 22)):
        canvas.ellipse(
            dice.between(0, canvas.width),
            ground - dice.between(8, 34) * unit,
            dice.between(10, 24) * unit,
            dice.between(7, 16) * unit,
            shade(far, dice.between(0.65, 1.15)),
        )
    for _ in range(dice.integer(2, 5)):
        x = dice.between(0, canvas.width)
        canvas.rectangle(x, ground - 26 * unit, x + 3 * unit, ground, (84, 66, 50))


def _wall(canvas: Canvas, dice: Dice, ground: float) -> None:
    unit = canvas.unit
    wall = dice.near(dice.pick(((170, 120, 96), (176, 174, 168), (120, 124, 118), (196, 180, 140))))
    canvas.rectangle(0, 0, canvas.width, ground, wall)
    y = 0.0
    while y < ground:
        canvas.line(((0, y), (canvas.width, y)), 1, shade(wall, 0.88))
        y += 9 * unit
    for _ in range(dice.integer(1, 4)):
        x, width = dice.between(0, canvas.width), dice.between(14, 30) * unit
        height = dice.between(14, 26) * unit
        top = ground - height - dice.between(4, 14) * unit
        canvas.rectangle(x, top, x + width, top + height, dice.near((200, 150, 110), 60))
        canvas.rectangle(
            x + 2 * unit,
            top + 2 * unit,
            x + width - 2 * unit,
            top + height * 0.5,
            dice.near((90, 100, 130), 60),
        )


def night_backdrop(canvas: Canvas, dice: Dice, ground: float) -> None:
    sky = dice.near(dice.pick(((26, 28, 54), (18, 22, 40), (48, 34, 62))), 8)
    canvas.rectangle(0, 0, canvas.width, ground, sky)
    _facades(
        canvas,
        dice,
        ground,
        ((58, 54, 70), (44, 50, 66), (72, 58, 60)),
        ((34, 38, 56), (28, 30, 42)),
        ((250, 214, 130), (240, 176, 90), (150, 210, 230), (240, 110, 160)),
    )
    wet = dice.near((62, 64, 80), 10)
    _pavement(canvas, dice, ground, wet, joints=False)
    for _ in range(dice.integer(5, 10)):  # lights mirrored on wet ground
        x = dice.between(0, canvas.width)
        lamp = dice.pick(((250, 210, 130), (240, 120, 150), (130, 200, 230)))
        half = dice.between(1.5, 5) * canvas.unit
        reach = dice.between(0.25, 0.9) * (canvas.height - ground)
        canvas.polygon(
            (
                (x - half, ground + 8 * canvas.unit),
                (x + half, ground + 8 * canvas.unit),
                (x + half * 0.5, ground + reach),
                (x - half * 0.5, ground + reach),
            ),
            mix(wet, lamp, dice.between(0.15, 0.4)),
        )
