"""Images that are set aside: the same ones for everybody, and gone from what is trained on."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dipr1.errors import UserError
from dipr1.training.evaluating import METRIC, best_update, set_aside
from dipr1.training.options import GrpoArm, SftArm

IMAGES = pa.table({"image_id": list("abcdef")})
CROPS = pa.table({"image_id": ["a.0", "c.0", "e.0"], "crop_of": ["a", "c", "e"]})


def test_by_default_no_image_is_set_aside():
    assert set_aside(SftArm(method="sft"), IMAGES, CROPS) == (None, IMAGES, CROPS)


def test_images_are_set_aside_with_their_crops():
    chosen, others, crops = set_aside(SftArm(method="sft", eval_images=2), IMAGES, CROPS)
    aside = chosen["image_id"].to_pylist()
    assert len(aside) == 2
    assert others["image_id"].to_pylist() == [name for name in "abcdef" if name not in aside]
    assert crops["crop_of"].to_pylist() == [name for name in "ace" if name not in aside]
    arm = GrpoArm(method="grpo", rewards={"accuracy": 1}, eval_images=2)
    assert set_aside(arm, IMAGES, None)[0] == chosen


def test_some_images_are_left():
    with pytest.raises(UserError, match="--eval-images 6: of 6 images none would be left"):
        set_aside(SftArm(method="sft", eval_images=6), IMAGES, None)


def test_the_best_of_no_evaluation_is_none():
    assert best_update([]) is None
    assert best_update([{"step": 1, "loss": 0.5}, {"step": 2, METRIC: 0.0}]) == (2, 0.0)


@pytest.mark.parametrize("wrong", [{}, {"eval_images": 4, "updates": 9}])
def test_the_best_must_be_judged(wrong):
    with pytest.raises(ValueError, match="keep_best: no update would be evaluated"):
        SftArm(method="sft", keep_best=True, **wrong)
