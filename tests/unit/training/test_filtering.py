"""Images by what the base finds: by hand, and what becomes of their crops and statistics."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.errors import UserError
from dipr1.training.filtering import base_f1, kept
from dipr1.training.options import SftArm
from tests.unit.two_images import prompts, region, variance


def bounds(least: float, most: float) -> SftArm:
    return SftArm(method="sft", least_base_f1=least, most_base_f1=most)


def rows(*changed: dict) -> pa.Table:
    """The statistics of image `a`, which has two people, and further rows."""
    own = variance().filter(pa.array([True, True, True, False])).to_pylist()
    return pa.Table.from_pylist([*own, *changed], variance().schema)


def test_the_bases_f1_by_hand():
    # a: each of two people is in half of the samples, and so is a phantom: P = 1 / 1.5, R = 1 / 2.
    # b: nobody is there, and no sample says otherwise.
    np.testing.assert_allclose(base_f1(prompts(), variance()), [4 / 7, 1.0], rtol=1e-15)


def test_who_sees_somebody_where_nobody_is_finds_nothing():
    phantom = region("b", 0, "phantom", None, [0, 0, 5, 5], 0.9)
    np.testing.assert_allclose(base_f1(prompts(), rows(phantom)), [4 / 7, 0.0], rtol=1e-15)


def test_an_image_that_no_sample_can_be_read_of_counts_as_not_found():
    unread = dict.fromkeys(variance().column_names) | {"image_id": "b", "num_samples": 1}
    np.testing.assert_allclose(base_f1(prompts(), rows(unread)), [4 / 7, 0.0], rtol=1e-15)


def test_by_default_all_images_stay_as_they_are():
    prompts_ = prompts()
    given = prompts_, None, None
    assert all(
        one is other
        for one, other in zip(kept(bounds(0, 1), None, prompts_, None), given, strict=True)
    )


def test_left_out_images_lose_their_statistics_and_crops(capsys):
    crops = pa.table({"image_id": ["a.0", "b.0"], "crop_of": ["a", "b"]})
    images, statistics, of_images = kept(bounds(0.125, 0.625), variance(), prompts(), crops)
    assert images["image_id"].to_pylist() == ["a"]
    assert statistics["image_id"].to_pylist() == ["a"] * 3
    assert of_images["crop_of"].to_pylist() == ["a"]
    told = "of 2 images 1 are trained on; the base's F1 is below 0.125 on 0 and above 0.625 on 1"
    assert told in capsys.readouterr().err
    assert kept(bounds(0.125, 0.625), variance(), prompts(), None)[2] is None


def test_bounds_that_no_image_is_in():
    with pytest.raises(UserError, match=r"of 2 images 0 are .* above 0.2 on 2; widen the bounds"):
        kept(bounds(0.1, 0.2), variance(), prompts(), None)


def test_what_the_base_finds_must_be_known():
    with pytest.raises(UserError, match="what the base finds is not known; give --variance FILE"):
        kept(bounds(0.1, 1), None, prompts(), None)


def test_bounds_that_leave_no_room():
    with pytest.raises(ValueError, match=r"least_base_f1 0\.6 is above most_base_f1 0\.5"):
        bounds(0.6, 0.5)
