"""Real runs of the workflow, each in a folder of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SHORT = "workflow/configs/test.yaml"


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
            *("--snakefile", str(self.root / "Snakefile")),
            *("--directory", str(folder)),
            *("--configfile", str(self.root / configfile)),
            *("--cores", "2"),
            *arguments,
        ]

    def environment(self, **changes: str) -> dict[str, str]:
        """The environment of a run: `dipr1` is the one of this Python, nothing is downloaded."""
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return {**os.environ, "PATH": path, "HF_HUB_OFFLINE": "1", **changes}

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

    def run(self, folder: Path, *arguments: str, configfile: str | Path = SHORT) -> str:
        """Run, expect success and return the output."""
        done = self.try_run(folder, "--show-failed-logs", *arguments, configfile=configfile)
        assert done.returncode == 0, done.stdout
        return done.stdout


@pytest.fixture(scope="session")
def workflow(root: Path) -> Workflow:
    return Workflow(root)


@pytest.fixture(scope="session")
def undisturbed(workflow: Workflow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole shortened workflow has run once."""
    folder = tmp_path_factory.mktemp("undisturbed")
    workflow.run(folder)
    return folder
