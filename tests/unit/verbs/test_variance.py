from __future__ import annotations

import numpy as np
import polars
import pytest

from dipr1.artifacts.variance import VARIANCE
from dipr1.boxes import clip
from dipr1.cli import main
from dipr1.regions import box_variance
from tests.unit.sampled_splits import write_annotations, write_samples

BOX = [10.0, 20.0, 30.0, 60.0]
IMAGES = {
    "b": ([[0.0, 0.0, 40.0, 40.0], BOX], [True, False]),
    "a": ([], []),
    "c,1": ([BOX, [50.0, 0.0, 70.0, 30.0]], [False, False]),
}
SAMPLED = [
    ("c,1", 1, [[50.0, 0.0, 72.0, 30.0]]),
    ("c,1", 0, [BOX, [50.0, -9.0, 70.0, 30.0], [120.0, 10.0, 140.0, 30.0]]),
    ("b", 0, [BOX, [1.0, 1.0, 5.0, 5.0]]),
    ("b", 1, None),
    ("b", 2, []),
    ("a", 1, []),
    ("a", 0, [[90.0, 70.0, 120.0, 120.0]]),
]


@pytest.fixture
def annotations(tmp_path) -> str:
    return write_annotations(tmp_path / "annotations.parquet", IMAGES)


def variance(shards, annotations, output, *more) -> int:
    arguments = [*shards, "--annotations", annotations, "--output", str(output), *more]
    return main(["variance", *arguments])


def test_the_artifact(tmp_path, annotations, capsys):
    shard = write_samples(tmp_path / "0.parquet", SAMPLED)
    output = tmp_path / "out" / "variance.parquet"
    assert variance([shard], annotations, output) == 0
    table = polars.read_parquet(output)
    assert VARIANCE.read(output).schema == VARIANCE.schema
    assert table["image_id"].to_list() == ["a", "b", "c,1", "c,1"]
    assert table["region"].to_list() == [0, 0, 0, 1]
    assert table["kind"].to_list() == ["phantom", "object", "object", "object"]
    assert table["gt_index"].to_list() == [None, 0, 0, 1]
    # Clipped to 100 x 80; what lies outside is gone, what lies in an ignore region too.
    assert table["box"][0].to_list() == [90, 70, 100, 80]
    assert table["box"][1].to_list() == BOX
    assert table["hull"][3].to_list() == [50, 0, 72, 30]
    assert table["support"].to_list() == [0.5, 0.5, 0.5, 1.0]
    assert table["num_samples"].to_list() == [2] * 4
    assert table["box_variance"].to_list()[:3] == [None] * 3
    assert table["box_variance"][3] == pytest.approx(2 / 21**2 / 4)
    line = capsys.readouterr().err.splitlines()[-1]
    assert "images in 3 = sampled 3 + without samples 0; 6 of 7 responses are readable" in line
    assert "(85.7%); 4 regions, of which 1 p" in line


def test_an_image_with_one_readable_response_has_no_statistics(tmp_path, annotations, capsys):
    """Unreadable is not absent: nothing can be said of who is seen there, or of nobody."""
    samples = [("b", 0, [BOX]), *(("b", turn, None) for turn in range(1, 8))]
    samples += [(name, turn, [BOX]) for name in ("a", "c,1") for turn in range(8)]
    shard = write_samples(tmp_path / "0.parquet", samples)
    assert variance([shard], annotations, tmp_path / "v.parquet") == 0
    rows = polars.read_parquet(tmp_path / "v.parquet").filter(image_id="b").to_dicts()
    assert [{name: value for name, value in row.items() if value is not None} for row in rows] == [
        {"image_id": "b", "num_samples": 1}
    ]
    assert "1 images have no statistics" in capsys.readouterr().err


def test_too_few_readable_responses_stop(tmp_path, annotations, capsys):
    samples = [(name, turn, None if turn else []) for name in IMAGES for turn in range(4)]
    shard = write_samples(tmp_path / "0.parquet", samples)
    output = tmp_path / "v.parquet"
    assert variance([shard], annotations, output) == 1
    error = capsys.readouterr().err.splitlines()[-1]
    assert "3 of 12 responses are readable (25.0%), fewer than --least-readable 0.5" in error
    assert "max_new_tokens" in error and "prompt" in error and "sft" in error
    assert not output.exists()
    assert variance([shard], annotations, output, "--least-readable", "0.25") == 0
    assert VARIANCE.read(output)["num_samples"].to_pylist() == [1, 1, 1]


