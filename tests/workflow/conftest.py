"""Real runs of the workflow, each in a folder of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from dipr1.config import load
from dipr1.places import Places
from tests.workflow.planner import Planner

SHORT = "workflow/configs/test.yaml"
PLACES = Places(load(Path(__file__).parents[2] / SHORT))

# as sitecustomize.py first on PYTHONPATH, these hold for every Python that a run starts
NO_TORCH = """
import sys

BLOCKED = {"accelerate", "datasets", "peft", "tensorboard", "torch", "torchvision", "transformers"}
BLOCKED |= {"trl"}


class NoTorch:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in BLOCKED:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


sys.meta_path.insert(0, NoTorch())
"""
RECORD_IMPORTS = """
import atexit, json, os, pathlib, sys


def record():
    if sys.argv[0].endswith("dipr1/cli.py"):
        ours = sorted(name for name in sys.modules if name.partition(".")[0] == "dipr1")
        folder = pathlib.Path("imported")
        folder.mkdir(exist_ok=True)
        record = {"arguments": sys.argv[1:], "modules": ours}
        (folder / f"{os.getpid()}.json").write_text(json.dumps(record))


atexit.register(record)
"""


class Workflow:
    """Runs the repository's Snakefile in other folders.

    Args:
        root: the repository's root.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def command(self, folder: Path, *arguments: str, configfile: str | Path = SHORT) -> list[str]:
        """The command line of a run in `folder`."""
        return [
            *(sys.executable, "-m", "snakemake"),
            *self.arguments(folder, *arguments, configfile=configfile),
        ]

    def arguments(self, folder: Path, *arguments: str, configfile: str | Path = SHORT) -> list[str]:
        """What `snakemake` is told for a run in `folder`."""
        return [
            *("--snakefile", str(self.root / "Snakefile")),
            *("--directory", str(folder)),
            *("--configfile", str(self.root / configfile)),
            *("--cores", "2"),
            *arguments,
        ]

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of a run: nothing is downloaded."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **changes}

    def started_with(self, code: str, folder: Path) -> dict[str, str]:
        """The environment of a run in which every Python runs `code` first, kept in `folder`."""
        (folder / "sitecustomize.py").write_text(code)
        paths = [str(folder), os.environ.get("PYTHONPATH", "")]
        return self.environment(PYTHONPATH=os.pathsep.join(filter(None, paths)))

    def try_run(
        self,
        folder: Path,
        *arguments: str,
        configfile: str | Path = SHORT,
        environment: dict[str, str] | None = None,
    ) -> subprocess.CompletedProcess[str]:
        """Run and return what happened; standard error is joined to standard output."""
        return subprocess.run(
            self.command(folder, *arguments, configfile=configfile),
            env=environment or self.environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )

    def run(self, folder: Path, *arguments: str, **options: Any) -> str:
        """Run, expect success and return the output; options as of :meth:`try_run`."""
        done = self.try_run(folder, "--show-failed-logs", *arguments, **options)
        assert done.returncode == 0, done.stdout
        return done.stdout


def jobs(output: str) -> dict[str, int]:
    """Jobs by rule, from Snakemake's table of them."""
    table = output.split("Job stats:")[1].split("\n\n")[0]
    return {name: int(count) for name, count in re.findall(r"^(\w+) +(\d+)$", table, re.MULTILINE)}


@pytest.fixture(scope="session")
def workflow(root: Path) -> Workflow:
    return Workflow(root)


@pytest.fixture
def repository(root, tmp_path) -> Path:
    """A copy of what a run needs of the repository."""
    for name in ("dipr1", "envs", "profiles", "rules", "workflow"):
        ignored = shutil.ignore_patterns("*.pyc")
        shutil.copytree(root / name, tmp_path / name, ignore=ignored)
    shutil.copy(root / "Snakefile", tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def planner(workflow: Workflow) -> Iterator[Planner]:
    planner = Planner(workflow.environment())
    yield planner
    planner.close()


@pytest.fixture(scope="session")
def undisturbed(workflow: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole shortened workflow has run once.

    The files in `imported/` say which of our modules each job had imported in the end.
    """
    folder = tmp_path_factory.mktemp("undisturbed")
    recording = workflow.started_with(RECORD_IMPORTS, tmp_path_factory.mktemp("recording"))
    workflow.run(folder, environment=recording)
    return folder
