"""Shards put together are what would have been made in one: the same bytes."""

from __future__ import annotations

import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from tests.unit.experiment import make_experiment

NUM_IMAGES = 10
SHORT = ("--max-new-tokens", "20", "--threads", "1", "--seed", "3")
# two images in a batch of `sample` and `predict`, four in a block of `inspect`
VERBS = {
    "sample": ("--num-samples", "2", "--batch-size", "4"),
    "predict": ("--batch-size", "2"),
    "inspect": ("--batch-size", "1"),
    "inspect by samples": ("--batch-size", "1", "--source", "variance", "--num-samples", "2"),
}


@pytest.fixture(scope="module")
def experiment(tmp_path_factory):
    """Scenes, and answers that look."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("dipr1",), num_images=NUM_IMAGES, updates=1)
    return folder / "results"


def answer(experiment, name, output, *more) -> None:
    """Write what a verb makes of the experiment, or a shard of it."""
    prompts = experiment / "prompts/crowdscenes/validation.parquet"
    files = [prompts]
    if name.startswith("inspect"):
        predictions = experiment / "predictions/dipr1/seed0/crowdscenes.validation.parquet"
        files = [predictions, "--prompts", prompts]
    words = [name.split()[0], *files, "--output", output, *more, *VERBS[name], *SHORT]
    assert main([str(word) for word in words]) == 0


def join(output, *shards) -> int:
    return main(["join", *map(str, shards), "--output", str(output)])


@pytest.mark.parametrize("verb", VERBS)
def test_any_number_of_shards_gives_the_same_bytes(experiment, tmp_path, verb):
    whole = tmp_path / "whole.parquet"
    answer(experiment, verb, whole)
    images = SAMPLES.read(whole)["image_id"].unique()
    assert len(images) == NUM_IMAGES
    for parts in (2, 3, 7):
        shards = [tmp_path / f"{part}-of-{parts}.parquet" for part in range(parts)]
        for part, path in enumerate(shards):
            answer(experiment, verb, path, "--shard", f"{part}/{parts}")
        assert join(tmp_path / "joined.parquet", *shards[::-1]) == 0
        assert (tmp_path / "joined.parquet").read_bytes() == whole.read_bytes()
    assert "shard" not in read_made(whole).options
    assert read_made(shards[1]).options["shard"] == [1, 7]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        (["0-of-2"], "0-of-2.parquet: of 2 shards each is needed once; found 0"),
        (["0-of-2", "0-of-2"], "of 2 shards each is needed once; found 0, 0"),
        (["0-of-2", "1-of-3"], "1-of-3.parquet: is not a shard of what"),
    ],
)
def test_shards_that_are_not_the_whole(experiment, tmp_path, capsys, given, told):
    for name in set(given):
        part, parts = name.split("-of-")
        path = tmp_path / f"{name}.parquet"
        answer(experiment, "predict", path, "--shard", f"{part}/{parts}")
    capsys.readouterr()
    assert join(tmp_path / "a.parquet", *(tmp_path / f"{name}.parquet" for name in given)) == 1
    [line] = capsys.readouterr().err.splitlines()
    assert told in line
    assert not (tmp_path / "a.parquet").exists()