def test_the_artifact_equals_the_function(tmp_path, annotations):
    shard = write_samples(tmp_path / "0.parquet", SAMPLED)
    options = ["--match-iou", "0.4", "--v0", "0.02"]
    assert variance([shard], annotations, tmp_path / "v.parquet", *options) == 0
    table = polars.read_parquet(tmp_path / "v.parquet").filter(polars.col("image_id") == "c,1")
    samples = [[BOX, [50, 0, 70, 30]], [[50, 0, 72, 30]]]
    expected = box_variance(samples, IMAGES["c,1"][0], match_iou=0.4, v0=0.02)
    assert table["uncertainty"].to_list() == [region.uncertainty for region in expected]


def test_shards_and_their_order_do_not_matter(tmp_path, annotations):
    whole = write_samples(tmp_path / "whole.parquet", SAMPLED)
    # An image's samples lie in both.
    parts = [write_samples(tmp_path / f"{k}.parquet", SAMPLED[k::2]) for k in range(2)]
    outputs = [tmp_path / f"variance{number}.parquet" for number in range(4)]
    for output, shards in zip(outputs, [[whole], parts, parts[::-1], [whole]], strict=True):
        assert variance(shards, annotations, output) == 0
        assert VARIANCE.read(output).equals(VARIANCE.read(outputs[0]))
    assert outputs[0].read_bytes() == outputs[-1].read_bytes()


def test_no_images(tmp_path):
    annotations = write_annotations(tmp_path / "annotations.parquet", {})
    shard = write_samples(tmp_path / "0.parquet", [])
    assert variance([shard], annotations, tmp_path / "variance.parquet") == 0
    assert VARIANCE.read(tmp_path / "variance.parquet").num_rows == 0


def test_many_images_are_measured_as_each_by_itself(tmp_path):
    # Crowds, repeated boxes, ignore regions, boxes out of frame, images with few samples or people.
    rng = np.random.default_rng(2)
    images, samples = {}, []
    for number in range(120):
        corners = rng.uniform(-10, 60, (rng.integers(0, 12), 2))
        truth = np.hstack([corners, corners + rng.uniform(5, 40, corners.shape)]).astype(np.float32)
        ignore = rng.random(len(truth)) < 0.2
        name = str(number)
        images[name] = (truth.tolist(), ignore.tolist())
        for turn in range(rng.integers(1, 6)):
            boxes = truth[rng.random(len(truth)) < 0.8]
            boxes = boxes + rng.normal(0, 2, boxes.shape)
            boxes = np.vstack([boxes, boxes[:2], [[3, 3, 20, 30]]]).astype(np.float32)
            samples.append((name, turn, None if rng.random() < 0.1 else boxes.tolist()))
    annotations = write_annotations(tmp_path / "annotations.parquet", images)
    shuffled = [samples[k] for k in rng.permutation(len(samples))]
    shard = write_samples(tmp_path / "0.parquet", shuffled)
    assert variance([shard], annotations, tmp_path / "variance.parquet") == 0
    found = polars.read_parquet(tmp_path / "variance.parquet").partition_by(
        "image_id", as_dict=True
    )
    for name, (boxes, ignore) in images.items():
        truth, ignored = np.array(boxes).reshape(-1, 4), np.array(ignore, dtype=bool)
        answers = [
            clip(sample, 100, 80)
            for owner, _, sample in samples
            if owner == name and sample is not None
        ]
        if len(answers) < 2:
            assert found[name,]["region"].to_list() == [None]
            continue
        regions = box_variance(answers, truth[~ignored], truth[ignored])
        rows = found[name,].to_dict(as_series=False) if regions else found.get((name,), {})
        for column in ("gt_index", "support", "num_samples", "box_variance", "uncertainty"):
            assert rows.get(column, []) == [getattr(region, column) for region in regions]
        for column in ("box", "hull"):
            expected = [getattr(region, column).astype(np.float32).tolist() for region in regions]
            assert rows.get(column, []) == expected


def test_an_image_without_samples_is_an_error(tmp_path, annotations, capsys):
    shard = write_samples(tmp_path / "0.parquet", SAMPLED[:5])
    output = tmp_path / "variance.parquet"
    assert variance([shard], annotations, output) == 1
    error = capsys.readouterr().err
    assert "image 'a' has no samples" in error and "--allow-missing" in error
    assert not output.exists()
    assert variance([shard], annotations, output, "--allow-missing") == 0
    assert set(polars.read_parquet(output)["image_id"]) == {"b", "c,1"}
    assert "images in 3 = sampled 2 + without samples 1; " in capsys.readouterr().err
