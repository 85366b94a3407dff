"""How many built-in scenes one core draws and encodes per second.

    python benchmarks/scenes.py [--num-images 500] [--rounds 5]

The best round counts: other work on the machine can only make a round slower.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from dipr1.demo.scenes import STYLES, scene, write_scenes


def main() -> None:
    """Print images per second, drawn alone and written as JPEG with annotations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        # the first core serves most interrupts
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    for style in STYLES:
        drawn = max(_rate(args.num_images, _draw, style) for _ in range(args.rounds))
        written = max(_rate(args.num_images, _write, style) for _ in range(args.rounds))
        print(f"{style}: {drawn:.0f} images/s drawn, {written:.0f} images/s written")


def _rate(num_images: int, work, style: str) -> float:
    start = time.perf_counter()
    work(num_images, style)
    return num_images / (time.perf_counter() - start)


def _draw(num_images: int, style: str) -> None:
    for index in range(num_images):
        scene(index, seed=0, style=style)


def _write(num_images: int, style: str) -> None:
    with tempfile.TemporaryDirectory() as folder:
        write_scenes(Path(folder) / "scenes", num_images=num_images, seed=0, style=style)


if __name__ == "__main__":
    main()
