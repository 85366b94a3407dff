"""Sampling in shards and batches: an interrupted job ends like an undisturbed one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.demo.scenes import scene
from dipr1.errors import UserError
from dipr1.policies.families import read_policy_frames
from dipr1.policies.generated import Generated
from dipr1.policies.load import load_policy
from dipr1.policies.options import Sample
from dipr1.policies.sampling import (
    images_together,
    parse_shard,
    rows_of_shard,
    sample,
    sample_row,
)

NUM_IMAGES = 5
OPTIONS = Sample(num_samples=2, max_new_tokens=20, batch_size=4)  # two images in a batch


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> pa.Table:
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for index in range(NUM_IMAGES):
        drawn = scene(index, seed=3, style="street")
        path = folder / f"{index}.png"
        drawn.image.save(path)
        boxes = drawn.boxes.tolist()
        rows.append(
            {
                "image_id": str(index),
                "image": str(path),
                "width": 192,
                "height": 144,
                "boxes": boxes,
                "labels": ["person"] * len(boxes),
                "ignore": [False] * len(boxes),
                "visibility": [None] * len(boxes),
            }
        )
    table = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    return prompt_rows(table, ["person"], read_policy_frames("tiny"))


@pytest.fixture(scope="module")
def policy():
    pytest.importorskip("torch")
    return load_policy("tiny", threads=1)


def never():
    raise AssertionError("the policy is loaded although every batch is there")


def test_an_interrupted_job_ends_like_an_undisturbed_one(prompts, policy, tmp_path):
    def sampled(load):
        return sample(prompts, load, OPTIONS, seed=7, folder=tmp_path)

    undisturbed = sampled(lambda: policy)
    assert len(undisturbed) == 2 * NUM_IMAGES
    assert sampled(never) == undisturbed
    (tmp_path / "000001.parquet").unlink()
    assert sampled(lambda: policy) == undisturbed


@pytest.mark.parametrize("parts", [1, 2, 3, 7])
def test_any_number_of_shards_gives_the_same(prompts, policy, tmp_path, parts):
    """Three batches, so some of seven shards are empty."""
    whole, shards = tmp_path / "whole", tmp_path / "shards"
    whole.mkdir()
    shards.mkdir()
    undisturbed = sample(prompts, lambda: policy, OPTIONS, seed=7, folder=whole)
    tables = []
    for part in range(parts):
        rows = rows_of_shard(NUM_IMAGES, images_together(OPTIONS), (part, parts))
        few = prompts.slice(rows.start, len(rows))
        load = (lambda: policy) if rows else never
        tables.append(sample(few, load, OPTIONS, seed=7, folder=shards, first=rows.start))
    assert pa.concat_tables(tables) == undisturbed
    # and what is done serves any other number
    assert sample(prompts, never, OPTIONS, seed=7, folder=shards) == undisturbed
    assert len(set(undisturbed["text"].to_pylist())) > NUM_IMAGES


@pytest.mark.parametrize("num_samples", [1, 2])
def test_shards_have_the_batches_of_the_whole(prompts, tmp_path, num_samples):
    options = OPTIONS.model_copy(update={"num_samples": num_samples, "batch_size": 2})
    batches = []

    def respond(policy, rows, *, num_samples, seed, **_):
        batches.append(([row["image_id"] for row in rows], seed))
        return [[Generated("", 1, np.array([]), np.array([]))] * num_samples for _ in rows]

    def asked(parts):
        batches.clear()
        for part in range(parts):
            folder = tmp_path / f"{part}-of-{parts}"
            folder.mkdir()
            rows = rows_of_shard(NUM_IMAGES, images_together(options), (part, parts))
            few, engine = prompts.slice(rows.start, len(rows)), SimpleNamespace(respond=respond)
            where = {"folder": folder, "first": rows.start, "engine": engine}
            sample(few, lambda: None, options, seed=7, **where)
        return list(batches)

    [*full, (last, _)] = asked(1)
    size = 2 // num_samples
    assert all(len(ids) == size for ids, _ in full)
    assert len(last) == (NUM_IMAGES % size or size)
    assert all(asked(parts) == [*full, batches[-1]] for parts in (2, 3, 7))


def test_no_images_give_no_samples(prompts, tmp_path):
    empty = sample(prompts.slice(0, 0), never, OPTIONS, seed=7, folder=tmp_path)
    assert len(empty) == 0


def test_boxes_are_brought_into_the_image_frame(prompts):
    text = (
        "<think> x </think><look> nothing </look>"
        '<answer> [{"bbox_2d": [0, 64, 128, 128], "label": "person"}] </answer>'
    )
    response = Generated(text, 1, np.array([len(text)]), np.array([0.5]))
    row = sample_row(prompts.to_pylist()[0], 3, response)
    assert (row["sample"], row["look_boxes"]) == (3, None)
    assert [box.tolist() for box in row["boxes"]] == [[0, 72, 192, 144]]
    assert row["problems"] == ["look_not_json"]


@pytest.mark.parametrize("text", ["", "1", "2/2", "a/b", "-1/2", "1/2/3"])
def test_wrong_shard(text):
    with pytest.raises(UserError, match="expected K/N"):
        parse_shard(text)
