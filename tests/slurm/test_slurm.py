"""The workflow on SLURM: what jobs ask for, and what is left after every kind of kill."""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
import yaml

# of the jobs of a rule: partition, memory, time and GPUs
ASKED = {
    "download": ("cpu", "2000M", "01:00:00", None),
    "convert": ("cpu", "4000M", "01:00:00", None),
    "sample": ("gpu", "16000M", "04:00:00", "gres:gpu:1"),
    "variance": ("cpu", "2000M", "00:30:00", None),
    "audit": ("cpu", "2000M", "00:30:00", None),
    "train": ("gpu", "32000M", "12:00:00", "gres:gpu:1"),
    "predict": ("gpu", "16000M", "04:00:00", "gres:gpu:1"),
    "inspect": ("gpu", "16000M", "04:00:00", "gres:gpu:1"),
    "evaluate": ("cpu", "4000M", "01:00:00", None),
    "report": ("cpu", "4000M", "01:00:00", None),
}
# they must last while Snakemake looks at the queue, two or three minutes in all
LONG = {"updates": 240, "prompts_per_update": 16, "micro_batch_size": 4, "save_every": 5}


@pytest.mark.parametrize("rule", ASKED)
def test_jobs_ask_for_what_profile_and_rules_say(runs, finished, rule):
    jobs = [job for job in runs.jobs(rule) if job["WorkDir"] == str(finished)]
    assert jobs
    for job in jobs:
        asked = job["Partition"], job["MinMemoryNode"], job["TimeLimit"], job.get("TresPerJob")
        assert asked == ASKED[rule]
        assert job["JobState"] == "COMPLETED"
        assert job["Account"] == "lab"


def test_logs_are_where_the_docs_say(runs, finished):
    logs = finished / "logs"
    for job in runs.jobs("train") + runs.jobs("report"):
        if job["WorkDir"] == str(finished):
            log = Path(job["StdOut"])
            assert log.is_file()
            assert re.fullmatch(r"slurm/rule_\w+(/\w+)?/\d+\.log", str(log.relative_to(logs)))
    own = [path for path in logs.glob("**/train/**/*.log") if "slurm" not in path.parts]
    assert own and "updates, saved in" in own[0].read_text()
    assert list((finished / ".snakemake" / "log").glob("*.snakemake.log"))


def test_only_a_job_without_enough_memory_asks_for_more(runs, tmp_path):
    first = ["--set-resources", "download:mem_mb=100", "--retries", "4"]
    code, said = runs.run(tmp_path, "--until", "download", *first)
    assert code == 0, said
    tries = [
        job
        for job in runs.jobs("download")
        if job["WorkDir"] == str(tmp_path) and "_validation" in job["Comment"]
    ]
    memory = [int(job["MinMemoryNode"].removesuffix("M")) for job in tries]
    assert len(memory) > 1
    assert memory == [100 * 2**number for number in range(len(memory))]
    assert [job["JobState"] for job in tries].index("COMPLETED") == len(tries) - 1


def wait_for(there: Callable[[], object], seconds: float = 600) -> None:
    """Wait until `there` is true, and fail where it never is."""
    end = time.monotonic() + seconds
    while not there():
        assert time.monotonic() < end, "it did not happen in time"
        time.sleep(0.5)


def commands_of(root: Path, heading: str) -> str:
    """The shell commands that docs/cluster.md gives under a heading."""
    text = (root / "docs/cluster.md").read_text(encoding="utf-8")
    section = text.split(f"## {heading}\n")[1].split("\n## ")[0]
    return "\n".join(re.findall(r"```\n(.*?)```", section, re.DOTALL))


def test_a_training_survives_every_kind_of_kill(runs, finished, tmp_path, root):
    config = yaml.safe_load((root / "workflow/configs/test.yaml").read_text())
    config["training"] |= LONG
    (tmp_path / "configs").mkdir()
    longer = tmp_path / "configs" / "test.yaml"  # under the same name, for the same files
    longer.write_text(yaml.safe_dump(config))
    folder = tmp_path / "run"
    shutil.copytree(finished, folder)
    (policy,) = (path.relative_to(folder) for path in folder.glob("results/**/policies/sft/seed0"))
    shutil.rmtree(folder / policy)

    def tries():
        return [job for job in runs.jobs("train") if job["WorkDir"] == str(folder)]

    def own_logs() -> list[Path]:
        return [p for p in folder.glob("logs/**/train/**/*sft*") if "slurm" not in p.parts]

    def own_log() -> str:
        logs = own_logs()
        return logs[0].read_text() if logs else ""

    def start():
        # a job that is cancelled soon leaves the log of the one before, which says the same
        for path in own_logs():
            path.unlink()
        return runs.start(folder, str(policy), config=longer)

    # scancel: the next try goes on
    run = start()
    wait_for(lambda: list(folder.glob("results/**/sft/seed0/checkpoint-*")))
    subprocess.run(["scancel", tries()[0]["JobId"]], check=True)
    wait_for(lambda: len(tries()) == 2 and "resuming from checkpoint-" in own_log())

    # Ctrl-C: nothing is left in the queue
    run.send_signal(signal.SIGINT)
    said, _ = run.communicate(timeout=600)  # a look at the queue may be under way
    assert run.returncode == 1, said
    assert runs.cluster.wait_until_empty()
    assert not list((folder / ".snakemake" / "locks").glob("*"))

    # kill -9: the job runs on, and is cancelled as the docs say
    run = start()
    wait_for(lambda: len(tries()) == 3 and tries()[2]["JobState"] == "RUNNING")
    run.kill()
    run.communicate()
    assert runs.cluster.queue() == [tries()[2]["JobId"]]
    subprocess.run(
        ["sbatch", "--job-name=dipr1_other", "--output=/dev/null", "--wrap=sleep 600"], check=True
    )
    code, said = runs.run(folder, str(policy), config=longer)
    assert code == 1 and "cannot be locked" in said
    cancel = commands_of(root, "After a kill")
    subprocess.run(["bash", "-euc", cancel.splitlines()[0]], cwd=folder, check=True)
    wait_for(lambda: len(runs.cluster.queue()) == 1)
    subprocess.run(["scancel", "--name=dipr1_other"], check=True)
    assert runs.run(folder, "--unlock", config=longer)[0] == 0

    # what SLURM sends before the time limit, by the profile's `--signal`, sent by hand: how long
    # updates would have to last depends on the machine. The next try goes on, the training ends
    run = start()
    wait_for(lambda: len(tries()) == 4 and "resuming from checkpoint-" in own_log())
    subprocess.run(["scancel", "--signal=USR1", tries()[3]["JobId"]], check=True)
    wait_for(lambda: "SIGUSR1: leaving after this update" in own_log())
    said, _ = run.communicate()
    assert run.returncode == 0, said
    states = [job["JobState"] for job in tries()]
    assert states == ["CANCELLED", "CANCELLED", "CANCELLED", "FAILED", "COMPLETED"]
    assert {job["MinMemoryNode"] for job in tries()} == {"32000M"}
    log = pl.read_parquet(folder / policy / "training_log.parquet")
    assert log.filter(pl.col("name") == "loss")["step"].to_list() == list(
        range(1, LONG["updates"] + 1)
    )
