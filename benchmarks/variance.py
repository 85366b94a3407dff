"""How long `dipr1 variance` and `audit` take, and how that grows; beside weighted boxes fusion.

    python benchmarks/variance.py [--num-images 1500 5000 15000] [--wbf-python PYTHON]

Synthetic crowds: on each image about 23 people, many of them overlapping; each of 8 samples finds
85 % of them with borders that are a few percent off, and two or three places more, most of them
its own. Time and peak memory are those of the whole command, all outputs written, in a process of
its own (Linux); a core's time counts, since other work on the machine can only lengthen the rest.

Weighted boxes fusion (Solovyev et al. 2021; `ensemble_boxes`) also gathers the boxes of several
predictions, into one average box each. It runs on the same boxes, one image after the other, in a
Python that has it (`python -m venv wbf && wbf/bin/pip install ensemble-boxes`), its just-in-time
compilation left out.
"""

from __future__ import annotations

import argparse
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa

from dipr1.artifacts import artifact_named
from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import BOXES, box_arrays, box_column
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.variance import VARIANCE
from dipr1.boxes import area, stacked
from dipr1.regions import Block, box_variance, measure_block

WIDTH, HEIGHT = 1280, 720
NUM_SAMPLES = 8
FOUND, JITTER, PHANTOMS = 0.85, 0.04, 2.5
NUM_COMPARED, ROUNDS = 300, 3


