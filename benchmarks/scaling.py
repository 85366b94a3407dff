"""What each step over a whole split costs, and what it would cost for ten million images.

    python benchmarks/scaling.py [--num-images 20000 100000]

Synthetic crowds as in `benchmarks/variance.py`, written in shards of 10,000 images as `dipr1
sample` writes them. Each step is the command itself in a process of its own: a core's seconds
(other work on the machine lengthens the rest only), its peak memory, and the size of what it
writes. The last columns are a straight line through the smallest and the largest number of images,
which holds for what grows with their number: a shard's prompts and `join` do not, beyond a shard.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import convert
import numpy as np
import pyarrow as pa
import variance

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import ragged, replaced, split_rows
from dipr1.artifacts.made import Made
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.artifacts.samples import SAMPLES, SHARD
from dipr1.frames import PolicyFrames

IMAGES_OF_A_SHARD = 10_000
MANY = 10_000_000
READ_SHARD = """
import sys, time
from dipr1.artifacts.prompts import PROMPTS
num_rows = PROMPTS.read(sys.argv[1], ["image_id"]).num_rows
PROMPTS.read(sys.argv[1], rows=range(max(num_rows - 10_000, 0), num_rows)).to_pylist()
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time(), peak.split()[1])
"""


def main() -> None:
    """Print a Markdown table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, nargs="+", default=[20_000, 100_000])
    parser.add_argument("--write", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.write:
        write_files(args.write, args.num_images[0])
        return
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, pyarrow {pa.__version__}\n")
    costs = {num_images: measure(num_images) for num_images in sorted(args.num_images)}
    few, many = min(costs), max(costs)
    print(
        "| step | images | CPU s | peak MiB | MB written | 10 million: CPU h | GiB | GB written |"
    )
    print("|---|---|---|---|---|---|---|---|")
    for num_images, steps in costs.items():
        for step, cost in steps.items():
            seconds, peak, size = cost
            line = f"| {step} | {num_images:,} | {seconds:.1f} | {peak:.0f} | {size:.0f} |"
            if num_images == many > few:
                slope = (np.array(cost) - costs[few][step]) / (many - few)
                hours, gib, gb = (cost + slope * (MANY - many)) / [3600, 1024, 1000]
                line += f" {hours:.2f} | {gib:.1f} | {gb:.0f} |"
            print(line, flush=True)


def measure(num_images: int) -> dict[str, tuple[float, float, float]]:
    """CPU seconds, peak MiB and MB written of each step."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # in another process: what this one holds would count in the others' peaks
        writing = [sys.executable, __file__, "--write", name, "--num-images", str(num_images)]
        subprocess.run(writing, check=True)
        shards = sorted(folder.glob("shard-*.parquet"))
        annotations = ["--annotations", "annotations.parquet"]
        regions, predictions = ["--variance", "variance.parquet"], ["--predictions", "p.parquet"]
        steps = {
            "convert": [
                *("convert", "--format", "crowdhuman", "--annotations", "a.odgt"),
                *("--sizes", "sizes.json", "--policy", "tiny", "--rejects", "rejects.parquet"),
                *("--output", "converted.parquet", "--prompts", "asked.parquet"),
            ],
            "join": ["join", *(shard.name for shard in shards), "--output", "samples.parquet"],
            "variance": [
                "variance",
                "samples.parquet",
                *annotations,
                "--output",
                "variance.parquet",
            ],
            "audit": ["audit", "samples.parquet", *annotations, "--output", "audit.parquet"],
            "evaluate": [
                *("evaluate", *predictions, *annotations, *regions, "--prompts", "prompts.parquet"),
                *("--output", "metrics.parquet", "--images-output", "images.parquet"),
            ],
        }
        costs = {"a shard's prompts": (*cost(folder, READ_SHARD, ["prompts.parquet"]), 0.0)}
        for step, words in steps.items():
            before = total(folder)
            seconds, peak = cost(folder, variance.COMMAND, words)
            costs[step] = seconds, peak, (total(folder) - before) / 1e6
            print(f"{num_images} {step}: {costs[step]}", file=sys.stderr, flush=True)
        return costs


def total(folder: Path) -> int:
    """Bytes of all files in a folder."""
    return sum(file.stat().st_size for file in folder.iterdir())


def cost(folder: Path, program: str, words: list[str]) -> tuple[float, float]:
    """CPU seconds and peak MiB of a program that prints them."""
    command = [sys.executable, "-c", program, *words]
    done = subprocess.run(command, cwd=folder, check=True, stdout=subprocess.PIPE, text=True)
    seconds, kibibytes = map(float, done.stdout.split()[-2:])
    return seconds, kibibytes / 1024


def write_files(folder: Path, num_images: int) -> None:
    """Everything that the steps read: records, annotations, prompts, shards, predictions."""
    convert.write_crowds(folder, num_images)
    parts = -(-num_images // IMAGES_OF_A_SHARD)
    for part in range(parts):
        piece = folder / f"piece-{part}"
        piece.mkdir()
        first = part * IMAGES_OF_A_SHARD
        annotations, samples = variance.write_split(
            piece, min(IMAGES_OF_A_SHARD, num_images - first)
        )
        table = SAMPLES.read(samples)
        table = replaced(table, {"image_id": renamed(table["image_id"], part)})
        made = Made(verb="sample", options={SHARD: [part, parts]})
        SAMPLES.write(table, folder / f"shard-{part:04d}.parquet", made)
        table = ANNOTATIONS.read(annotations)
        labels = pa.array([["person"] * len(boxes) for boxes in table["boxes"].to_pylist()])
        columns = {"image_id": renamed(table["image_id"], part), "labels": labels}
        ANNOTATIONS.write(replaced(table, columns), annotations)
    ANNOTATIONS.write_pieces(pieces_of(folder, parts), folder / "annotations.parquet")
    frames = PolicyFrames("absolute", fixed=(128, 128))
    prompts = (prompt_rows(table, ["person"], frames) for table in pieces_of(folder, parts))
    PROMPTS.write_pieces(prompts, folder / "prompts.parquet")
    SAMPLES.write_pieces(first_answers(folder), folder / "p.parquet", Made(arm="base", seed=0))


def renamed(ids: pa.ChunkedArray, part: int) -> pa.Array:
    """Names that no other shard has."""
    return pa.array([f"{part:04d}-{name}" for name in ids.to_pylist()])


def pieces_of(folder: Path, parts: int) -> Iterator[pa.Table]:
    """The annotations of each shard's images."""
    return (
        ANNOTATIONS.read(folder / f"piece-{part}" / "annotations.parquet") for part in range(parts)
    )


def first_answers(folder: Path) -> Iterator[pa.Table]:
    """The first sample of each image, with confidences: what `predict` writes."""
    for number, shard in enumerate(sorted(folder.glob("shard-*.parquet"))):
        table = SAMPLES.read(shard)
        table = table.filter(pa.compute.equal(table["sample"], 0))
        boxes, offsets = ragged(table["boxes"])
        chances = np.random.default_rng(number).uniform(0.5, 1, len(boxes)).astype(np.float32)
        confidence = pa.array(split_rows(chances, offsets), pa.list_(pa.float32()))
        yield replaced(table, {"confidence": confidence})


if __name__ == "__main__":
    main()
