"""The data card: every number against a count by hand, the page self-contained."""

from __future__ import annotations

import json
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import BOXES
from dipr1.artifacts.rejects import REJECTS
from dipr1.cli import main
from dipr1.report.cards import (
    NUM_PICTURES,
    Bin,
    as_text,
    describe,
    fragment,
    page,
    sample_pictures,
)


def annotations(num_images: int, seed: int = 0) -> list[dict]:
    """Rows with 0..9 boxes each, some ignored, some of known visibility."""
    rng = np.random.default_rng(seed)
    rows = []
    for index in range(num_images):
        count = int(rng.integers(0, 10))
        corners = rng.uniform(0, 50, (count, 2))
        sides = rng.uniform(1, 40, (count, 2))
        known = rng.random(count) < 0.6
        shares = rng.random(count).astype(np.float32).tolist()
        rows.append(
            {
                "image_id": f"{index:03d}",
                "image": f"{index}.png",
                "width": int(rng.integers(100, 103)),
                "height": 100,
                "boxes": np.concatenate([corners, corners + sides], 1).astype(np.float32).tolist(),
                "labels": rng.choice(["person", "rider", "<b>"], count, p=[0.6, 0.3, 0.1]).tolist(),
                "ignore": (rng.random(count) < 0.3).tolist(),
                "visibility": [s if k else None for s, k in zip(shares, known, strict=True)],
            }
        )
    return rows


def table(rows: list[dict]) -> pa.Table:
    # slices and several chunks are what a reader of a large file is given
    whole = pa.Table.from_pylist([rows[0], *rows], ANNOTATIONS.schema).slice(1)
    half = len(rows) // 2
    return pa.concat_tables([whole.slice(0, half), whole.slice(half)])


ROWS = annotations(60)
REJECTED = pa.Table.from_pylist(
    [
        {"source": "a", "record": str(index), "reason": reason, "raw": ""}
        for index, reason in enumerate(["broken", "missing", "broken"])
    ],
    REJECTS.schema,
)


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
    assert sum(found.count for found in card.visibility_bins) == len(known)
    assert card.rejects == {"broken": 2, "missing": 1}
    for found in card.density:
        assert found.count == sum(found.low <= count <= found.high for count in per_image)
    assert sum(found.count for found in card.density) == 60


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
    assert [(found.low, found.high, found.count) for found in card.density] == bins
    assert card.rejects is None


def test_nothing_at_all():
    card = describe(ANNOTATIONS.schema.empty_table(), REJECTS.schema.empty_table())
    assert (card.num_images, card.labels, card.density, card.box_height) == (0, {}, [], {})
    assert card.rejects == {}
    assert "images      0" in as_text(card)
    assert "<svg" in fragment(card)


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


# --- the command and the page ---------------------------------------------------------------------


@pytest.fixture
def written(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    for row in ROWS:
        Image.new("RGB", (row["width"], row["height"]), (90, 120, 60)).save(row["image"])
    ANNOTATIONS.write(table(ROWS), "crowd.parquet")
    REJECTS.write(REJECTED, "crowd.rejects.parquet")
    return "crowd.parquet"


def test_the_command_finds_the_rejects_beside(written, capsys):
    assert main(["describe", written]) == 0
    text = capsys.readouterr().out
    assert "images      60" in text
    assert "rejected    3 records\n  2 broken\n  1 missing" in text
    assert main(["describe", written, "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == describe(table(ROWS), REJECTED).as_dict()


def test_without_rejects_it_says_nothing_of_them(written, capsys):
    Path("crowd.rejects.parquet").unlink()
    assert main(["describe", written]) == 0
    assert "rejected" not in capsys.readouterr().out


def test_rejects_that_are_named_must_be_there(written, capsys):
    assert main(["describe", written, "--rejects", "missing.parquet"]) == 1
    assert "missing.parquet: no such file" in capsys.readouterr().err


def test_the_page_holds_twelve_pictures_and_loads_nothing(written):
    assert main(["describe", written, "--html", "card.html"]) == 0
    text = Path("card.html").read_text()
    assert text.count("<figure>") == NUM_PICTURES
    assert text.count('href="data:image/webp;base64,') == NUM_PICTURES
    assert "http" not in text.replace("http-equiv", "")
    assert "<script" not in text
    assert "<b>" not in text and "&lt;b&gt;" in text
    before = Path("card.html").read_bytes()
    assert main(["describe", written, "--html", "card.html"]) == 0
    assert Path("card.html").read_bytes() == before


def test_pictures_go_from_the_emptiest_to_the_fullest(written):
    pictures = sample_pictures(table(ROWS))
    counts = [len(picture.boxes) for picture in pictures]
    sizes = [len(row["boxes"]) for row in ROWS]
    assert counts == sorted(counts)
    assert (counts[0], counts[-1]) == (min(sizes), max(sizes))
    by_id = {row["image_id"]: row for row in ROWS}
    for picture in pictures:
        row = by_id[picture.image_id]
        assert [list(box[:4]) for box in picture.boxes] == row["boxes"]
        assert (picture.width, picture.height) == (row["width"], row["height"])


def test_pictures_that_are_gone_are_left_out(written):
    Path(ROWS[0]["image"]).unlink()
    found = sample_pictures(table(ROWS[:3]))
    assert sorted(picture.image_id for picture in found) == ["001", "002"]


def test_ignored_boxes_are_drawn_otherwise(written):
    card, pictures = describe(table(ROWS)), sample_pictures(table(ROWS), 60)
    text = page("crowd", card, pictures)
    assert text.count("stroke-dasharray") == sum(sum(row["ignore"]) for row in ROWS)
    assert text.count("(ignored)</title>") == text.count("stroke-dasharray")
