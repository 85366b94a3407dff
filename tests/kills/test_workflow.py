"""The real workflow, killed on its way and started again as the readme says."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.workflow.conftest import PLACES, Workflow

SAMPLES = PLACES.path("samples", "crowdscenes", "train")
PARTS = SAMPLES.replace("/samples/", "/checkpoints/samples/").removesuffix(".parquet") + ".0of2"
POLICY = f"{PLACES.own}/policies/{{}}/seed0"
WORK = f"{PLACES.own}/checkpoints/train/{{}}/seed0"


@pytest.fixture(scope="module")
def workflow(root: Path) -> Workflow:
    return Workflow(root)


@pytest.fixture(scope="module")
def undisturbed(workflow, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    workflow.run(folder, SAMPLES, *map(POLICY.format, ("sft", "dipr1")))
    return folder


def copy_without(undisturbed: Path, folder: Path, target: str) -> None:
    """A copy of the finished run, with the same times, that lacks `target`."""
    shutil.copytree(undisturbed, folder, dirs_exist_ok=True)
    path = folder / target
    shutil.rmtree(path) if path.is_dir() else path.unlink()


def start(workflow: Workflow, folder: Path, *arguments: str) -> subprocess.Popen:
    """Snakemake, in a process group of its own with its jobs."""
    return subprocess.Popen(
        workflow.command(folder, *arguments),
        env=workflow.environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )


def wait_for(what: Callable[[], bool], process: subprocess.Popen | None = None) -> None:
    """Wait until `what` holds, and no longer than `process` lives."""
    while not what():
        assert process is None or process.poll() is None, "it ended before that"
        time.sleep(0.02)


def contents(path: Path) -> dict[str, bytes]:
    """The files of a target, but for those with times in them."""
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    times = ("tensorboard", ".snakemake_timestamp")
    return {str(f.relative_to(path)): f.read_bytes() for f in files if not {*f.parts} & {*times}}


def go_on(workflow: Workflow, folder: Path, target: str) -> None:
    """What the readme says to do after a kill."""
    locked = workflow.try_run(folder, target)
    assert locked.returncode == 1
    assert "cannot be locked" in locked.stdout or "--rerun-incomplete" in locked.stdout
    workflow.run(folder, "--unlock")
    workflow.run(folder, target, "--rerun-incomplete")


def check_the_end(undisturbed: Path, folder: Path, target: str) -> None:
    """The result is that of an undisturbed run, and nothing else is left."""
    assert contents(folder / target) == contents(undisturbed / target)
    checkpoints = (folder / "results").glob("**/checkpoints")
    assert [file for path in checkpoints for file in path.rglob("*") if file.is_file()] == []


def log_of(folder: Path, arm: str) -> str:
    log = folder / f"logs/{PLACES.experiment.name}/train/{arm}.seed0.log"
    with contextlib.suppress(FileNotFoundError):  # Snakemake begins it anew
        return log.read_text()
    return ""


@pytest.mark.parametrize(
    ("target", "sign", "goes_on"),
    [
        (SAMPLES, f"{PARTS}/000001.parquet", "going on after"),
        *(
            (
                POLICY.format(arm),
                f"{WORK.format(arm)}/checkpoint-1/trainer_state.json",
                "resuming from checkpoint-",
            )
            for arm in ("sft", "dipr1")
        ),
    ],
    ids=["sample", "train sft", "train dipr1"],
)
def test_a_killed_job_goes_on_and_ends_the_same(
    workflow, undisturbed, tmp_path, target, sign, goes_on
):
    """Snakemake is killed with all its jobs."""
    copy_without(undisturbed, tmp_path, target)
    snakemake = start(workflow, tmp_path, target)
    wait_for((tmp_path / sign).exists, snakemake)
    os.killpg(snakemake.pid, signal.SIGKILL)
    snakemake.wait()
    assert not (tmp_path / target).exists()
    go_on(workflow, tmp_path, target)
    assert goes_on in "".join(path.read_text() for path in (tmp_path / "logs").rglob("*.log"))
    check_the_end(undisturbed, tmp_path, target)


def kill_alone(workflow: Workflow, folder: Path, arm: str) -> int:
    """Kill Snakemake without its job, a training; returns the number of the job's process."""
    holder = folder / f"{WORK.format(arm)}.holder"
    snakemake = start(workflow, folder, POLICY.format(arm))
    wait_for(lambda: holder.exists() and "since" in holder.read_text(), snakemake)
    job = int(holder.read_text().split()[1])
    os.kill(job, signal.SIGSTOP)
    snakemake.kill()
    snakemake.wait()
    return job


def test_a_job_that_outlives_snakemake_is_waited_for(workflow, undisturbed, tmp_path):
    target = POLICY.format("sft")
    copy_without(undisturbed, tmp_path, target)
    job = kill_alone(workflow, tmp_path, "sft")
    workflow.run(tmp_path, "--unlock")
    second = start(workflow, tmp_path, target, "--rerun-incomplete")
    wait_for(lambda: f"process {job} on" in log_of(tmp_path, "sft"), second)
    assert "waiting until it ends. To take over, end it" in log_of(tmp_path, "sft")
    os.kill(job, signal.SIGCONT)
    assert second.wait() == 0
    assert "was finished before" in log_of(tmp_path, "sft")
    check_the_end(undisturbed, tmp_path, target)


def test_what_a_job_finished_that_outlived_snakemake_is_not_done_again(
    workflow, undisturbed, tmp_path
):
    target = POLICY.format("dipr1")
    copy_without(undisturbed, tmp_path, target)
    os.kill(kill_alone(workflow, tmp_path, "dipr1"), signal.SIGCONT)
    lock = tmp_path / f"{WORK.format('dipr1')}.lock"
    wait_for(lambda: not lock.exists())
    assert (tmp_path / target).exists()
    go_on(workflow, tmp_path, target)
    assert "update 1 of" not in log_of(tmp_path, "dipr1")
    assert "was finished before" in log_of(tmp_path, "dipr1")
    check_the_end(undisturbed, tmp_path, target)
