"""The shipped profile on a SLURM that is started for these tests."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.slurm.cluster import CannotStart, Cluster

SHORT = "workflow/configs/test.yaml"
# the profile waits longer before it looks at jobs, as one has to on a cluster of many users
IMPATIENT = ("--slurm-init-seconds-before-status-checks", "3", "--latency-wait", "10")


class Runs:
    """Runs of the workflow in other folders, by a copy of the profile that is filled in."""

    def __init__(self, root: Path, profile: Path, cluster: Cluster) -> None:
        self.root, self.profile, self.cluster = root, profile, cluster

    def start(self, folder: Path, *arguments: str, config: str | Path = SHORT, **options: Any):
        """A run that goes on; standard error is joined to standard output."""
        command = [
            *(sys.executable, "-m", "snakemake"),
            *("--snakefile", str(self.root / "Snakefile")),
            *("--profile", str(self.profile)),
            *("--configfile", str(self.root / config)),
            *IMPATIENT,
            *arguments,
        ]
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        return subprocess.Popen(
            command,
            cwd=folder,
            env=os.environ | {"PATH": path, "HF_HUB_OFFLINE": "1"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            # where the tests run in the background, Ctrl-C would be ignored
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
            **options,
        )

    def run(self, folder: Path, *arguments: str, **options: Any) -> tuple[int, str]:
        """A run to its end: its exit code, and what it said."""
        process = self.start(folder, *arguments, **options)
        said, _ = process.communicate()
        return process.returncode, said

    def jobs(self, rule: str, after: int = 0) -> list[dict[str, str]]:
        """The jobs of a rule, oldest first, of those whose number is above `after`."""
        return [
            job
            for job in self.cluster.jobs()
            if int(job["JobId"]) > after and f"{job.get('Comment')}_".startswith(f"rule_{rule}_")
        ]


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"))
    try:
        cluster.start()
        yield cluster
    except CannotStart as reason:
        pytest.fail(f"no SLURM can be started here: {reason}", pytrace=False)
    finally:
        cluster.stop()


@pytest.fixture(scope="session")
def runs(root: Path, cluster: Cluster, tmp_path_factory: pytest.TempPathFactory) -> Runs:
    folder = tmp_path_factory.mktemp("profile")
    text = (root / "workflow/profiles/slurm/profile.yaml").read_text(encoding="utf-8")
    (folder / "profile.yaml").write_text(text.replace("ACCOUNT", "lab"), encoding="utf-8")
    return Runs(root, folder, cluster)


@pytest.fixture(scope="session")
def finished(runs: Runs, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which the whole shortened workflow has run on the cluster."""
    folder = tmp_path_factory.mktemp("finished")
    code, said = runs.run(folder)
    assert code == 0, said
    return folder
