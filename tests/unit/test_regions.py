from __future__ import annotations

import math

import numpy as np
import polars
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dipr1.artifacts import artifact_named
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.boxes import area, clip
from dipr1.cli import main
from dipr1.regions import Region, box_variance, look_targets
from tests.unit import reference

PERSON = [10.0, 20.0, 30.0, 60.0]


def rows(regions: list[Region]) -> list[tuple]:
    return [
        (r.gt_index, r.box, r.hull, r.support, r.existence_variance, r.box_variance, r.uncertainty)
        for r in regions
    ]


def assert_equal_rows(found: list[tuple], expected: list[tuple]) -> None:
    assert [row[0] for row in found] == [row[0] for row in expected]
    for row, other in zip(found, expected, strict=True):
        for value, wanted in zip(row[1:], other[1:], strict=True):
            assert (value is None) == (wanted is None)
            if wanted is not None:
                np.testing.assert_allclose(value, wanted, rtol=1e-9, atol=1e-12)


# --- one image -----------------------------------------------------------------------------------


def test_nothing_to_find_and_nothing_found():
    assert box_variance([[], []], []) == []
    assert box_variance([np.empty((0, 4))] * 3, [], []) == []


def test_no_samples():
    with pytest.raises(ValueError, match="at least one sample"):
        box_variance([], [PERSON])


def test_a_person_never_found():
    [region] = box_variance([[]] * 8, [PERSON])
    q = 0.5 / 9
    assert (region.kind, region.gt_index, region.support, region.num_samples) == ("object", 0, 0, 8)
    assert region.box.tolist() == region.hull.tolist() == PERSON
    assert region.box_variance is None
    assert region.existence_variance == region.uncertainty == pytest.approx(4 * q * (1 - q))


def test_a_person_always_found_at_the_same_place():
    [region] = box_variance([[PERSON]] * 8, [PERSON])
    q = 8.5 / 9
    assert (region.support, region.box_variance) == (1.0, 0.0)
    assert region.uncertainty == region.existence_variance == pytest.approx(4 * q * (1 - q))


def test_a_person_found_in_half_of_the_samples():
    [region] = box_variance([[PERSON], []] * 4, [PERSON])
    assert region.support == 0.5
    assert region.existence_variance == region.uncertainty == 1.0


def test_borders_that_move_by_hand():
    # Right borders 28 and 32: variance 8, over a mean width of 20 squared; the other sides rest.
    members = [[10, 20, 28, 60], [10, 20, 32, 60]]
    [region] = box_variance([[box] for box in members], [PERSON])
    v = 8 / 20**2 / 4
    q = 2.5 / 3
    e = 4 * q * (1 - q)
    assert region.box_variance == pytest.approx(v, rel=1e-15)
    assert region.uncertainty == pytest.approx(1 - (1 - e) * math.exp(-v / 0.01), rel=1e-15)
    assert region.hull.tolist() == [10, 20, 32, 60]
    assert region.box.tolist() == PERSON
    [sharper] = box_variance([[box] for box in members], [PERSON], v0=0.001)
    assert sharper.uncertainty > region.uncertainty


def test_heights_are_measured_by_height():
    members = [[10, 20, 30, 58], [10, 20, 30, 62]]
    [region] = box_variance([[box] for box in members], [PERSON])
    assert region.box_variance == pytest.approx(8 / 40**2 / 4, rel=1e-15)


def test_a_phantom_is_the_mean_of_its_members():
    samples = [[[0, 0, 10, 10]], [], [[0, 0, 12, 10]]]
    [region] = box_variance(samples, [])
    assert (region.kind, region.gt_index) == ("phantom", None)
    assert region.support == pytest.approx(2 / 3)
    assert region.box.tolist() == [0, 0, 11, 10]
    assert region.hull.tolist() == [0, 0, 12, 10]


def test_a_phantom_follows_its_members():
    # Each box overlaps the mean of those before by more than half, but not the first one.
    drift = [[x, 0, x + 100, 10] for x in (0, 30, 45, 52)]
    assert [r.support for r in box_variance([[box] for box in drift], [])] == [1.0]
    assert reference.box_iou(drift[0], drift[3]) < 0.5


def test_a_ground_truth_anchor_does_not_move():
    drift = [[x, 0, x + 100, 10] for x in (0, 30, 45, 52)]
    object_, phantom = box_variance([[box] for box in drift], drift[:1])
    assert (object_.support, phantom.support) == (0.5, 0.5)
    assert object_.box.tolist() == drift[0]


def test_a_repeated_box_is_a_phantom():
    object_, phantom = box_variance([[PERSON, PERSON]] * 2, [PERSON])
    assert (object_.support, phantom.support) == (1.0, 1.0)
    assert (object_.kind, phantom.kind) == ("object", "phantom")


def test_phantoms_come_in_order_of_appearance():
    a, b, c = ([x, 0, x + 10, 10] for x in (0, 100, 200))
    regions = box_variance([[b], [c, a], [a, b]], [])
    assert [r.box.tolist() for r in regions] == [b, c, a]


