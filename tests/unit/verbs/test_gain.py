"""The gain through the command line: added to the variance, from crops and their variance."""

from __future__ import annotations

import pyarrow as pa

from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.made import Made, read_made
from dipr1.artifacts.variance import VARIANCE
from dipr1.cli import main
from dipr1.frames import PolicyFrames
from dipr1.policies.cropping import crop_table
from dipr1.policies.options import Crop
from tests.unit.two_images import prompts, region, variance


def gain(folder, of_crops: list[dict], split: str = "train") -> int:
    """Run the verb on two images' crops, of which `of_crops` are the regions."""
    crops = crop_table(prompts(), variance(), PolicyFrames("thousandths"), Crop())
    made = Made(dataset="streets", split="train")
    VARIANCE.write(variance(), folder / "variance.parquet", made)
    CROPS.write(crops, folder / "crops.parquet", made)
    closer = pa.Table.from_pylist(of_crops, VARIANCE.schema)
    VARIANCE.write(closer, folder / "closer.parquet", Made(dataset="streets", split=split))
    arguments = ("gain", folder / "variance.parquet", "--crops", folder / "crops.parquet")
    arguments += ("--crops-variance", folder / "closer.parquet", "--output", folder / "gain")
    return main([str(word) for word in arguments])


def seen(crop: str, support: float) -> dict:
    """The first object of a crop, found in a share of the samples."""
    return region(crop, 0, "object", 0, [0, 0, 9, 9], 0.5) | {"support": support}


def test_the_gain_is_added_and_says_what_it_is_of(tmp_path, capsys):
    assert gain(tmp_path, [seen("a#0", 1.0), seen("a#1", 0.0)]) == 0
    assert "1 of 3 objects are found oftener on a crop" in capsys.readouterr().err
    gained, before = VARIANCE.read(tmp_path / "gain"), VARIANCE.read(tmp_path / "variance.parquet")
    assert gained.drop_columns("gain").equals(before)
    # the window of 80 x 60 about the image's second person, who is found in half of the whole views
    assert gained["gain"].to_pylist() == [0.0, 0.5, 0.0, 0.0]
    made = read_made(tmp_path / "gain")
    assert (made.artifact, made.verb, made.split) == ("variance", "gain", "train")
    assert [one.artifact for one in made.inputs] == ["variance", "crops", "variance"]


def test_where_nothing_is_cropped_nothing_is_gained(tmp_path, capsys):
    assert gain(tmp_path, []) == 0
    assert "0 of 3 objects" in capsys.readouterr().err


def test_crops_of_another_split_are_refused(tmp_path, capsys):
    assert gain(tmp_path, [], split="validation") == 1
    assert "of split 'validation' but" in capsys.readouterr().err
    assert not (tmp_path / "gain").exists()
