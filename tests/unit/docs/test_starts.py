"""The starts of docs/start: all their commands exist, and those without torch run as they stand."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import pytest
from snakemake.cli import get_argument_parser

from dipr1.cli import parser_for

STARTS = sorted((Path(__file__).parents[3] / "docs/start").glob("*.md"))
INSTALLS = re.compile(r"make setup|python3 -m venv|source |pip install")


def blocks(page: Path, language: str) -> list[str]:
    """The fenced blocks of a page."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


def commands(page: Path, program: str) -> list[list[str]]:
    """The words of every call of a program, without its name."""
    text = "\n".join(blocks(page, "sh")).replace("\\\n", " ")
    lines = [shlex.split(line, comments=True) for line in text.splitlines() if program in line]
    return [words[1:] for words in lines if words and words[0] == program]


def test_every_reader_has_a_start():
    assert {page.stem for page in STARTS} == {
        "coco",
        "crowdhuman",
        "labels",
        "metrics",
        "rewards",
        "slurm",
    }


@pytest.mark.parametrize("page", STARTS, ids=lambda page: page.stem)
def test_every_start_fits_its_screen_and_calls_us(page):
    assert len(page.read_text("utf-8").splitlines()) <= 72
    assert commands(page, "dipr1")


CALLS = [(page.stem, words) for page in STARTS for words in commands(page, "dipr1")]


@pytest.mark.parametrize("words", [words for _, words in CALLS], ids=lambda words: words[0])
def test_every_call_has_a_verb_with_these_flags(words, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert parser_for(words[0]).parse_args(words).verb == words[0]


@pytest.mark.parametrize("page", STARTS, ids=lambda page: page.stem)
def test_every_call_of_snakemake_has_its_files(page, root):
    made = {copied[-1] for copied in commands(page, "cp")} | {"mine.yaml"}
    for words in commands(page, "snakemake"):
        get_argument_parser().parse_args(words)
        for flag, path in pairwise(words):
            if flag in ("--configfile", "--profile"):
                assert (root / path).exists() or path in made


@pytest.mark.parametrize("page", STARTS, ids=lambda page: page.stem)
def test_what_a_start_copies_is_there(page, root):
    for *_, source, _ in commands(page, "cp"):
        assert (root / source).exists()


@pytest.mark.parametrize("name", ["metrics", "rewards"])
def test_a_start_without_torch_runs_to_its_end(name, root, tmp_path):
    page = root / f"docs/start/{name}.md"
    run = {
        "cwd": tmp_path,
        "check": True,
        "env": os.environ | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
    }
    shell = "".join(blocks(page, "sh")).splitlines()
    kept = "\n".join(line for line in shell if not INSTALLS.match(line))
    subprocess.run(["bash", "-euc", kept], **run)
    subprocess.run([sys.executable, "-W", "error", "-c", "".join(blocks(page, "python"))], **run)
