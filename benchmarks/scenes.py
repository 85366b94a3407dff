"""How many built-in scenes one core draws and encodes per second.

    python benchmarks/scenes.py [--num-images 500] [--rounds 5]
    python benchmarks/scenes.py --sheet docs/scenes.png         # draws that picture instead

The best round counts: other work on the machine can only make a round slower.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
from pathlib import Path

from PIL import Image, ImageDraw

from dipr1.demo.scenes import STYLES, Scene, scene, write_scenes

COLUMNS, ZOOM = 5, 2
WIDTH, HEIGHT = 192 * ZOOM, 144 * ZOOM


def main() -> None:
    """Print images per second, drawn alone and written as JPEG with annotations."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--num-images", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--sheet", type=Path, help="picture of five scenes of every style")
    args = parser.parse_args()
    if args.sheet:
        draw_sheet(args.sheet)
        return
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


def draw_sheet(path: Path) -> None:
    """Draw a row of scenes per style, every other one with its boxes.

    Green is a person, orange a person less than half visible, blue an ignore region. Saved with a
    palette, without which the grain costs megabytes.
    """
    sheet = Image.new("RGB", (COLUMNS * WIDTH, len(STYLES) * HEIGHT))
    for row, style in enumerate(STYLES):
        for column in range(COLUMNS):
            drawn = scene(column, seed=21, style=style)
            tile = drawn.image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS)
            if column % 2:
                _draw_boxes(tile, drawn)
            sheet.paste(tile, (column * WIDTH, row * HEIGHT))
    sheet.quantize(256, dither=Image.Dither.NONE).save(path, optimize=True)


def _draw_boxes(tile: Image.Image, drawn: Scene) -> None:
    draw = ImageDraw.Draw(tile)
    for box, visible in zip(drawn.boxes * ZOOM, drawn.visibility, strict=True):
        draw.rectangle(box.tolist(), outline=(60, 230, 90) if visible >= 0.5 else (250, 160, 40))
    for box in drawn.ignore_boxes * ZOOM:
        draw.rectangle(box.tolist(), outline=(60, 140, 255))


if __name__ == "__main__":
    main()
