"""The command line: a verb is a file, and a user's mistake is one line."""

from __future__ import annotations

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
    "verb", ["download", "convert", "describe", "export", "variance", "evaluate", "report"]
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