def test_boxes_in_ignore_regions_start_no_phantom():
    ignore = [[0, 0, 50, 50]]
    inside, out = [10, 10, 20, 20], [40, 10, 61, 20]
    assert box_variance([[inside]] * 2, [], ignore) == []
    assert len(box_variance([[out]] * 2, [], ignore)) == 1
    [region] = box_variance([[inside]] * 2, [inside], ignore)
    assert region.support == 1.0


def test_boxes_in_ignore_regions_join_no_phantom():
    # The second box lies in the ignore region and would fit the phantom that the first started.
    outside, inside = [40, 0, 61, 10], [35, 0, 56, 10]
    [phantom] = box_variance([[outside], [inside]], [], [[0, 0, 50, 50]])
    assert phantom.support == 0.5
    assert phantom.box.tolist() == outside


@pytest.mark.parametrize("box", [[5, 5, 5, 9], [9, 9, 1, 1], [np.nan] * 4, [0, 0, np.inf, 1]])
def test_boxes_without_area_are_dropped(box):
    [region] = box_variance([[box, PERSON], [box]], [PERSON])
    assert region.support == 0.5


def test_arguments_are_not_changed():
    samples = [np.array([PERSON, [0, 0, 5, 5]]), np.array([[0, 0, 5, 6.0]])]
    gt, copies = np.array([PERSON]), [sample.copy() for sample in samples]
    box_variance(samples, gt)
    assert gt.tolist() == [PERSON]
    for sample, copy in zip(samples, copies, strict=True):
        np.testing.assert_array_equal(sample, copy)


def noisy_samples(rng: np.random.Generator, truth: np.ndarray, num_samples: int) -> list:
    samples = []
    for _ in range(num_samples):
        found = truth[rng.random(len(truth)) < 0.7]
        found = found + rng.normal(0, 3, found.shape)
        corner = rng.uniform(0, 30, (1, 2))
        samples.append(
            np.vstack([found, np.hstack([corner, corner + rng.uniform(15, 30, (1, 2))])])
        )
    return samples


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**6), st.integers(0, 3), st.integers(1, 6), st.booleans())
def test_regions_equal_the_reference(seed, num_people, num_samples, with_ignore):
    rng = np.random.default_rng(seed)
    corner = rng.uniform(0, 40, (num_people, 2))
    truth = np.hstack([corner, corner + rng.uniform(20, 40, (num_people, 2))])
    samples = noisy_samples(rng, truth, num_samples)
    ignore = [[0.0, 0.0, 30.0, 60.0]] if with_ignore else []
    found = rows(box_variance(samples, truth, ignore))
    expected = reference.regions([s.tolist() for s in samples], truth.tolist(), ignore)
    assert_equal_rows(found, expected)
    for row in found:
        assert 0.0 < row[4] <= 1.0 and 0.0 < row[6] <= 1.0


def test_found_and_missed_equally_often_are_equally_uncertain():
    box = [0, 0, 9, 9]
    for num_found in range(9):
        found = box_variance([[box]] * num_found + [[]] * (8 - num_found), [box])
        missed = box_variance([[]] * num_found + [[box]] * (8 - num_found), [box])
        assert found[0].uncertainty == missed[0].uncertainty


# --- look targets --------------------------------------------------------------------------------


def test_no_look_targets():
    assert look_targets([], []).tolist() == []
    assert look_targets([[0, 0, 1, 1]], [0.499]).tolist() == []
    assert look_targets([[0, 0, 0, 1]], [0.9]).tolist() == []


def test_look_targets_in_order():
    hulls = [[0, 0, side, 1] for side in (1, 2, 3, 3, 9, 5)]
    uncertainty = [0.7, 0.9, 0.7, 0.7, 0.2, 0.5]
    assert look_targets(hulls, uncertainty).tolist() == [1, 2, 3, 0, 5]
    assert look_targets(hulls, uncertainty, max_regions=3).tolist() == [1, 2, 3]
    assert look_targets(hulls, uncertainty, threshold=0.8).tolist() == [1]


# --- the verb ------------------------------------------------------------------------------------


def filled(columns: dict, schema_name: str) -> pa.Table:
    """A table of the artifact, null where nothing is given."""
    num_rows = len(columns["image_id"])
    values = {
        name: columns.get(name, [None] * num_rows)
        for name in artifact_named(schema_name).schema.names
    }
    return pa.table(values, schema=artifact_named(schema_name).schema)


def write_annotations(path, images: dict[str, tuple[list, list]], width=100, height=80) -> str:
    table = {
        "image_id": list(images),
        "image": [f"{name}.png" for name in images],
        "width": [width] * len(images),
        "height": [height] * len(images),
        "boxes": [boxes for boxes, _ in images.values()],
        "ignore": [ignore for _, ignore in images.values()],
    }
    ANNOTATIONS.write(filled(table, "annotations"), path)
    return str(path)


