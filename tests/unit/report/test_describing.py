"""What is in the annotations: every number against a count by hand."""

from __future__ import annotations

import time

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import BOXES
from dipr1.artifacts.rejects import REJECTS
from dipr1.report.describing import Bin, describe
from tests.unit.report.crowd import REJECTED, ROWS, table


def test_every_number_equals_a_count_by_hand():
    card = describe(table(ROWS), REJECTED)
    objects = [
        (row, box, label, share)
        for row in ROWS
        for box, label, ignored, share in zip(
            row["boxes"], row["labels"], row["ignore"], row["visibility"], strict=True
        )
        if not ignored
    ]
    num_ignored = sum(sum(row["ignore"]) for row in ROWS)
    per_image = [row["ignore"].count(False) for row in ROWS]
    assert card.num_images == 60
    assert card.num_empty == per_image.count(0) > 0
    assert card.num_objects == len(objects)
    assert card.num_ignored == num_ignored
    assert card.ignore_share == pytest.approx(num_ignored / (num_ignored + len(objects)))
    labels = [label for _, _, label, _ in objects]
    assert card.labels == {name: labels.count(name) for name in ("person", "rider", "<b>")}
    assert list(card.labels.values()) == sorted(card.labels.values(), reverse=True)
    assert card.mean_objects == pytest.approx(np.mean(per_image))
    assert card.objects_per_image["95%"] == pytest.approx(np.quantile(per_image, 0.95))
    assert card.num_image_sizes == len({row["width"] for row in ROWS})
    heights = [box[3] - box[1] for _, box, _, _ in objects]
    assert card.box_height["25%"] == pytest.approx(np.quantile(heights, 0.25))
    assert card.box_width["max"] == pytest.approx(max(b[2] - b[0] for _, b, _, _ in objects))
    assert card.height_share["min"] == pytest.approx(min(heights) / 100)
    known = [share for _, _, _, share in objects if share is not None]
    assert card.visibility_known == pytest.approx(len(known) / len(objects))
    assert card.visibility["50%"] == pytest.approx(np.median(known))
    assert card.visibility_bins[1] == Bin(0.2, 0.65, sum(0.2 <= s < 0.65 for s in known))
    assert sum(each.count for each in card.visibility_bins) == len(known)
    assert card.rejects == {"broken": 2, "missing": 1}
    for each in card.density:
        assert each.count == sum(each.low <= count <= each.high for count in per_image)
    assert sum(each.count for each in card.density) == 60


@pytest.mark.parametrize(
    ("counts", "bins"),
    [
        ([0, 0], [(0, 0, 2)]),
        ([1], [(0, 0, 0), (1, 1, 1)]),
        ([0, 3, 4], [(0, 0, 1), (1, 1, 0), (2, 3, 1), (4, 7, 1)]),
    ],
)
def test_density_bins_double(counts, bins):
    rows = [
        ROWS[0]
        | {
            "boxes": [[0, 0, 1, 1]] * count,
            "labels": ["person"] * count,
            "ignore": [False] * count,
            "visibility": [None] * count,
        }
        for count in counts
    ]
    card = describe(pa.Table.from_pylist(rows, ANNOTATIONS.schema))
    assert [(each.low, each.high, each.count) for each in card.density] == bins
    assert card.rejects is None


def test_nothing_at_all():
    card = describe(ANNOTATIONS.schema.empty_table(), REJECTS.schema.empty_table())
    assert (card.num_images, card.labels, card.density, card.box_height) == (0, {}, [], {})
    assert card.rejects == {}


def test_20000_images_and_half_a_million_boxes_take_no_time():
    rng = np.random.default_rng(0)
    num_images, num_boxes = 20_000, 500_000
    counts = rng.multinomial(num_boxes, np.full(num_images, 1 / num_images))
    offsets = pa.array(np.concatenate([[0], np.cumsum(counts)]), pa.int32())
    corners = rng.uniform(0, 500, (num_boxes, 2))
    boxes = np.concatenate([corners, corners + rng.uniform(1, 300, (num_boxes, 2))], axis=1)
    flat = pa.FixedSizeListArray.from_arrays(pa.array(boxes.ravel(), pa.float32()), 4)
    columns = {
        "boxes": flat,
        "labels": pa.array(rng.choice(["person", "rider"], num_boxes)),
        "ignore": pa.array(rng.random(num_boxes) < 0.1),
        "visibility": pa.array(rng.random(num_boxes), pa.float32()),
    }
    large = pa.table(
        {
            "image_id": pa.array(map(str, range(num_images))),
            "image": pa.array(["a.jpg"] * num_images),
            "width": pa.array([1000] * num_images, pa.int32()),
            "height": pa.array([800] * num_images, pa.int32()),
        }
        | {name: pa.ListArray.from_arrays(offsets, column) for name, column in columns.items()}
    ).cast(ANNOTATIONS.schema)
    assert large["boxes"].type == BOXES
    start = time.process_time()
    card = describe(large)
    assert time.process_time() - start < 2
    assert card.num_objects + card.num_ignored == num_boxes
