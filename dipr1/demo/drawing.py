"""The pieces of a synthetic scene: people, what looks like people, and what is behind them.

Everything is drawn with `ImageDraw` from a handful of polygons whose measures are shares of the
thing's height, so that a scene takes a millisecond and a half.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache

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


@cache
def palette(codes: str) -> tuple[Colour, ...]:
    """Colours by their hexadecimal codes.

    >>> palette("ff0000 102030")
    ((255, 0, 0), (16, 32, 48))
    """
    return tuple(tuple(bytes.fromhex(code)) for code in codes.split())


def mix(first: Colour, second: Colour, share: float) -> Colour:
    """`share` of the second colour in the first."""
    return tuple(int(a + (b - a) * share) for a, b in zip(first, second, strict=True))


def _across(x: float, half: float) -> Callable[[float], float]:
    """Places across a thing whose middle is x: -1 is its left border, 1 its right one."""
    return lambda share: x + half * share


# --- people -------------------------------------------------------------------------------------

_SKIN = palette("f4d0b4 e7b894 d19e76 ac7852 805438 5c3c2a")
_HAIR = palette("201814 3a281c 604024 966c3c c8a868 969492")
_SHOES = palette("1e1c1e 463022 d2d0cc 303440")
_SHIRTS = palette("e8e6e0 282a32 b43c38 7896be")


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
    hem: float  # share of the height, from the crown down, that the coat reaches
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
    # Arguments are evaluated in this order; in another one, every scene would be another.
    figure = _Figure(
        x=x,
        foot=foot,
        height=height,
        light=light,
        build=dice.between(0.88, 1.16),
        coat=dice.near(dice.pick(clothes)),
        trousers=dice.near(dice.pick(trousers), 12),
        skin=dice.near(dice.pick(_SKIN), 8),
        hair=dice.near(dice.pick(_HAIR), 8),
        shoe=dice.pick(_SHOES),
        walking=(walking := dice.chance(0.6)),
        facing=(facing := 1 if dice.chance(0.5) else -1),
        dress=dice.chance(0.22),
        hem=dice.between(0.58, 0.68) if dice.chance(0.3) else dice.between(0.50, 0.54),
        lean=facing * height * dice.between(0.0, 0.02) if walking else 0.0,
        stride=height * (dice.between(0.07, 0.15) if walking else dice.between(0.035, 0.06)),
    )
    _arm(canvas, dice, figure, -figure.facing, shade(figure.coat, 0.72))
    _legs(canvas, figure)
    _torso(canvas, dice, figure)
    _arm(canvas, dice, figure, figure.facing, shade(figure.coat, 0.86))
    _head(canvas, dice, figure)


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
    shoulder, hem = figure.shoulder, figure.top + h * figure.hem
    waist = shoulder + h * 0.2
    if figure.dress:
        _skirt(canvas, dice, figure, waist)
        hem = waist + h * 0.09
    above, below = _across(neck_x, figure.shoulder_half), _across(x, figure.hip_half)
    neck, tip = shoulder - h * 0.022, shoulder + h * 0.02
    right = (above(0.5), neck), (above(1), tip), (below(0.92), waist), (below(1.12), hem)
    left = (below(-1.12), hem), (below(-0.92), waist), (above(-1), tip), (above(-0.5), neck)
    canvas.polygon((*right, *left), figure.coat)
    middle = x + light * figure.hip_half * 1.12 * 0.3
    outer = (above(light), tip), (below(light * 0.92), waist), (below(light * 1.12), hem)
    inner = (middle, hem), (below(light * 0.35), waist), (above(light * 0.45), shoulder)
    canvas.polygon((*outer, *inner), shade(figure.coat, 0.8))
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
    cover = dice.near(dice.pick(palette("1e202c 961e28 dcbe3c 285a78")))
    radius = height * dice.between(0.24, 0.32)
    centre = top + height * 0.02
    handle = (x + height * 0.1, top + height * 0.36)
    canvas.line((handle, (x, centre)), height * 0.018, (60, 60, 64))
    canvas.chord(x, centre, radius, radius * 0.62, 180, 360, cover)
    canvas.chord(x, centre, radius * 0.45, radius * 0.62, 180, 360, shade(cover, 1.25))


# --- things that could be taken for people -------------------------------------------------------


def _prop_pole(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    metal = dice.near((96, 98, 100), 30)
    thick = h * dice.between(0.03, 0.05)
    canvas.rectangle(x - thick, foot - h * 1.9, x + thick, foot, metal)
    canvas.rectangle(x + thick * 0.2, foot - h * 1.9, x + thick, foot, shade(metal, 0.7))
    canvas.rectangle(x - thick * 1.8, foot - h * 0.1, x + thick * 1.8, foot, shade(metal, 0.8))


def _prop_sign(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    metal = dice.near((130, 132, 134), 20)
    canvas.rectangle(x - h * 0.015, foot - h * 0.95, x + h * 0.015, foot, metal)
    face = dice.pick(palette("c82828 285ab4 e6c8aa dcb428"))
    y = foot - h * 0.98
    canvas.ellipse(x, y, h * 0.095, h * 0.1, shade(face, 0.8))
    canvas.ellipse(x, y, h * 0.07, h * 0.075, dice.pick((face, (236, 232, 228))))


def _prop_bin(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    colour = dice.near(dice.pick(palette("32503c 46484e 28325a 784628")))
    half, top = h * dice.between(0.09, 0.13), foot - h * dice.between(0.4, 0.55)
    canvas.polygon(
        ((x - half, top), (x + half, top), (x + half * 0.85, foot), (x - half * 0.85, foot)), colour
    )
    canvas.rectangle(x + half * 0.3, top, x + half * 0.85, foot, shade(colour, 0.75))
    canvas.ellipse(x, top, half * 1.1, h * 0.035, shade(colour, 1.25))


def _prop_mannequin(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    """A torso and perhaps a bare head on a stand: most of a person, without legs."""
    body = dice.near(dice.pick(palette("e2dace c8c4be 464240 963c46")))
    canvas.rectangle(x - h * 0.012, foot - h * 0.5, x + h * 0.012, foot, (70, 70, 74))
    canvas.ellipse(x, foot - h * 0.01, h * 0.09, h * 0.02, (60, 60, 64))
    top = foot - h * 0.85
    shoulder, waist, hip = top + h * 0.02, top + h * 0.2, top + h * 0.36
    at = _across(x, h * 0.115)
    right = (at(0.4), top), (at(1), shoulder), (at(0.7), waist), (at(0.85), hip)
    left = (at(-0.85), hip), (at(-0.7), waist), (at(-1), shoulder), (at(-0.4), top)
    canvas.polygon((*right, *left), body)
    canvas.polygon((*right, (at(0.3), hip)), shade(body, 0.82))
    canvas.rectangle(x - h * 0.022, top - h * 0.03, x + h * 0.022, top, shade(body, 0.8))
    if dice.chance(0.4):
        canvas.ellipse(x, top - h * 0.085, h * 0.052, h * 0.068, body)


def _prop_tree(canvas: Canvas, dice: Dice, x: float, foot: float, h: float) -> None:
    bark = dice.near((92, 70, 50), 18)
    at, top = _across(x, h * dice.between(0.05, 0.09)), foot - h * 1.7
    canvas.polygon(((at(-0.8), top), (at(0.8), top), (at(1), foot), (at(-1), foot)), bark)
    canvas.rectangle(at(0.2), top, at(0.75), foot, shade(bark, 0.75))
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
    paint = dice.near(dice.pick(palette("a01e22 283c6e bec0c4 24262a dcd8cd 3c6050")))
    half = h * dice.between(0.95, 1.15)
    at = _across(x, half)
    belt, roof, sill, axle = foot - h * 0.52, foot - h * 0.84, foot - h * 0.14, foot - h * 0.13
    canvas.ellipse(x, foot, half, h * 0.04, (40, 40, 42))
    cabin = (at(-0.66), belt), (at(-0.42), roof), (at(0.34), roof), (at(0.66), belt)
    canvas.polygon(cabin, shade(paint, 0.85))
    glass, top = (96, 112, 124), roof + h * 0.05
    rear = (at(-0.56), belt), (at(-0.38), top), (at(-0.04), top), (at(-0.04), belt)
    front = (at(0.02), belt), (at(0.02), top), (at(0.3), top), (at(0.54), belt)
    canvas.polygon(rear, glass)
    canvas.polygon(front, shade(glass, 0.85))
    boot, bonnet = (at(-0.96), belt + h * 0.08), (at(0.97), belt + h * 0.1)
    body = (at(-1), sill), boot, (at(-0.66), belt), (at(0.66), belt), bonnet, (at(1), sill)
    canvas.polygon(body, paint)
    canvas.rectangle(at(-1), foot - h * 0.2, at(1), axle, shade(paint, 0.6))
    for side in (-1, 1):
        canvas.ellipse(at(side * 0.6), axle, h * 0.15, h * 0.14, (28, 28, 30))
        canvas.ellipse(at(side * 0.6), axle, h * 0.07, h * 0.065, (150, 150, 154))
    canvas.ellipse(at(-0.93), belt + h * 0.14, h * 0.05, h * 0.04, (250, 240, 200))


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
    sky = dice.near(dice.pick(palette("96bade c6d0d8 e2d2be aab4be")))
    canvas.rectangle(0, 0, canvas.width, ground * 0.5, sky)
    canvas.rectangle(0, ground * 0.5, canvas.width, ground, mix(sky, (240, 238, 232), 0.4))
    if kind < 0.55:
        _facades(
            canvas,
            dice,
            ground,
            palette("b08c74 965c4a c8beaa 82868c ceb082"),
            palette("546476 3c4654 96a8b6"),
            (),
        )
    elif kind < 0.8:
        _trees(canvas, dice, ground)
    else:
        _wall(canvas, dice, ground)
    if 0.55 <= kind < 0.8 and dice.chance(0.5):
        floor, joints = dice.near((126, 140, 92), 16), False
    else:
        paving = palette("969490 808084 b0a494")
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
    wall = dice.near(dice.pick(palette("aa7860 b0aea8 787c76 c4b48c")))
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
    sky = dice.near(dice.pick(palette("1a1c36 121628 30223e")), 8)
    canvas.rectangle(0, 0, canvas.width, ground, sky)
    _facades(
        canvas,
        dice,
        ground,
        palette("3a3646 2c3242 483a3c"),
        palette("222638 1c1e2a"),
        palette("fad682 f0b05a 96d2e6 f06ea0"),
    )
    wet = shade(dice.near(dice.pick(palette("969490 808084 8c90a4")), 8), 0.68)
    _pavement(canvas, dice, ground, wet, joints=True)
    kerb = ground + 8 * canvas.unit
    for _ in range(dice.integer(5, 10)):  # lights mirrored on wet ground
        x = dice.between(0, canvas.width)
        lamp = dice.pick(palette("fad282 f07896 82c8e6"))
        at = _across(x, dice.between(1.5, 5) * canvas.unit)
        end = ground + dice.between(0.25, 0.9) * (canvas.height - ground)
        glow = (at(-1), kerb), (at(1), kerb), (at(0.5), end), (at(-0.5), end)
        canvas.polygon(glow, mix(wet, lamp, dice.between(0.15, 0.4)))
