"""Asking a policy about pictures: the same answers as the workflow's, for any picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from dipr1.answering import answer
from dipr1.demo.scenes import scene
from dipr1.errors import UserError
from dipr1.policies.options import Generation, LookAgain

SHORT = Generation(max_new_tokens=160)


@pytest.fixture(scope="module")
def pictures(tmp_path_factory) -> list[str]:
    """Two scenes, one of them as a phone would have turned it."""
    folder = tmp_path_factory.mktemp("pictures")
    drawn = scene(5, seed=1).image
    drawn.save(folder / "upright.png")
    exif = Image.Exif()
    exif[0x0112] = 6  # shown a quarter to the right
    drawn.transpose(Image.Transpose.ROTATE_90).save(folder / "turned.png", exif=exif)
    return [str(folder / "upright.png"), str(folder / "turned.png")]


def test_an_answer_says_what_the_first_view_found(pictures):
    upright, turned = answer(pictures, generation=SHORT)
    assert upright.size == turned.size == scene(5, seed=1).image.size
    assert len(upright.boxes) == len(upright.labels) == len(upright.confidence) > 0
    assert (upright.boxes == turned.boxes).all()
    assert (upright.boxes == upright.first_boxes).all()
    assert set(upright.labels) == {"person"} and not upright.view.any()
    assert not len(upright.windows) and not upright.window_texts
    listed = upright.as_json()["boxes"]
    assert [one["confidence"] for one in listed] == sorted(
        (one["confidence"] for one in listed), reverse=True
    )


def test_looking_again_adds_windows_and_says_which_box_is_of_which(pictures):
    (found,) = answer(pictures[:1], look_again=LookAgain(source="grid"), generation=SHORT)
    assert len(found.windows) == len(found.window_texts) == 4
    assert set(found.view) <= {0, 1, 2, 3, 4} and found.view.any()
    (first,) = answer(pictures[:1], generation=SHORT)
    assert (found.first_boxes == first.boxes).all()
    assert found.text == first.text
    width, height = found.size
    assert (found.boxes >= 0).all() and (found.boxes <= np.tile([width, height], 2)).all()


@pytest.mark.parametrize("content", [None, b"no picture"])
def test_what_is_no_picture_is_refused(tmp_path, content):
    path = tmp_path / "a.png"
    if content:
        path.write_bytes(content)
    with pytest.raises(UserError, match=r"a\.png: .+; name pictures that can be read"):
        answer([path])
