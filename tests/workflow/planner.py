"""Runs Snakemake in forks of a process that has imported it: a plan in a third of the time.

Started by :class:`Planner`, it reads one list of arguments per line, as JSON, and answers each with
the exit code and all that was printed.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence

from snakemake import cli


class Planner:
    """Runs Snakemake as :meth:`tests.workflow.conftest.Workflow.run` does, sooner.

    Args:
        environment: of all runs.
    """

    def __init__(self, environment: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def run(self, arguments: Sequence[str]) -> str:
        """What ``snakemake`` prints, which must succeed."""
        self._process.stdin.write(json.dumps(arguments) + "\n")
        self._process.stdin.flush()
        code, output = json.loads(self._process.stdout.readline())
        assert code == 0, output
        return output

    def close(self) -> None:
        """Let the process end."""
        self._process.communicate()


def run(arguments: Sequence[str]) -> tuple[int, str]:
    """Exit code and output of ``snakemake`` with `arguments`, in a process of its own."""
    with tempfile.TemporaryFile() as output:
        if not (child := os.fork()):
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            cli.main(arguments)  # ends the process
        _, status = os.waitpid(child, 0)
        output.seek(0)
        return os.waitstatus_to_exitcode(status), output.read().decode()


if __name__ == "__main__":
    cli.get_argument_parser()  # imports the plugins
    for line in sys.stdin:
        print(json.dumps(run(json.loads(line))), flush=True)