def main() -> None:
    """Print a Markdown section with the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, nargs="+", default=[1500, 5000, 15000])
    parser.add_argument("--wbf-python", help="a Python that has ensemble_boxes")
    args = parser.parse_args()
    print("## Box-variance statistics")
    print(
        f"{os.cpu_count()} cores, Python {platform.python_version()}, numpy {np.__version__}, "
        f"pyarrow {pa.__version__}; the command uses one core"
    )
    print()
    print("| verb | images | boxes | regions | CPU, s | ms per image | peak MiB |")
    print("|---|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for num_images in args.num_images:
            annotations, samples = write_split(folder, num_images)
            for verb in ("variance", "audit"):
                print(_command_row(folder, verb, annotations, samples), flush=True)
        print()
        print(_comparison(folder, args.wbf_python))


def _command_row(folder: Path, verb: str, annotations: Path, samples: Path) -> str:
    """Time and peak memory of `dipr1 variance` or `dipr1 audit`, as a row; variance comes first."""
    output = folder / f"{verb}.parquet"
    words = [verb, samples, "--annotations", annotations, "--output", output]
    words += ["--images-output", folder / "images.parquet"] if verb == "audit" else []
    done = subprocess.run(
        [sys.executable, "-c", COMMAND, *map(str, words)],
        check=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    seconds, kibibytes = map(float, done.stdout.split())
    num_images = ANNOTATIONS.read(annotations, ["image_id"]).num_rows
    num_boxes = sum(len(boxes) for boxes in box_arrays(SAMPLES.read(samples)["boxes"]))
    num_regions = VARIANCE.read(folder / "variance.parquet", ["region"]).num_rows
    return (
        f"| {verb} | {num_images} | {num_boxes} | {num_regions} "
        f"| {seconds:.1f} | {1000 * seconds / num_images:.2f} | {kibibytes / 1024:.0f} |"
    )


# Not `ru_maxrss`, which begins with what the parent holds.
COMMAND = """
import sys, time
from dipr1.cli import main
code = main(sys.argv[1:])
peak = next(line for line in open("/proc/self/status") if line.startswith("VmHWM"))
print(time.process_time(), peak.split()[1])
sys.exit(code)
"""


def _comparison(folder: Path, wbf_python: str | None) -> str:
    """Milliseconds per image of the regions and of weighted boxes fusion, on the same boxes."""
    annotations, samples = write_split(folder, NUM_COMPARED)
    truth = box_arrays(ANNOTATIONS.read(annotations)["boxes"])
    answers = box_arrays(SAMPLES.read(samples)["boxes"])
    images = [answers[k : k + NUM_SAMPLES] for k in range(0, len(answers), NUM_SAMPLES)]
    block = _block(images, truth)
    together = min(_seconds(measure_block, block, 0.5, 0.01) for _ in range(ROUNDS)) / NUM_COMPARED
    single = min(_seconds(_one_by_one, images, truth) for _ in range(ROUNDS)) / NUM_COMPARED
    lines = [
        f"Regions of {NUM_COMPARED} images at once, as in the command: "
        f"{1000 * together:.2f} ms per image; by `box_variance`, one image at a time: "
        f"{1000 * single:.2f} ms"
    ]
    if wbf_python is None:
        return lines[0] + ". Weighted boxes fusion was not measured: no --wbf-python was given."
    # the fusion drops boxes without area with a warning each
    kept = [[boxes[area(boxes) > 0] for boxes in samples] for samples in images]
    np.savez(
        folder / "boxes.npz",
        boxes=np.concatenate([np.concatenate(s) for s in kept]) / [WIDTH, HEIGHT, WIDTH, HEIGHT],
        lengths=np.array([[len(boxes) for boxes in samples] for samples in kept]),
    )
    found = subprocess.run(
        [wbf_python, "-c", WBF, str(folder / "boxes.npz"), str(ROUNDS)],
        check=True,
        capture_output=True,
        text=True,
    )
    version, seconds = found.stdout.split()
    theirs = float(seconds) / NUM_COMPARED
    lines.append(
        f"`weighted_boxes_fusion` (ensemble-boxes {version}, compiled before): "
        f"{1000 * theirs:.2f} ms per image: {theirs / together:.1f} and {theirs / single:.1f} "
        "times as long"
    )
    return ". ".join(lines)


def _block(images: list, truth: list) -> Block:
    """All images at once: their first samples, then their second ones, and so on."""
    answers = [boxes for turn in zip(*images, strict=True) for boxes in turn]
    lengths = [len(boxes) for boxes in answers]
    return Block(
        boxes=stacked(
            np.concatenate(answers),
            np.repeat(np.tile(np.arange(len(images)), NUM_SAMPLES), lengths),
        ),
        turn=np.repeat(np.repeat(np.arange(NUM_SAMPLES), len(images)), lengths),
        truth=stacked(
            np.concatenate(truth),
            np.repeat(np.arange(len(truth)), [len(boxes) for boxes in truth]),
        ),
        ignore=stacked([]),
        num_samples=np.full(len(images), NUM_SAMPLES),
    )


def _one_by_one(images: list, truth: list) -> None:
    for samples, people in zip(images, truth, strict=True):
        box_variance(samples, people)


def _seconds(work, *arguments) -> float:
    start = time.process_time()
    work(*arguments)
    return time.process_time() - start


WBF = """
import sys, time
from importlib.metadata import version
import numpy as np
from ensemble_boxes import weighted_boxes_fusion
data = np.load(sys.argv[1])
parts = np.split(data["boxes"], np.cumsum(data["lengths"].ravel())[:-1])
width = data["lengths"].shape[1]
images = [parts[k:k + width] for k in range(0, len(parts), width)]
def fuse(boxes):
    scores, labels = [np.ones(len(b)) for b in boxes], [np.zeros(len(b), int) for b in boxes]
    weighted_boxes_fusion(boxes, scores, labels, iou_thr=0.5)
fuse(images[0])
best = float("inf")
for _ in range(int(sys.argv[2])):
    start = time.process_time()
    for boxes in images:
        fuse(boxes)
    best = min(best, time.process_time() - start)
