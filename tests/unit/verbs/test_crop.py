"""Crops through the command line: made, sampled and measured."""

from __future__ import annotations

import pytest

from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.variance import VARIANCE, regions_only
from dipr1.cli import main
from tests.unit.experiment import make_experiment

SET = "crowdscenes/validation.parquet"


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("base",), num_images=3, updates=1)
    return folder / "results"


def crop(results, output, *words) -> int:
    variance = results / "variance" / SET
    arguments = ["crop", results / "prompts" / SET, "--variance", variance, "--output", output]
    return main([str(word) for word in (*arguments, *words)])


def test_crops_are_made_and_say_of_what(experiment, tmp_path, capsys):
    output = tmp_path / "crops.parquet"
    assert crop(experiment, output, "--max-regions", 2) == 0
    crops, prompts = CROPS.read(output), PROMPTS.read(experiment / "prompts" / SET)
    assert f"{crops.num_rows} crops of" in capsys.readouterr().err
    assert set(crops["crop_of"].to_pylist()) <= set(prompts["image_id"].to_pylist())
    made = read_made(output)
    assert (made.verb, made.dataset, made.options["max_regions"]) == ("crop", "crowdscenes", 2)
    for row in crops.to_pylist():
        whole = prompts.filter(pc_equal(prompts, row["crop_of"])).to_pylist()[0]
        assert [whole["gt_labels"][k] for k in row["gt_index"]] == row["gt_labels"]
        assert (row["frame_width"], row["frame_height"]) == (128, 128)


def pc_equal(table, image_id):
    return [one == image_id for one in table["image_id"].to_pylist()]


def test_crops_are_sampled_and_measured_like_images(experiment, tmp_path):
    pytest.importorskip("torch")
    output, annotations = tmp_path / "crops.parquet", tmp_path / "annotations.parquet"
    words = ("--max-regions", 1, "--annotations-output", annotations)
    assert crop(experiment, output, *words) == 0
    samples, variance = tmp_path / "samples.parquet", tmp_path / "variance.parquet"
    short = ["--num-samples", 2, "--max-new-tokens", 120, "--threads", 1, "--output", samples]
    assert main([str(word) for word in ("sample", output, *short)]) == 0
    measured = ["variance", samples, "--annotations", annotations, "--output", variance]
    assert main([str(word) for word in (*measured, "--least-readable", 0)]) == 0
    crops, regions = CROPS.read(output), regions_only(VARIANCE.read(variance)).to_pylist()
    indices = dict(zip(crops["image_id"].to_pylist(), crops["gt_index"].to_pylist(), strict=True))
    for image in {region["image_id"] for region in regions}:
        found = [r["gt_index"] for r in regions if r["image_id"] == image and r["kind"] == "object"]
        # the crop's objects, each of which is one of the whole image's
        assert sorted(found) == list(range(len(indices[image])))
