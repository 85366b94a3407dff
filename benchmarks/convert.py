"""Time and memory of `dipr1 convert` on CrowdHuman-like annotations, beside other tools.

    python benchmarks/convert.py [--num-images 15000] [--rounds 3] [--large]

The others do less: `json` is the loop of the usual scripts (a dictionary per box into COCO JSON; no
clipping, no checks, no rejects), `datasets` is `load_dataset("json")`, which reads the records as
they are, and `supervision`, where it is installed, reads the COCO JSON that `json` has written;
beside it, `dipr1 convert` reads the same file. Every one is a process of its own, so importing
counts. The best round counts: other work on the machine can only make a round slower.

`--large` adds ten times as many images (`dipr1` and `json` alone).
"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

BOXES_PER_IMAGE = 30

JSON_LOOP = """
import json, sys
sizes = json.load(open(sys.argv[2]))
images, annotations = [], []
for line in open(sys.argv[1]):
    record = json.loads(line)
    height, width = sizes[record["ID"]]
    name = record["ID"] + ".jpg"
    images.append({"id": len(images), "file_name": name, "width": width, "height": height})
    for box in record["gtboxes"]:
        ignore = box["tag"] != "person" or box.get("extra", {}).get("ignore", 0)
        annotations.append({
            "id": len(annotations) + 1, "image_id": len(images) - 1, "category_id": 1,
            "bbox": box["fbox"], "vis_bbox": box["vbox"], "iscrowd": int(ignore),
            "area": box["fbox"][2] * box["fbox"][3],
        })
categories = [{"id": 1, "name": "person"}]
document = {"images": images, "annotations": annotations, "categories": categories}
open(sys.argv[3], "w").write(json.dumps(document))
"""
DATASETS = """
import sys, tempfile
from datasets import load_dataset
with tempfile.TemporaryDirectory() as folder:
    load_dataset("json", data_files=sys.argv[1], split="train", cache_dir=folder)
"""
SUPERVISION = """
import sys, warnings
warnings.simplefilter("ignore")
import supervision
supervision.DetectionDataset.from_coco("images", sys.argv[1])
"""


class Cost(NamedTuple):
    """What one process took."""

    seconds: float
    cpu_seconds: float
    peak_gib: float


def main() -> None:
    """Print a Markdown section."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=15_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--large", action="store_true", help="ten times as many images as well")
    args = parser.parse_args()
    print("## Converting annotations\n")
    versions = ", ".join(f"{name} {importlib.metadata.version(name)}" for name in ("pyarrow",))
    print(f"{os.cpu_count()} cores, Python {platform.python_version()}, {versions}.\n")
    _compare(args.num_images, args.rounds, large=False)
    if args.large:
        _compare(10 * args.num_images, 1, large=True)


def _compare(num_images: int, rounds: int, *, large: bool) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_crowds(folder, num_images)
        megabytes = (folder / "a.odgt").stat().st_size / 1e6
        print(
            f"{num_images:,} images, {num_images * BOXES_PER_IMAGE:,} boxes, {megabytes:.0f} MB of"
            f" .odgt, best of {rounds}:\n"
        )
        print("| what | s | CPU s | peak GiB | times dipr1's s | times dipr1's CPU s |")
        print("|---|---|---|---|---|---|")
        python = [sys.executable, "-c"]
        odgt, sizes, coco = (str(folder / file) for file in ("a.odgt", "sizes.json", "coco.json"))
        ours = _convert(folder, "crowdhuman", odgt, "--sizes", sizes)
        others = {"json": [*python, JSON_LOOP, odgt, sizes, coco]}
        if not large and importlib.util.find_spec("datasets"):
            others["datasets"] = [*python, DATASETS, odgt]
        _print_group({"dipr1 convert --format crowdhuman": ours} | others, rounds, folder)
        if not large:
            others = {}
            if importlib.util.find_spec("supervision"):
                others["supervision, of COCO"] = [*python, SUPERVISION, coco]
            ours = _convert(folder, "coco", coco)
            _print_group({"dipr1 convert --format coco": ours} | others, rounds, folder)
        print(flush=True)


def _convert(folder: Path, kind: str, annotations: str, *flags: str) -> list[str]:
    program = [sys.executable, "-c", "import sys; from dipr1.cli import main; sys.exit(main())"]
    output = str(folder / f"{kind}.parquet")
    files = ["--format", kind, "--annotations", annotations, "--output", output]
    return [*program, "convert", *files, *flags]


def _print_group(commands: dict[str, list[str]], rounds: int, folder: Path) -> None:
    """Rounds in turn, so that a busy minute of the machine meets all; the first one is ours."""
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    for _ in range(rounds):
        for name, command in commands.items():
            costs[name].append(_cost(command, folder))
    best = {name: Cost(*map(min, zip(*found, strict=True))) for name, found in costs.items()}
    ours = next(iter(best.values()))
    for name, cost in best.items():
        ratios = f"{cost.seconds / ours.seconds:.1f} | {cost.cpu_seconds / ours.cpu_seconds:.1f}"
        print(
            f"| {name} | {cost.seconds:.2f} | {cost.cpu_seconds:.2f} | {cost.peak_gib:.2f} |"
            f" {ratios} |",
            flush=True,
        )


def _cost(command: Sequence[str], folder: Path) -> Cost:
    start = time.perf_counter()
    with open(folder / "log", "wb") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=log, stderr=log)
        _, status, usage = os.wait4(process.pid, 0)
    seconds = time.perf_counter() - start
    if status:
        sys.exit(f"{command[0]} failed: {(folder / 'log').read_text()[-2000:]}")
    return Cost(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 2**20)


def write_crowds(folder: Path, num_images: int) -> None:
    """Records like the data set's: key order differs, the last box is a mask, 3 % are ignored."""
    rng = random.Random(0)
    sizes = {}
    with open(folder / "a.odgt", "w", encoding="utf-8") as file:
        for index in range(num_images):
            width, height = rng.choice([(1920, 1080), (1024, 768), (800, 1200)])
            image_id = f"{270_000 + index},{rng.getrandbits(60):015x}"
            sizes[image_id] = [height, width]
            boxes = [_person(rng, number, width, height) for number in range(BOXES_PER_IMAGE - 1)]
            region = [rng.randrange(width - 40), rng.randrange(height - 60), 40, 60]
            mask = {"tag": "mask", "hbox": region, "head_attr": {}, "fbox": region}
            boxes.append(mask | {"vbox": region, "extra": {"ignore": 1}})
            file.write(json.dumps({"ID": image_id, "gtboxes": boxes}) + "\n")
    (folder / "sizes.json").write_text(json.dumps(sizes))


def _person(rng: random.Random, number: int, width: int, height: int) -> dict:
    x, y = rng.randrange(-20, width - 40), rng.randrange(-20, height - 60)
    w, h = rng.randrange(22, 200), rng.randrange(40, 600)
    extra = {"box_id": number, "occ": rng.randrange(2)}
    person = {
        "fbox": [x, y, w, h],
        "tag": "person",
        "hbox": [x + w // 3, y, w // 3, h // 6],
        "extra": extra | ({"ignore": 1} if rng.random() < 0.03 else {}),
        "vbox": [x, y, w, int(h * rng.uniform(0.3, 1))],
        "head_attr": {"ignore": 0, "occ": 0, "unsure": 0},
    }
    return person if rng.random() < 0.5 else dict(sorted(person.items()))


if __name__ == "__main__":
    main()
