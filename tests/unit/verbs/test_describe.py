"""The verb `describe`: what it prints, and its page."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dipr1.cli import main
from dipr1.report.cards import NUM_PICTURES
from dipr1.report.describing import describe
from tests.unit.report.crowd import REJECTED, ROWS, table, write_crowd


@pytest.fixture
def written(tmp_path, monkeypatch) -> str:
    monkeypatch.chdir(tmp_path)
    return write_crowd(tmp_path)


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
