"""Run a command and print its time and the peak memory of all its processes together.

    python benchmarks/peak_memory.py make demo

Memory is the sum of the proportional set sizes (PSS: shared pages are split among their users) of
the command and everything it started, read from /proc every half second; a shorter peak is missed.
Linux only.
"""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

INTERVAL_SECONDS = 0.5


def main() -> int:
    """Run the command given as arguments; returns its exit code."""
    if len(sys.argv) < 2:
        print(__doc__, file=sys.stderr)
        return 2
    start, peak = time.monotonic(), 0
    command = subprocess.Popen(sys.argv[1:])
    while command.poll() is None:
        peak = max(peak, sum(map(_proportional_bytes, _family(command.pid))))
        time.sleep(INTERVAL_SECONDS)
    print(f"{time.monotonic() - start:.0f} s, peak {peak / 2**30:.2f} GiB", file=sys.stderr)
    return command.returncode


def _family(pid: int) -> list[int]:
    """`pid` and all its descendants."""
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            # the name in parentheses may hold spaces; the parent is the second field after it
            parent = int(stat.read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue  # it ended while we looked
        children.setdefault(parent, []).append(int(stat.parent.name))
    family = [pid]
    for member in family:
        family += children.get(member, [])
    return family


def _proportional_bytes(pid: int) -> int:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0
    return sum(1024 * int(line.split()[1]) for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    sys.exit(main())
