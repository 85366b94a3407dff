"""The canvas knows whose each pixel is; the pixels of things belong to nobody."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.demo.drawing import BACKGROUND, PROPS, Canvas, Dice

GREY = (128, 128, 128)


def test_extent_of_an_owner_without_pixels_is_none():
    canvas = Canvas(40, 40, GREY)
    canvas.owner = 7
    assert canvas.extent((0, 0, 40, 40)) == (None, 0)
    canvas.rectangle(3, 4, 5, 9, (1, 2, 3))
    assert canvas.extent((0, 0, 40, 40)) == ((3, 4, 6, 10), 18)
    canvas.owner = BACKGROUND
    assert canvas.extent((3, 4, 6, 10)) == (None, 0)


@pytest.mark.parametrize("prop", PROPS)
def test_a_prop_hides_what_is_behind_it_and_belongs_to_nobody(prop):
    canvas = Canvas(200, 200, GREY)
    canvas.owner = 1
    canvas.rectangle(0, 0, 200, 200, GREY)
    canvas.owner = BACKGROUND
    PROPS[prop](canvas, Dice(np.random.default_rng(0)), 100, 150, 80)
    _, hidden = canvas.extent((0, 0, 200, 200))
    assert 0 < hidden < 200 * 200 / 2


def test_dice_stay_within_their_bounds():
    dice = Dice(np.random.default_rng(0))
    assert {dice.integer(2, 4) for _ in range(200)} == {2, 3, 4}
    assert {dice.pick("ab") for _ in range(200)} == {"a", "b"}
    assert all(abs(dice.bell()) <= 3.5 for _ in range(2000))
    assert all(0 <= channel <= 255 for _ in range(200) for channel in dice.near((3, 128, 252)))
