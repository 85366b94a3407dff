"""Time of `parse_response` on long texts of every kind in `long_texts.py`, the slowest first.

    python benchmarks/parsing.py [--rounds 7]

Milliseconds of CPU per 100 kB, at 50 kB, 100 kB and 1 MB: equal figures are linear time. Beside
them stands `json.loads` on a well-formed list of boxes.
"""

from __future__ import annotations

import argparse
import gc
import json
import os
import platform
import time
from collections.abc import Callable

from long_texts import LONG, WRAPPERS, distinct_boxes

from dipr1.responses import parse_response

LENGTHS = (50_000, 100_000, 1_000_000)


def per_100_kb(read: Callable[[str], object], text: str, rounds: int) -> float:
    """Milliseconds per 100 kB, the least of so many rounds."""
    times = []
    gc.disable()
    for number in range(rounds):
        fresh = text + " " * number  # one that was not read before
        begin = time.process_time()
        read(fresh)
        times.append(time.process_time() - begin)
    gc.enable()
    return min(times) * 1e3 / (len(text) / 100_000)


def main() -> None:
    """Print one row per kind of text."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    print(f"{os.cpu_count()} cores, one thread; Python {platform.python_version()}\n")
    print("| text | " + " | ".join(f"{length // 1000} kB" for length in LENGTHS) + " |")
    print("|---" * (len(LENGTHS) + 1) + "|")
    rows = {
        name: [per_100_kb(parse_response, WRAPPERS["answer"] % make(n), rounds) for n in LENGTHS]
        for name, make in LONG.items()
    }
    slowest = sorted(rows, key=lambda name: -max(rows[name]))[:12]
    for name in slowest:
        print(f"| {name} | " + " | ".join(f"{value:.1f}" for value in rows[name]) + " |")
    rest = max(max(rows[name]) for name in rows if name not in slowest)
    print(f"| the other {len(rows) - len(slowest)} kinds | " + " | ".join(["below"] * 2), end="")
    print(f" | {rest:.1f} |")
    baseline = [per_100_kb(json.loads, distinct_boxes(n), rounds) for n in LENGTHS]
    print("| `json.loads` of boxes | " + " | ".join(f"{value:.1f}" for value in baseline) + " |")


if __name__ == "__main__":
    main()
