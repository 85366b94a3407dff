"""Jobs of one machine take GPUs that no other job has, and wait for them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1.gpus import SHARED, VISIBLE, take_gpus, visible_gpus

JOB = """
import os, sys, time
from dipr1.gpus import take_gpus

take_gpus(int(sys.argv[1]))
print(os.environ.get("CUDA_VISIBLE_DEVICES"), flush=True)
time.sleep(60)
"""


class Jobs:
    """Processes that each take GPUs and keep them until they are killed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.running: list[subprocess.Popen[str]] = []

    def start(self, count: int, **changes: str) -> subprocess.Popen[str]:
        outside = {
            name: value
            for name, value in os.environ.items()
            if name not in (VISIBLE, SHARED, "LOCAL_RANK", "SLURM_JOB_ID")
        }
        job = subprocess.Popen(
            [sys.executable, "-c", JOB, str(count)],
            env=outside | {"TMPDIR": str(self.folder)} | changes,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.running.append(job)
        return job

    def taken(self, count: int, **changes: str) -> str:
        """What a job that starts now sees, once it has what it wants."""
        return self.start(count, **changes).stdout.readline().strip()

    def end(self, index: int) -> None:
        self.running[index].kill()
        self.running[index].wait()


@pytest.fixture
def jobs(tmp_path):
    jobs = Jobs(tmp_path)
    yield jobs
    for job in jobs.running:
        job.kill()
        job.communicate()


def test_two_jobs_never_see_the_same_gpu(jobs):
    both = {VISIBLE: "2,GPU-8f1e"}
    assert [jobs.taken(1, **both), jobs.taken(1, **both)] == ["2", "GPU-8f1e"]


def test_a_job_takes_as_many_as_its_processes(jobs):
    assert jobs.taken(1, **{VISIBLE: "0,1,2,3"}) == "0"
    assert jobs.taken(3, **{VISIBLE: "0,1,2,3"}) == "1,2,3"


def test_what_there_is_is_enough(jobs):
    assert jobs.taken(4, **{VISIBLE: "0,1"}) == "0,1"


def test_a_job_waits_says_so_and_goes_on_where_another_is_killed(jobs):
    jobs.taken(1, **{VISIBLE: "0"})
    waiting = jobs.start(1, **{VISIBLE: "0"})
    said = waiting.stderr.readline()
    assert said.startswith("waiting: other jobs have the GPUs") and f"{SHARED}=1" in said
    third = jobs.start(1, **{VISIBLE: "0"})
    assert third.stderr.readline().startswith("waiting")
    jobs.end(0)
    assert waiting.stdout.readline() == "0\n"
    jobs.end(1)
    assert third.stdout.readline() == "0\n"


def test_a_job_that_wants_all_is_not_overtaken(jobs):
    jobs.taken(1, **{VISIBLE: "0,1"})
    wants_both = jobs.start(2, **{VISIBLE: "0,1"})
    assert wants_both.stderr.readline().startswith("waiting")
    wants_one = jobs.start(1, **{VISIBLE: "0,1"})
    assert wants_one.stderr.readline().startswith("waiting")
    jobs.end(0)
    assert wants_both.stdout.readline() == "0,1\n"


def test_they_are_shared_where_that_is_said(jobs):
    jobs.taken(1, **{VISIBLE: "0"})
    assert jobs.taken(1, **{VISIBLE: "0", SHARED: "1"}) == "0"


def test_numbers_of_two_slurm_jobs_are_those_of_other_gpus(jobs):
    seen = [jobs.taken(1, **{VISIBLE: "0", "SLURM_JOB_ID": job}) for job in ("7", "8")]
    assert seen == ["0", "0"]


@pytest.mark.parametrize("none", ["", "-1"])
def test_nothing_is_taken_where_there_is_none(monkeypatch, none):
    monkeypatch.setenv(VISIBLE, none)
    assert visible_gpus() == []
    take_gpus(1)
    assert os.environ[VISIBLE] == none


def test_a_process_of_several_keeps_what_its_launcher_took(jobs):
    assert jobs.taken(1, **{VISIBLE: "0,1", "LOCAL_RANK": "1"}) == "0,1"
