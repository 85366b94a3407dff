"""The command line: a verb is a file, and a user's mistake is one line."""

from __future__ import annotations

import shlex
import subprocess
import sys

import pytest

from dipr1 import __version__
from dipr1.cli import FOLDER, ORDER, VERBS, main


def test_the_verbs_are_the_files_in_the_order_of_the_work():
    assert sorted(VERBS) == sorted(path.stem for path in FOLDER.glob("[!_]*.py"))
    assert tuple(VERBS[: len(ORDER)]) == ORDER


def test_the_help_says_what_every_verb_does(capsys):
    with pytest.raises(SystemExit):
        main(["--help"])
    text = capsys.readouterr().out
    assert all(f"    {verb}" in text for verb in VERBS)
    assert "sample responses of the base policy" in text


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself(verb, capsys):
    with pytest.raises(SystemExit) as left:
        main([verb, "--help"])
    assert left.value.code == 0
    assert f"dipr1 {verb}" in capsys.readouterr().out


@pytest.mark.parametrize(
    "verb",
    [
        "download",
        "convert",
        "describe",
        "export",
        "variance",
        "evaluate",
        "official",
        "report",
        "plan",
    ],
)
def test_only_the_policys_verbs_import_torch(verb):
    # in a process of its own: another test may have imported torch into this one
    code = (
        "import sys; from dipr1.cli import parser_for;"
        f"parser_for({verb!r}); sys.exit('torch' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_wrong_usage_exits_with_2(capsys):
    with pytest.raises(SystemExit) as left:
        main(["fly"])
    assert left.value.code == 2
    assert "invalid choice: 'fly'" in capsys.readouterr().err


def test_a_users_mistake_exits_with_1_and_one_line(tmp_path, capsys):
    absent = tmp_path / "absent.parquet"
    code = main(
        ["variance", str(absent), "--annotations", str(absent), "--output", str(tmp_path / "o")]
    )
    error = capsys.readouterr().err
    assert code == 1
    assert error.startswith("dipr1 variance: ")
    assert str(absent) in error
    assert error.count("\n") == 1


def test_the_installed_command_says_its_version():
    done = subprocess.run(
        [sys.executable, "-m", "dipr1.cli", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"dipr1 {__version__}\n"


DRAWN = ["download", "--format", "scenes", "--num-images", "2", "--output"]


@pytest.fixture
def scenes(tmp_path, monkeypatch):
    """A folder with drawn scenes, as working directory."""
    monkeypatch.chdir(tmp_path)
    assert main([*DRAWN, "scenes"]) == 0
    return tmp_path


def test_what_is_read_is_never_written_over(scenes, capsys):
    (scenes / "a.json").write_bytes((scenes / "scenes" / "annotations.json").read_bytes())
    before = (scenes / "a.json").read_bytes()
    convert = ["convert", "--format", "coco", "--annotations", "a.json", "--output"]
    assert main([*convert, "a.json"]) == 1
    assert "a.json" in capsys.readouterr().err
    # ours, and an input all the same
    assert main(["convert", "--source", "scenes", "--output", "a.parquet"]) == 0
    assert main(["export", "a.parquet", "--output", "./a.parquet"]) == 1
    assert "is given twice" in capsys.readouterr().err
    assert (scenes / "a.json").read_bytes() == before
    assert main(["describe", "a.parquet"]) == 0


@pytest.mark.parametrize("flag", ["--output", "--rejects", "--prompts"])
def test_a_verb_refuses_what_is_not_its_own_before_it_works(scenes, flag, capsys):
    (scenes / "thesis").mkdir()
    (scenes / "thesis" / "text.tex").write_text("years of work")
    arguments = ["convert", "--source", "scenes", "--output", "a.parquet", flag, "thesis"]
    assert main(arguments) == 1
    assert "thesis: a folder is there" in capsys.readouterr().err
    assert (scenes / "thesis" / "text.tex").read_text() == "years of work"
    assert not (scenes / "a.parquet").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["convert", "--source", "scenes", "--output", "b.parquet"], 0),
        (["convert", "--source", "scenes", "--labels", "dog", "--output", "b.parquet"], 1),
        (["describe", "a.parquet"], 0),
        (["export", "a.parquet", "--output", "b.json"], 0),
    ],
)
def test_a_reader_that_leaves_costs_no_file_and_no_exit_code(scenes, arguments, code):
    assert main(["convert", "--source", "scenes", "--output", "a.parquet"]) == 0
    command = f"{shlex.quote(sys.executable)} -m dipr1.cli {shlex.join(arguments)}"
    script = f"{{ sleep 0.2; {command}; echo $? > code; }} 2>&1 | true"
    subprocess.run(["bash", "-c", script], check=True)
    assert (scenes / "code").read_text() == f"{code}\n"
    if code == 0 and "--output" in arguments:
        assert (scenes / arguments[-1]).stat().st_size > 0


def test_a_verb_leaves_pandas_out_and_who_wants_it_gets_it(scenes):
    pytest.importorskip("pandas")
    code = """
import sys

import pyarrow as pa

from dipr1.cli import main

assert main() == 0
assert "pandas" not in sys.modules
assert pa.table({"a": [1]}).to_pandas()["a"].tolist() == [1]
assert pa.Table.from_pandas(sys.modules["pandas"].DataFrame({"a": [2]}))["a"].to_pylist() == [2]
"""
    verb = ["convert", "--source", "scenes", "--output", "a.parquet"]
    subprocess.run([sys.executable, "-c", code, *verb], check=True)
