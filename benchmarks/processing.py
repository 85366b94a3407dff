"""What images cost in a GRPO update before the model sees them, with Qwen2.5-VL's image processor.

    python benchmarks/processing.py --prompts 4 --group 8

Draws pictures of 1 and 2.5 megapixels and hands them to the processor as TRL does, each G times for
the rollout and G times for the loss: as they are, computed once and joined, and computed once with
stand-ins. Then cuts four windows of each picture, decoding it for each or once. Prints a Markdown
table.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
from PIL import Image
from transformers import Qwen2VLImageProcessor

from dipr1.frames import Bounds
from dipr1.policies.bounding import bound
from dipr1.policies.load import ImageCache, load_image, open_image
from dipr1.training.processing import processing_once

SIZES = {"1 MP": (1152, 868), "2.5 MP": (1904, 1316)}  # multiples of 28: their own frames
# of the published checkpoints; the class's own default is 1 MP
PUBLISHED = {"shortest_edge": 56 * 56, "longest_edge": 16384 * 28 * 28}
BOUND = 1280 * 28 * 28
MB = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--prompts", type=int, default=4)
    parser.add_argument("--group", type=int, default=8)
    args = parser.parse_args()
    print("| images | what | CPU seconds | MB of pixels to the device | MB kept |")
    print("|---|---|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        for name, size in SIZES.items():
            files = drawn(Path(folder), size, args.prompts)
            report(name, files, args.group, Bounds())
            windows(name, files, size)
        report(f"{name}, max_pixels {BOUND}", files, args.group, Bounds(max_pixels=BOUND))


def drawn(folder: Path, size: tuple[int, int], count: int) -> list[str]:
    """JPEG files with something to decode in them."""
    rng = np.random.default_rng(0)
    files = []
    for number in range(count):
        coarse = rng.integers(0, 256, (size[1] // 8, size[0] // 8, 3), np.uint8)
        files.append(str(folder / f"{size[0]}-{number}.jpg"))
        Image.fromarray(coarse).resize(size).save(files[-1], quality=90)
    return files


def report(name: str, files: list[str], group: int, bounds: Bounds) -> None:
    """The rows of one size: TRL's two calls, three ways."""
    asked = [[image] for image in map(open_image, files) for _ in range(group)]
    plain = SimpleNamespace(image_processor=Qwen2VLImageProcessor(size=PUBLISHED))
    bound(plain, bounds)
    row(name, "a copy for each response", *handed(plain, asked), 0.0)
    once, _ = processing_once(plain)
    row(name, "once, then copied", *handed(once, asked), 0.0)
    once, processed = processing_once(plain)
    processed.stands_in = True
    seconds, size = handed(once, asked)
    given = once.image_processor(asked, return_tensors="pt")
    numbers = processed.numbers(given["pixel_values"], given["image_grid_thw"])
    distinct = processed.pixels(sorted(set(numbers)), like=given["pixel_values"])
    kept = distinct.numel() * distinct.element_size() / MB
    row(name, "once, with stand-ins", seconds, size, kept)


def handed(processor, asked: list[list[Image.Image]]) -> tuple[float, float]:
    """CPU seconds of TRL's two calls, and the megabytes of pixels that it then carries."""
    begin, size = time.process_time(), 0
    for settings in ({}, {"return_tensors": "pt"}):
        pixels = processor.image_processor(asked, **settings)["pixel_values"]
        size += pixels.numel() * pixels.element_size()
        del pixels
    return time.process_time() - begin, size / MB


def windows(name: str, files: list[str], size: tuple[int, int]) -> None:
    """The rows of looking again: four windows of each picture, in the frame of the whole."""
    width, height = size
    corners = [(0, 0), (width // 2, 0), (0, height // 2), (width // 2, height // 2)]
    boxes = [(x, y, x + width // 2, y + height // 2) for x, y in corners]
    for what, opened in (
        ("4 windows, decoded for each", open_image),
        ("4 windows, decoded once", ImageCache(open_image, 1 << 27).load),
    ):
        begin = time.process_time()
        for file in files:
            for box in boxes:
                load_image(file, "absolute", *size, window=box, opened=opened)
        row(name, what, time.process_time() - begin, 0.0, 0.0)


def row(name: str, what: str, seconds: float, carried: float, kept: float) -> None:
    figures = (f"{value:,.0f}" if value else "" for value in (carried, kept))
    print(f"| {name} | {what} | {seconds:.2f} | {' | '.join(figures)} |", flush=True)


if __name__ == "__main__":
    main()
