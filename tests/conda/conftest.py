"""Conda: the one on PATH, or where there is none, a stand-in for it with a channel of its own."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conda import stand_in
from tests.conda.channel import make_channel
from tests.workflow.conftest import Workflow, repository, workflow  # noqa: F401  # fixtures

OLDEST = (24, 7, 1)  # of Snakemake


def real_conda() -> str | None:
    """The version of a conda on PATH that Snakemake takes."""
    if shutil.which("conda") is None:
        return None
    said = subprocess.run(["conda", "--version"], capture_output=True, text=True).stdout
    version = re.search(r"(\d+)\.(\d+)\.(\d+)", said)
    return version[0] if version and tuple(map(int, version.groups())) >= OLDEST else None


def pytest_report_header() -> str:
    """Which conda it is."""
    found = real_conda()
    return f"conda: {f'{found}, on PATH' if found else 'a stand-in, tests/conda/stand_in.py'}"


class InConda(Workflow):
    """Runs the workflow in environments that lie in `folder`.

    Args:
        root: the repository's root.
        folder: for the environments, and for conda where there is none.
    """

    def __init__(self, root: Path, folder: Path) -> None:
        super().__init__(root)
        self.folder = folder

    def arguments(self, *arguments, **options) -> list[str]:
        where = ("--use-conda", "--conda-prefix", str(self.folder / "environments"))
        return [*super().arguments(*arguments, **options), *where]

    def environment(self, **changes: str) -> dict[str, str]:
        environment = super().environment(**changes)
        path = os.pathsep.join([str(self.folder / "conda" / "bin"), environment["PATH"]])
        # the versions that were tested together, as in the Makefile
        pip = {"PIP_CONSTRAINT": str(self.root / "constraints.txt"), "PIP_NO_COMPILE": "1"}
        return environment | pip | {"PATH": path}


@pytest.fixture(scope="session")
def conda(root, tmp_path_factory) -> Iterator[InConda]:
    """The repository's workflow in conda environments that are kept from test to test."""
    folder = tmp_path_factory.mktemp("conda")
    if not real_conda():
        (folder / "conda").mkdir()
        stand_in.install(folder / "conda")
        make_channel(folder / "conda" / "conda-forge")
    yield InConda(root, folder)
    shutil.rmtree(folder)  # gigabytes