def write_samples(path, samples: list[tuple[str, int, list | None]]) -> str:
    table = {
        "image_id": [image_id for image_id, _, _ in samples],
        "sample": [number for _, number, _ in samples],
        "boxes": [boxes for _, _, boxes in samples],
    }
    SAMPLES.write(filled(table, "samples"), path)
    return str(path)


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
    assert VARIANCE.read(output).schema == artifact_named("variance").schema
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
    assert "3 images, 6 samples, num_malformed 1; 4 regions, of which 1 phantoms" in line


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
    contents = set()
    for number, shards in enumerate([[whole], parts, parts[::-1], [whole]]):
        output = tmp_path / f"variance{number}.parquet"
        assert variance(shards, annotations, output) == 0
        contents.add(output.read_bytes())
    assert len(contents) == 1


def test_an_image_without_samples_is_an_error(tmp_path, annotations, capsys):
    shard = write_samples(tmp_path / "0.parquet", SAMPLED[:4])
    output = tmp_path / "variance.parquet"
    assert variance([shard], annotations, output) == 1
    error = capsys.readouterr().err
    assert "image 'a' has no samples" in error and "--allow-missing" in error
    assert not output.exists()
    assert variance([shard], annotations, output, "--allow-missing") == 0
    assert set(polars.read_parquet(output)["image_id"]) == {"b", "c,1"}


def test_samples_of_an_unknown_image_are_an_error(tmp_path, annotations, capsys):
    shard = write_samples(tmp_path / "0.parquet", [*SAMPLED, ("d", 0, [])])
    assert variance([shard], annotations, tmp_path / "variance.parquet") == 1
    assert "image 'd' has samples but no annotation" in capsys.readouterr().err


def test_a_shard_given_twice_is_an_error(tmp_path, annotations, capsys):
    shard = write_samples(tmp_path / "0.parquet", SAMPLED)
    assert variance([shard, shard], annotations, tmp_path / "variance.parquet") == 1
    assert "sample 1 of image 'c,1' is given twice" in capsys.readouterr().err


def test_no_images(tmp_path):
    annotations = write_annotations(tmp_path / "annotations.parquet", {})
    shard = write_samples(tmp_path / "0.parquet", [])
    assert variance([shard], annotations, tmp_path / "variance.parquet") == 0
    assert VARIANCE.read(tmp_path / "variance.parquet").num_rows == 0


def test_many_images_are_read_in_pieces(tmp_path):
    # More samples than one piece holds, and images that straddle two pieces.
    rng = np.random.default_rng(0)
    images = {f"{k:05d}": ([BOX], [False]) for k in range(1100)}
    samples = [(name, n, [BOX] if rng.random() < 0.5 else []) for name in images for n in range(5)]
    annotations = write_annotations(tmp_path / "annotations.parquet", images)
    shard = write_samples(tmp_path / "0.parquet", samples)
    assert variance([shard], annotations, tmp_path / "variance.parquet") == 0
    found = polars.read_parquet(tmp_path / "variance.parquet")
    counts = [
        sum(bool(boxes) for name, _, boxes in samples if name == image) / 5
        for image in list(images)[::100]
    ]
    assert found["support"].to_list()[::100] == counts
    assert len(found) == 1100


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
            clip([] if sample is None else sample, 100, 80)
            for owner, _, sample in samples
            if owner == name
        ]
        regions = box_variance(answers, truth[~ignored], truth[ignored])
        rows = found[name,].to_dict(as_series=False) if regions else found.get((name,), {})
        for column in ("gt_index", "support", "num_samples", "box_variance", "uncertainty"):
            assert rows.get(column, []) == [getattr(region, column) for region in regions]
        for column in ("box", "hull"):
            expected = [getattr(region, column).astype(np.float32).tolist() for region in regions]
            assert rows.get(column, []) == expected


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
    annotations = write_annotations(tmp_path / "annotations.parquet", images)
    shard = write_samples(tmp_path / "0.parquet", samples)
    assert variance([shard], annotations, tmp_path / "whole.parquet") == 0
    monkeypatch.setattr("dipr1.regions.ROWS_AT_ONCE", 7)
    monkeypatch.setattr("dipr1.regions.PAIRS_AT_ONCE", 5)
    assert variance([shard], annotations, tmp_path / "pieces.parquet") == 0
    whole, pieces = (tmp_path / f"{name}.parquet" for name in ("whole", "pieces"))
    assert whole.read_bytes() == pieces.read_bytes()


def test_hulls_hold_their_boxes(tmp_path):
    rng = np.random.default_rng(1)
    truth = np.array([BOX, [50.0, 0.0, 70.0, 30.0]])
    for region in box_variance(noisy_samples(rng, truth, 8), truth):
        assert (region.hull[:2] <= region.box[:2]).all()
        assert (region.hull[2:] >= region.box[2:]).all()
        assert area([region.hull])[0] > 0