print(version("ensemble-boxes"), best)
"""


def crowds(rng: np.random.Generator, num_images: int) -> tuple[np.ndarray, np.ndarray]:
    """People of `num_images` images: boxes (G, 4), and the image of each (G,)."""
    num_people = rng.poisson(23, num_images)
    image = np.repeat(np.arange(num_images), num_people)
    heights = np.exp(rng.normal(4.6, 0.5, len(image)))
    widths = heights * rng.uniform(0.3, 0.5, len(image))
    x = rng.uniform(50, WIDTH - 50, len(image))
    # half of the people stand beside the one before them
    beside = rng.random(len(image)) < 0.5
    x[1:][beside[1:]] = x[:-1][beside[1:]] + 0.4 * widths[1:][beside[1:]]
    feet = np.minimum(200 + 2.5 * heights, HEIGHT)
    boxes = np.stack([x - widths / 2, feet - heights, x + widths / 2, feet], axis=1)
    return _in_frame(boxes), image


def sampled(rng: np.random.Generator, boxes: np.ndarray, image: np.ndarray, num_images: int):
    """What one sample of each image finds: boxes (B, 4) by image, and the image of each (B,)."""
    found = rng.random(len(boxes)) < FOUND
    moved = jittered(rng, boxes[found])
    num_phantoms = rng.poisson(PHANTOMS, num_images)
    other = np.repeat(np.arange(num_images), num_phantoms)
    corners = rng.uniform(0, 1, (len(other), 2)) * [WIDTH - 80, HEIGHT - 200]
    phantoms = np.hstack([corners, corners + rng.uniform(40, 80, (len(other), 2)) * [1, 2.5]])
    images = np.concatenate([image[found], other])
    order = np.argsort(images, kind="stable")
    return _in_frame(np.concatenate([moved, phantoms])[order]), images[order]


def jittered(rng: np.random.Generator, boxes: np.ndarray) -> np.ndarray:
    """`boxes` (N, 4) with every side moved by a few percent of the width or height."""
    sizes = boxes[:, 2:] - boxes[:, :2]
    return boxes + rng.normal(0, JITTER, boxes.shape) * np.tile(sizes, 2)


def _in_frame(boxes: np.ndarray) -> np.ndarray:
    return np.clip(boxes, 0, [WIDTH, HEIGHT, WIDTH, HEIGHT])


def _lists(boxes: np.ndarray, image: np.ndarray, num_images: int) -> pa.Array:
    """A boxes column with one row per image."""
    offsets = np.searchsorted(image, np.arange(num_images + 1)).astype(np.int32)
    return pa.ListArray.from_arrays(offsets, box_column(boxes)).cast(BOXES)


def write_split(folder: Path, num_images: int) -> tuple[Path, Path]:
    """Write annotations and samples; returns their paths."""
    rng = np.random.default_rng(0)
    boxes, image = crowds(rng, num_images)
    ids = [f"{number:06d}" for number in range(num_images)]
    counts = np.bincount(image, minlength=num_images)
    columns = {
        "image_id": ids,
        "image": [f"images/{name}.jpg" for name in ids],
        "width": [WIDTH] * num_images,
        "height": [HEIGHT] * num_images,
        "boxes": _lists(boxes, image, num_images),
        "ignore": [[False] * n for n in counts],
    }
    annotations, samples = folder / "annotations.parquet", folder / "samples.parquet"
    ANNOTATIONS.write(_filled(columns, "annotations"), annotations)
    answers = [sampled(rng, boxes, image, num_images) for _ in range(NUM_SAMPLES)]
    # by image, then by sample, as `dipr1 sample` writes them
    num_rows = num_images * NUM_SAMPLES
    rows = np.concatenate([NUM_SAMPLES * owner + n for n, (_, owner) in enumerate(answers)])
    order = np.argsort(rows, kind="stable")
    found = _lists(np.concatenate([b for b, _ in answers])[order], rows[order], num_rows)
    # as long as a text of 25 boxes, which is what makes up most of a real file
    text = "<answer>" + " ".join(f"[{k}, 20, 300, 400]" for k in range(25)) + "</answer>"
    columns = {
        "image_id": np.repeat(ids, NUM_SAMPLES),
        "sample": np.tile(np.arange(NUM_SAMPLES), num_images),
        "text": pa.DictionaryArray.from_arrays(np.zeros(num_rows, np.int8), [text]).cast("string"),
        "boxes": found,
    }
    SAMPLES.write(_filled(columns, "samples"), samples)
    return annotations, samples


def _filled(columns: dict, schema_name: str) -> pa.Table:
    """A table of the artifact; columns that nothing reads here are null."""
    rows = len(columns["image_id"])
    return pa.table(
        [
            pa.array(columns[field.name], field.type)
            if field.name in columns
            else pa.nulls(rows, field.type)
            for field in artifact_named(schema_name).schema
        ],
        schema=artifact_named(schema_name).schema,
    )


if __name__ == "__main__":
    main()
