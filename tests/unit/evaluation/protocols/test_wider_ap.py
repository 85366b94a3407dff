"""WIDER's average precision from files, against plain loops."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import plain_evaluators
from dipr1.errors import UserError
from dipr1.evaluation.protocols import official_figures
from tests.unit.evaluation.protocols.benchmark_files import (
    wider_files,
    write,
)


@pytest.mark.parametrize("year", [2018, 2019])
@pytest.mark.parametrize("seed", range(3))
def test_wider_equals_plain_loops(tmp_path, seed, year):
    truth, answers, plain = wider_files(tmp_path, seed, year)
    values = official_figures("wider", truth, answers)
    assert list(values) == ["Average AP"]
    expected = plain_evaluators.wider_map(*plain, year)
    assert 0.1 < expected < 0.9
    assert values["Average AP"] == pytest.approx(expected, abs=1e-12)


def test_wider_reads_json_and_a_named_ignore_file(tmp_path):
    truth, answers, _ = wider_files(tmp_path, 4, 2019)
    records = []
    for line in Path(answers).read_text().splitlines():
        name, score, *box = line.split()
        records.append(
            {"image_id": name, "score": float(score), "bbox": [float(side) for side in box]}
        )
    as_json = write(tmp_path / "answers.json", records)
    assert official_figures("wider", truth, as_json) == official_figures("wider", truth, answers)
    none = official_figures("wider", truth, answers, ignore=write(tmp_path / "none.txt", ""))
    assert none != official_figures("wider", truth, answers)


def test_wider_says_that_there_is_no_ignore_file(tmp_path, capsys):
    truth, answers = write(tmp_path / "gt.txt", "a.jpg 0 0 9 9"), write(tmp_path / "dt", "")
    assert official_figures("wider", truth, answers) == {"Average AP": 0.0}
    assert "give one with --ignore" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truth", "answers", "message"),
    [
        ("a.jpg 1 2 3", "", "expected a name and, per box"),
        ("a.jpg 1 2 3 4\na.jpg 1 2 3 4", "", "line 2: image 'a.jpg' is there already (line 1)"),
        ("a.jpg 1 2 3 4", "b.jpg 0.5 1 2 3 4", "line 1: image 'b.jpg' is not in"),
        ("a.jpg 1 2 3 4", "\na.jpg 0.5 1 2 3", "line 2: expected name, score, x, y, width"),
        ("a.jpg 1 2 3 4", "a.jpg 0.5 1 2 3 nan", "line 1: expected a name and numbers"),
        ("a.jpg 1 2 3 four", "", "line 1: expected a name and numbers: a.jpg 1 2 3 four"),
    ],
)
def test_wider_names_the_bad_line(tmp_path, truth, answers, message):
    paths = write(tmp_path / "gt.txt", truth), write(tmp_path / "dt.txt", answers)
    with pytest.raises(UserError) as error:
        official_figures("wider", *paths)
    assert message in str(error.value)
