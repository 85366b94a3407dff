"""What is found oftener on a crop than in the whole view."""

from __future__ import annotations

import pyarrow as pa
import pytest

from dipr1.artifacts.gain import with_gain
from dipr1.artifacts.reward_columns import reward_columns
from dipr1.artifacts.variance import VARIANCE
from dipr1.errors import UserError
from tests.unit.two_images import prompts, region

CROPS = pa.table(
    {
        "image_id": ["a#0", "a#1", "b#0"],
        "crop_of": ["a", "a", "b"],
        # the second crop shows the image's objects 2 and 0
        "gt_index": pa.array([[1], [2, 0], []], pa.list_(pa.int32())),
    }
)


def variance(*rows: tuple) -> pa.Table:
    """Rows of (image, region, object or None, support); of no region: no statistics."""
    return pa.Table.from_pylist(
        [
            {"image_id": image, "num_samples": 1}
            if number is None
            else region(
                image, number, "phantom" if place is None else "object", place, [0, 0, 9, 9], 0.5
            )
            | {"support": support}
            for image, number, place, support in rows
        ],
        VARIANCE.schema,
    )


WHOLE = variance(
    ("b", None, None, None),
    ("a", 0, 0, 0.25),
    ("a", 1, 1, 0.75),
    ("a", 2, 2, 0.0),
    ("a", 3, 3, 0.0),
    ("a", 4, None, 0.5),
)


def test_gain_by_hand():
    closer = variance(
        ("a#0", 0, 0, 0.5),  # object 1: seen less often than in the whole view
        ("a#0", 1, None, 1.0),
        ("a#1", 0, 0, 1.0),  # object 2
        ("a#1", 1, 1, 0.75),  # object 0
        ("b#0", 0, None, 0.5),
    )
    gained = with_gain(WHOLE, CROPS, closer)
    assert gained["gain"].to_pylist() == [None, 0.5, 0.0, 1.0, 0.0, 0.0]
    assert gained.drop_columns("gain").equals(WHOLE)
    assert gained.schema == VARIANCE.schema_with(["gain"])


def test_the_best_crop_counts():
    crops = pa.table(
        {"image_id": ["x", "y", "z"], "crop_of": ["a"] * 3, "gt_index": [[0], [0, 1], [1]]}
    )
    closer = variance(("x", 0, 0, 0.5), ("y", 0, 0, 1.0), ("y", 1, 1, 0.875), ("z", None, 0, 0))
    assert with_gain(WHOLE, crops, closer)["gain"].to_pylist()[1:] == [0.75, 0.125, 0, 0, 0]


def test_without_crops_nothing_is_gained():
    gained = with_gain(WHOLE, CROPS.slice(0, 0), variance())
    assert gained["gain"].to_pylist() == [None, 0.0, 0.0, 0.0, 0.0, 0.0]


def test_statistics_of_other_crops():
    with pytest.raises(UserError, match="image 'a#0': the crops have no object 1"):
        with_gain(WHOLE, CROPS, variance(("a#0", 0, 1, 0.5)))


def test_the_gain_is_written_and_rewarded(tmp_path):
    rows = variance(("a", 0, 0, 0.25), ("a", 1, 1, 0.75), ("a", 2, None, 0.5))
    closer = variance(("a#1", 0, 0, 1.0), ("a#1", 1, 1, 0.75))
    VARIANCE.write(with_gain(rows, CROPS, closer), tmp_path / "variance.parquet", {})
    read = VARIANCE.read(tmp_path / "variance.parquet")
    assert reward_columns(prompts(), read, "gain")["region_uncertainty"] == [[0.5, 0.0, 0.0], []]
