"""The verb `official`: what it prints and writes, and `evaluate --protocol`, its old name."""

from __future__ import annotations

import json

import pytest

from dipr1.cli import main
from dipr1.evaluation.protocols import official_figures
from tests.unit.evaluation.protocols.benchmark_files import (
    citypersons_files,
    wider_files,
    write,
)


def official(protocol: str, truth: str, answers: str, *flags: str) -> int:
    return main(["official", protocol, "--ground-truth", truth, "--detections", answers, *flags])


def test_lines_and_file(tmp_path, capsys):
    truth, answers, _, _ = citypersons_files(tmp_path, 1, certain_error=False)
    output = tmp_path / "new" / "figures.json"
    assert official("citypersons", truth, answers, "--output", str(output)) == 0
    values = json.loads(output.read_text())
    assert capsys.readouterr().out.splitlines() == [
        f"Reasonable            {values['Reasonable']:6.2f}%",
        f"Reasonable_small      {values['Reasonable_small']:6.2f}%",
        f"Reasonable_occ=heavy  {values['Reasonable_occ=heavy']:6.2f}%",
        f"All                   {values['All']:6.2f}%",
    ]


def test_an_undefined_figure_is_null_and_a_dash(tmp_path, capsys):
    truth, answers = write(tmp_path / "gt.txt", "a.jpg"), write(tmp_path / "dt.txt", "")
    assert official("wider", truth, answers, "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"Average AP": None}
    assert official("wider", truth, answers) == 0
    assert capsys.readouterr().out == "Average AP        -\n"


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--wrap-fault"], "--wrap-fault is only for citypersons, not coco"),
        (["--ignore", "x"], "--ignore is only for wider, not coco"),
        ([], "gt: no such file"),
    ],
)
def test_a_mistake_is_one_line(tmp_path, monkeypatch, capsys, flags, message):
    monkeypatch.chdir(tmp_path)
    assert official("coco", "gt", "dt", *flags) == 1
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize("flag", ["--ground-truth", "--detections"])
def test_both_files_are_needed(capsys, flag):
    with pytest.raises(SystemExit) as stopped:
        main(["official", "coco", flag, "there"])
    assert stopped.value.code == 2
    assert "the following arguments are required" in capsys.readouterr().err


def test_the_old_name_prints_the_same_and_says_the_new_one(tmp_path, capsys):
    truth, answers, _ = wider_files(tmp_path, 0, 2019)
    assert official("wider", truth, answers, "--json") == 0
    new = capsys.readouterr()
    assert json.loads(new.out) == official_figures("wider", truth, answers)
    words = ["evaluate", "--protocol", "wider", "--ground-truth", truth, "--detections", answers]
    assert main([*words, "--json"]) == 0
    old = capsys.readouterr()
    assert old.out == new.out
    assert old.err == "dipr1 evaluate --protocol: now `dipr1 official wider`\n"
    assert main([*words[:-1], str(tmp_path / "nothing.txt")]) == 1
    assert "nothing.txt: no such file" in capsys.readouterr().err


@pytest.mark.parametrize("flag", ["--predictions", "--score", "--images-output"])
def test_the_old_name_takes_no_flag_of_evaluate(capsys, flag):
    files = ["--ground-truth", "gt", "--detections", "dt"]
    with pytest.raises(SystemExit) as stopped:
        main(["evaluate", "--protocol", "coco", *files, flag, "order"])
    assert stopped.value.code == 2
    assert capsys.readouterr().err.endswith(f"unrecognized arguments: {flag} order\n")
