"""The data card: its pictures and its page."""

from __future__ import annotations

from pathlib import Path

import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.report.cards import as_text, page, sample_pictures
from dipr1.report.describing import describe
from tests.unit.report.crowd import ROWS, table, write_crowd


@pytest.fixture
def written(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return write_crowd(tmp_path)


def test_nothing_at_all():
    card = describe(ANNOTATIONS.schema.empty_table())
    assert "images      0" in as_text(card)
    assert "<svg" in page("nothing", card, [])


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
    pictures = sample_pictures(table(ROWS[:3]))
    assert sorted(picture.image_id for picture in pictures) == ["001", "002"]


def test_ignored_boxes_are_drawn_otherwise(written):
    card, pictures = describe(table(ROWS)), sample_pictures(table(ROWS), 60)
    text = page("crowd", card, pictures)
    assert text.count("stroke-dasharray") == sum(sum(row["ignore"]) for row in ROWS)
    assert text.count("(ignored)</title>") == text.count("stroke-dasharray")
