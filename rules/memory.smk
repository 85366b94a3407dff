"""After SLURM has killed a job for want of memory, the next try asks for twice as much.

A retry after anything else (a time limit, a lost node, `scancel`) asks for what was asked before,
so `mem_mb` says what a job needs, in the rules and in a profile alike, and no `attempt`.
"""

import os

from snakemake.resources import Resource

OUT_OF_MEMORY = re.compile(
    r"^(slurmstepd|srun)\S*: error: .*(oom.kill|out of memory|exceeded .*memory limit)",
    re.IGNORECASE | re.MULTILINE,
)


def times_out_of_memory(rulename, wildcards, attempt):
    """How many of the `attempt - 1` tries before ran out of memory, as their SLURM logs say."""
    if attempt == 1:
        return 0
    logs = getattr(workflow.executor_settings, "logdir", None) or "logs/slurm"
    folder = Path(workflow.workdir_init, logs, f"rule_{rulename}", "_".join(wildcards))
    # this job's own log is there, too, where it asks again what it has
    logs = {int(path.stem): path for path in folder.glob("*.log") if path.stem.isdecimal()}
    logs.pop(int(os.environ.get("SLURM_JOB_ID", 0)), None)
    before = [logs[job].read_text(errors="replace") for job in sorted(logs)[1 - attempt :]]
    return sum(map(bool, map(OUT_OF_MEMORY.search, before)))


def doubled_after_oom(asked):
    """The resource `asked`, doubled for every try that ran out of memory."""

    def mem_mb(wildcards, attempt, rulename, **known):
        known |= {"attempt": attempt, "rulename": rulename}
        first = asked.evaluate(wildcards, **known).value
        return first * 2 ** times_out_of_memory(rulename, wildcards, attempt)

    return Resource("mem_mb", mem_mb)


for each in workflow.rules:
    if ROOT in Path(each.snakefile).parents and "mem_mb" in each.resources:
        each.resources["mem_mb"] = doubled_after_oom(each.resources["mem_mb"])
