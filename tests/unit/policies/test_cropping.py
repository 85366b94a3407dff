"""Crops of uncertain regions."""

from __future__ import annotations

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import objects_and_areas
from dipr1.artifacts.crops import CROPS, crop_annotations
from dipr1.artifacts.prompts import PROMPTS
from dipr1.frames import PolicyFrames
from dipr1.policies.cropping import crop_table
from dipr1.policies.options import Crop
from tests.unit.two_images import prompts, variance

POLICY = PolicyFrames("absolute", fixed=(100, 100))


def crops(**options) -> pa.Table:
    return crop_table(prompts(), variance(), POLICY, Crop(**options))


def test_crops_are_windows_around_uncertain_regions():
    """The hulls [100, 10, 140, 60] and [0, 50, 20, 100] of an image of 200 x 100."""
    table = crops()
    assert table["image_id"].to_pylist() == ["a#0", "a#1"]
    assert table["crop_of"].to_pylist() == ["a", "a"]
    # 40 x 50 with a quarter on each side is 60 x 75, and at least 80 x 40
    assert table["window"].to_pylist() == [[80, 0, 160, 75], [0, 25, 80, 100]]
    assert table["width"].to_pylist() == [80, 80] and table["height"].to_pylist() == [75, 75]
    assert table["gt_index"].to_pylist() == [[1], [0]]
    scale = 100 / np.array([80, 75, 80, 75])
    first, second = (np.array(boxes) for boxes in table["gt_boxes"].to_pylist())
    np.testing.assert_allclose(first, [[20, 10, 60, 60]] * scale, rtol=1e-6)
    np.testing.assert_allclose(second, [[20, 0, 60, 35]] * scale, rtol=1e-6)  # its head is cut


def test_options_say_how_many_and_how_large():
    table = crops(max_regions=1, margin=0, least_share=0.1)
    assert table["window"].to_pylist() == [[100, 10, 140, 60]]
    assert table["gt_index"].to_pylist() == [[1]]


def test_an_image_without_statistics_has_no_crops():
    unknown = variance().filter(pa.array([False, False, False, True]))
    row = {"image_id": "a", "num_samples": 1}
    unknown = pa.concat_tables([unknown, pa.Table.from_pylist([row], unknown.schema)])
    table = crop_table(prompts(), unknown, POLICY, Crop())
    assert table.num_rows == 0 and table.schema == CROPS.schema


def test_crops_can_be_read_as_prompts(tmp_path):
    CROPS.write(crops(), tmp_path / "crops.parquet")
    table = PROMPTS.read(tmp_path / "crops.parquet")
    assert table.column_names == [*PROMPTS.schema.names, "window"]
    assert table == crops().select(table.column_names)


def test_crops_have_annotations_of_their_own():
    table = prompts()
    row = table.to_pylist()[0] | {"ignore_boxes": [[70, 0, 100, 20]]}  # image frame: from x = 140
    one = pa.Table.from_pylist([row], table.schema)
    annotations = crop_annotations(crop_table(one, variance(), POLICY, Crop()))
    first = annotations.to_pylist()[0]
    np.testing.assert_allclose(first["boxes"], [[20, 10, 60, 60], [60, 0, 80, 20]], atol=1e-4)
    assert (first["image_id"], first["width"], first["height"]) == ("a#0", 80, 75)
    assert first["labels"] == ["person", ""]
    labelled = one.append_column("ignore_labels", pa.array([["rider"]]))
    crops = crop_table(labelled, variance(), POLICY, Crop())
    assert crop_annotations(crops)["labels"][0].as_py() == ["person", "rider"]
    objects, areas = objects_and_areas(annotations, ["person"])
    assert objects[:2].tolist() == [True, False] and areas[:2].tolist() == [False, True]
