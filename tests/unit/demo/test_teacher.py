"""The flawed teacher: in form but for some empty streets, and looking at different places."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.boxes import ioa
from dipr1.demo.scenes import scene
from dipr1.demo.teacher import LEAST_INSIDE, cut, teach, teach_answer, view
from dipr1.responses import parse_response


@pytest.fixture(scope="module")
def seen() -> list:
    """Whole scenes and cuts, in turn."""
    rng = np.random.default_rng(3)
    scenes = [scene(index, seed=9) for index in range(150)]
    return [view(drawn, window) for drawn in scenes for window in (None, cut(drawn, rng))]


def test_a_teacher_is_well_formed_but_where_nobody_is(seen):
    rng = np.random.default_rng(0)
    malformed = [index for index, one in enumerate(seen) if not _parsed(one, rng).well_formed]
    assert malformed
    assert all(not len(seen[index].boxes) for index in malformed)


def _parsed(one, rng):
    return parse_response(teach(one, rng), labels=["person"])


def test_looks_are_none_to_six_from_left_to_right_at_different_places(seen):
    rng = np.random.default_rng(1)
    looks = [_parsed(one, rng).look.boxes for one in seen]
    counts = [len(boxes) for boxes in looks]
    assert min(counts) == 0 and 4 <= max(counts) <= 6
    assert 1 < np.mean(counts) < 2.5
    for boxes in looks:
        assert (boxes[:, 2:] - boxes[:, :2] >= 4).all()
        assert (boxes >= 0).all() and (boxes <= 128).all()
        middle = boxes[:, 0] + boxes[:, 2]
        assert (np.diff(middle) >= -2).all()  # written as whole numbers
        inside = ioa(boxes, boxes)
        np.fill_diagonal(inside, 0)
        assert inside.max(initial=0) < 0.65


def test_where_boxes_alone_are_asked_for_there_is_nothing_else(seen):
    rng = np.random.default_rng(2)
    for one in seen:
        text = teach_answer(one, rng)
        assert text.startswith("<answer> ") and text.endswith(" </answer>")
        answer = parse_response(text, labels=["person"]).answer
        assert answer is None or len(answer.boxes) <= len(one.boxes)


def test_a_cut_holds_the_people_who_are_two_fifths_inside():
    drawn = scene(3, seed=9)
    window = (100, 60, 260, 200)
    seen = view(drawn, window)
    inside = ioa(drawn.boxes, np.array([window], float))[:, 0] >= LEAST_INSIDE
    assert 0 < inside.sum() < len(drawn.boxes)
    kept = drawn.boxes[inside].astype(float)
    expected = (np.clip(kept, (100, 60, 100, 60), (260, 200, 260, 200)) - (100, 60, 100, 60)) * (
        128 / np.array([160, 140, 160, 140])
    )
    order = np.argsort(expected[:, 0] + expected[:, 2], kind="stable")
    np.testing.assert_allclose(seen.boxes, expected[order], atol=1e-4)
    assert seen.image.shape == (128, 128, 3)
    half = np.asarray(drawn.image.crop(window).resize((128, 128), resample=3))
    # cut and enlarged in one step, so only the border knows what lies beyond
    np.testing.assert_allclose(seen.image[8:-8, 8:-8], half[8:-8, 8:-8], atol=2)


def test_cuts_have_every_scale():
    rng = np.random.default_rng(4)
    drawn = scene(3, seed=9)
    width, height = drawn.image.size
    windows = np.array([cut(drawn, rng) for _ in range(300)])
    shares = (windows[:, 2] - windows[:, 0]) / width
    assert (windows >= 0).all() and (windows <= [width, height, width, height]).all()
    assert shares.min() < 0.3 and shares.max() > 0.85
