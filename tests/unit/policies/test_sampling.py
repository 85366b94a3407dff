"""Sampling in shards and batches: an interrupted job ends like an undisturbed one."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.prompts import prompt_rows
from dipr1.artifacts.samples import SAMPLES
from dipr1.demo.scenes import scene
from dipr1.errors import UserError
from dipr1.policies.families import read_policy_frames
from dipr1.policies.generated import Generated
from dipr1.policies.load import load_policy
from dipr1.policies.options import Sample
from dipr1.policies.sampling import parse_shard, sample, sample_row

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
        return sample(prompts, load, OPTIONS, shard=(0, 1), seed=7, folder=tmp_path)

    undisturbed = sampled(lambda: policy)
    assert len(undisturbed) == 2 * NUM_IMAGES
    assert sampled(never) == undisturbed
    (tmp_path / "000001.parquet").unlink()
    assert sampled(lambda: policy) == undisturbed


def test_shards_hold_every_image_once(prompts, policy, tmp_path):
    names = []
    for part in range(3):
        folder = tmp_path / str(part)
        folder.mkdir()
        table = sample(prompts, lambda: policy, OPTIONS, shard=(part, 3), seed=7, folder=folder)
        names += table["image_id"].to_pylist()[::2]
    assert names == prompts["image_id"].to_pylist()


def test_answers_lie_in_the_order_of_the_rows(prompts, tmp_path):
    """Whatever order the engine has the rows answered in."""

    def respond(policy, rows, *, num_samples, **_):
        texts = [[f"{row['image_id']}.{k}" for k in range(num_samples)] for row in rows]
        nothing = np.array([]), np.array([])
        return [[Generated(text, 1, *nothing) for text in of_row] for of_row in texts]

    engine = SimpleNamespace(respond=respond, order=lambda rows: [3, 0, 4, 1, 2])
    options = {"shard": (0, 1), "seed": 7, "folder": tmp_path, "engine": engine}
    table = sample(prompts, lambda: None, OPTIONS, **options)
    assert table["text"].to_pylist() == [f"{k}.{n}" for k in range(NUM_IMAGES) for n in (0, 1)]
    assert SAMPLES.read(tmp_path / "000000.parquet")["text"][0].as_py() == "3.0"
    assert sample(prompts, never, OPTIONS, **options) == table


def test_no_images_give_no_samples(prompts, tmp_path):
    empty = sample(prompts.slice(0, 0), never, OPTIONS, shard=(0, 1), seed=7, folder=tmp_path)
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
