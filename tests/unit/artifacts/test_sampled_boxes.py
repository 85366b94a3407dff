from __future__ import annotations

from functools import partial

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.sampled_boxes import MeasuredSplit, measure_split, read_sampled_split
from dipr1.artifacts.samples import SAMPLES
from dipr1.auditing import AuditedRegions, measure_against_labels
from dipr1.errors import UserError
from dipr1.regions import RegionTable, measure_block
from tests.unit.sampled_splits import noisy_samples, write_annotations, write_samples

BOX = [10.0, 20.0, 30.0, 60.0]


def split_of(folder, images: dict, samples: list, **options):
    annotations = write_annotations(folder / "annotations.parquet", images)
    return read_sampled_split(
        [write_samples(folder / "0.parquet", samples)], annotations, **options
    )


def measured(split) -> MeasuredSplit[RegionTable]:
    return measure_split(split, partial(measure_block, match_iou=0.5, v0=0.01))


def test_whose_sample_a_row_is(tmp_path):
    images = {name: ([BOX], [False]) for name in ("b", "a", "c")}
    samples = [("a", 4, [BOX]), ("b", 0, None), ("a", 2, [])]
    split = split_of(tmp_path, images, samples, allow_missing=True)
    assert split.image.tolist() == [1, 0, 1]
    assert split.turn.tolist() == [1, 0, 0]
    assert split.sampled().tolist() == [True, True, False]
    assert split.by_id().tolist() == [1, 0, 2]
    found = measured(split)
    assert found.regions.image.tolist() == [1]
    assert found.regions.support.tolist() == [0.5]
    assert found.num_readable.tolist() == [0, 2, 0]
    assert found.num_responses == 3
    assert found.measured().tolist() == [False, True, False]


def test_an_image_without_samples_is_an_error(tmp_path):
    images = {name: ([BOX], [False]) for name in ("b", "a", "c")}
    with pytest.raises(UserError, match=r"image 'a' has no samples \(2 such images\)"):
        split_of(tmp_path, images, [("b", 0, [])])


def test_samples_of_an_unknown_image_are_an_error(tmp_path):
    samples = [("a", 0, []), ("d", 0, []), ("d", 1, [])]
    with pytest.raises(UserError, match="image 'd' has samples but no annotation .1 such"):
        split_of(tmp_path, {"a": ([], [])}, samples)


def test_a_sample_given_twice_is_an_error_of_its_shard(tmp_path):
    annotations = write_annotations(
        tmp_path / "annotations.parquet", {"a": ([], []), "b": ([], [])}
    )
    shards = [
        write_samples(tmp_path / "0.parquet", [("a", 0, []), ("b", 0, [])]),
        write_samples(tmp_path / "1.parquet", [("a", 1, []), ("b", 0, [])]),
    ]
    with pytest.raises(UserError, match="1.parquet: sample 0 of image 'b' is given twice"):
        read_sampled_split(shards, annotations)


def test_many_images_are_read_in_pieces(tmp_path):
    # More samples than one piece holds, and images that straddle two pieces.
    rng = np.random.default_rng(0)
    images = {f"{k:05d}": ([BOX], [False]) for k in range(1100)}
    samples = [(name, n, [BOX] if rng.random() < 0.5 else []) for name in images for n in range(5)]
    regions = measured(split_of(tmp_path, images, samples)).regions
    counts = [
        sum(bool(boxes) for name, _, boxes in samples if name == image) / 5
        for image in list(images)[::100]
    ]
    assert regions.support.tolist()[::100] == counts
    assert len(regions.image) == 1100


def test_the_size_of_the_pieces_does_not_matter(tmp_path, monkeypatch):
    rng = np.random.default_rng(3)
    truth = [[x, y, x + 18.0, y + 30.0] for x in range(0, 80, 12) for y in (5.0, 40.0)]
    images = {f"{number:02d}": (truth, [False] * len(truth)) for number in range(30)}
    samples = [
        (name, turn, boxes.tolist())
        for turn in range(4)
        for name in images
        for boxes in [noisy_samples(rng, np.array(truth), 1)[0]]
    ]
    split = split_of(tmp_path, images, samples)
    whole = measured(split).regions
    monkeypatch.setattr("dipr1.artifacts.sampled_boxes.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("dipr1.matching.PAIRS_AT_ONCE", 5)
    pieces = measured(split).regions
    for name in RegionTable.__slots__:
        np.testing.assert_array_equal(getattr(whole, name), getattr(pieces, name))


def test_names_are_those_of_the_text_or_of_the_labels(tmp_path, monkeypatch):
    rng = np.random.default_rng(4)
    truth = [[x, y, x + 18.0, y + 30.0] for x in range(0, 80, 20) for y in (5.0, 40.0)]
    images = {f"{number:02d}": (truth, [False] * 7 + [True]) for number in range(30)}
    given = rng.choice(["car", "van"], (30, 8)).tolist()
    annotations = write_annotations(tmp_path / "annotations.parquet", images, labels=given)
    samples = [(name, turn, truth) for turn in range(4) for name in images]
    said = rng.choice(["car", "van", "tram"], (len(samples), 8)).tolist()
    samples[5] = (*samples[5][:2], None)
    shard = write_samples(tmp_path / "0.parquet", samples, said)
    split = read_sampled_split([shard], annotations, with_names=True)
    assert split.names == ["car", "van"]  # a tram is no label

    def measured() -> AuditedRegions:
        monkeypatch.setattr("dipr1.artifacts.sampled_boxes.ROWS_AT_ONCE", next(pieces))
        measure = partial(measure_against_labels, match_iou=0.5, v0=0.01)
        return measure_split(split, measure).regions

    pieces = iter([4096, 7, 4096])
    of_text, in_pieces = measured(), measured()
    assert (
        of_text.name == np.array([split.names.index(n) for row in given for n in row[:7]])
    ).all()
    counted = of_text.answered_share * of_text.num_samples
    by_hand = []
    for image, row in enumerate(given):
        readable = [turn for turn in range(4) if samples[turn * 30 + image][2] is not None]
        for place, own in enumerate(row[:7]):
            names = [said[turn * 30 + image][place] for turn in readable]
            by_hand.append(names.count("van" if own == "car" else "car"))
    np.testing.assert_allclose(counted, by_hand)
    table = SAMPLES.read(shard)
    schema = SAMPLES.schema_with(["labels"])
    labels = [None if row[2] is None else names for row, names in zip(samples, said, strict=True)]
    table = table.set_column(2, "text", pa.nulls(len(table), pa.string()))
    SAMPLES.write(table.append_column("labels", pa.array(labels)).select(schema.names), shard)
    of_labels = measured()
    for name in AuditedRegions.__slots__ + RegionTable.__slots__:
        np.testing.assert_array_equal(getattr(of_text, name), getattr(in_pieces, name))
        np.testing.assert_array_equal(getattr(of_text, name), getattr(of_labels, name))


def test_of_labels_that_are_alike_no_names_are_read(tmp_path):
    images = {"a": ([BOX], [False])}
    annotations = write_annotations(tmp_path / "annotations.parquet", images, labels=[["car"]])
    shard = write_samples(tmp_path / "0.parquet", [("a", 0, [BOX])])
    split = read_sampled_split([shard], annotations, with_names=True)
    assert (list(split.names), split.truth.names) == ([], None)
