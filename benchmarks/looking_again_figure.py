"""One picture that shows the whole idea: first view, look, crops, answer.

    python -m benchmarks.looking_again_figure \
        results/demo/predictions/dipr1+own/seed0/crowdscenes.validation.parquet \
        --annotations results/shared/annotations/crowdscenes/validation-*.parquet \
        --output docs/looking-again.png [--image ID]

The predictions are those of `dipr1 inspect`, which hold the first view too. Unless `--image` says
which one, it is the image that gains most, right boxes less false ones, of those on which the
second look found somebody.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure, SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch, Rectangle
from matplotlib.patheffects import withStroke
from PIL import Image, ImageColor

from dipr1.artifacts.aligning import align
from dipr1.artifacts.annotations import ANNOTATIONS, ANY_LABEL
from dipr1.artifacts.samples import SAMPLES
from dipr1.errors import UserError
from dipr1.evaluation.answered import AnsweredImage
from dipr1.pixels import TURN
from dipr1.report.pictures import open_picture
from dipr1.report.second_look import CONFIRMED, DENIED, KEPT, NEW, SecondLook, second_looks
from dipr1.report.viewer import answered

# as in the report's viewer
COLOURS = {KEPT: "#8fbcff", DENIED: "#c3c8d0", CONFIRMED: "#3ee07f", NEW: "#ff5fd2"}
NAMES = {
    KEPT: "as in the first view",
    CONFIRMED: "confirmed by a window",
    NEW: "only in a window",
    DENIED: "denied by a window",
}
MISSED, FOUND, LOOK, WINDOW = "#ffd23f", "#ffe84d", "#5cc8ff", "#ffffff"
WIDTH = 9.0  # inches
DPI = 140


def main() -> None:
    """Draw the figure."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("predictions", type=Path, help="samples artifact of `dipr1 inspect`")
    parser.add_argument("--annotations", type=Path, required=True, help="of the same images")
    parser.add_argument("--image", help="image_id (default: where the second look gains most)")
    parser.add_argument(
        "--folder", type=Path, default=Path(), help="the run's, from which its image paths count"
    )
    parser.add_argument("--output", type=Path, default=Path("docs/looking-again.png"))
    args = parser.parse_args()
    try:
        name = write(args.predictions, args.annotations, args.output, args.image, args.folder)
    except UserError as error:
        parser.error(str(error))
    print(f"{args.output}: image {name}")


def write(
    predictions: Path,
    annotations: Path,
    output: Path,
    name: str | None = None,
    folder: Path = Path(),
) -> str:
    """Draw one image's second look into a PNG; returns the image's id.

    Raises:
        UserError: no image was looked at again, or not the one that is asked for.
    """
    there = ANNOTATIONS.read(annotations)
    answers = align(there, SAMPLES.read(predictions), annotations, predictions)
    labels = there["labels"].combine_chunks().flatten().unique().to_pylist()
    images = answered(there, answers, sorted({*labels} - {ANY_LABEL}))
    looks = second_looks(images, answers)
    row = chosen(there, images, looks, name, predictions)
    about = there.slice(row, 1).to_pylist()[0]
    picture = open_picture(str(folder / about["image"]), exif=about.get("exif", TURN))
    drawing = figure(picture, images[row], looks[row])
    written = io.BytesIO()
    drawing.savefig(written, dpi=DPI)
    _with_palette(Image.open(written).convert("RGB")).save(output, "PNG", optimize=True)
    return about["image_id"]


def _with_palette(drawn: Image.Image) -> Image.Image:
    """The drawing in 256 colours, since grain costs megabytes; the thin lines keep their hues."""
    lines = [*COLOURS.values(), MISSED, FOUND, LOOK, WINDOW, "#000000"]
    exact = [side for colour in lines for side in ImageColor.getrgb(colour)]
    count = 256 - len(lines)
    common = drawn.quantize(count, dither=Image.Dither.NONE).getpalette()[: 3 * count]
    palette = Image.new("P", (1, 1))
    palette.putpalette(common + exact)
    return drawn.quantize(palette=palette, dither=Image.Dither.NONE)


def chosen(
    annotations: pa.Table,
    images: Sequence[AnsweredImage],
    looks: Sequence[SecondLook | None],
    name: str | None,
    predictions: Path,
) -> int:
    """The row to draw: the one asked for, or the one that gains most."""
    looked = [row for row, look in enumerate(looks) if look is not None]
    if name is not None:
        names = annotations["image_id"].to_pylist()
        looked = [row for row in looked if names[row] == name]
    if not looked:
        which = "an image" if name is None else f"image {name!r}"
        raise UserError(f"{predictions}: {which} looked at again is not there; see `dipr1 inspect`")
    return max(looked, key=lambda row: _gain(images[row], looks[row]))


def _gain(image: AnsweredImage, look: SecondLook) -> tuple[bool, int, int]:
    after, before = image.judged[0], look.first.judged[0]
    gain = after.hits - before.hits - int(after.false.sum()) + int(before.false.sum())
    return len(look.found) > 0, gain, len(look.found)


# --- drawing --------------------------------------------------------------------------------------


def figure(picture: Image.Image, image: AnsweredImage, look: SecondLook) -> Figure:
    """Four panels: the first view, where it looked, the windows enlarged, the answer."""
    aspect = image.size[1] / image.size[0]
    drawing = Figure(figsize=(WIDTH, WIDTH * aspect + 1.2), layout="constrained")
    upper, lower = drawing.subfigures(2, 1)
    (first, where), (windows, last) = (half.subfigures(1, 2) for half in (upper, lower))
    before = look.first
    kept = np.full(len(before.boxes), KEPT)
    missed = image.objects[~before.judged[0].found]

    axes = _panel(first, f"1  First view: {_verdict(before)}", picture)
    _boxes(axes, missed, MISSED, ":")
    _judged(axes, before, kept)

    axes = _panel(where, "2  Where it looks, and the windows", picture)
    _boxes(axes, missed, MISSED, ":")
    _boxes(axes, image.look_boxes, LOOK, "-", fill=0.25)
    _windows(axes, look.windows)

    _enlarged(windows, picture, image, look)

    axes = _panel(last, f"4  Answer: {_verdict(image)}", picture)
    _boxes(axes, image.objects[look.found], FOUND, "-", width=0.8, fill=0.22)
    _boxes(axes, image.objects[~image.judged[0].found], MISSED, ":")
    _judged(axes, image, look.state)
    drawing.legend(
        handles=_legend(), loc="outside lower center", ncols=4, frameon=False, fontsize=8
    )
    return drawing


def _panel(part: SubFigure, title: str, picture: Image.Image) -> Axes:
    part.suptitle(title, x=0.02, ha="left", fontsize=10, fontweight="bold")
    axes = part.subplots()
    axes.imshow(picture, interpolation="lanczos", extent=(0, *picture.size, 0))
    axes.set_axis_off()
    return axes


def _enlarged(
    part: SubFigure, picture: Image.Image, image: AnsweredImage, look: SecondLook
) -> None:
    """Each window with the boxes that the answer has of it."""
    part.suptitle("3  It looks again: windows, enlarged", x=0.02, ha="left", fontsize=10,
                  fontweight="bold")  # fmt: skip
    columns = int(np.ceil(np.sqrt(len(look.windows))))
    rows = -(-len(look.windows) // columns)
    grid = part.subplots(rows, columns, squeeze=False).ravel()
    for axes in grid:
        axes.set_axis_off()
    for number, (axes, window) in enumerate(zip(grid, look.windows, strict=False), 1):
        left, top, right, bottom = window
        axes.imshow(picture.crop(tuple(window.astype(int))), interpolation="lanczos",
                    extent=(left, right, bottom, top))  # fmt: skip
        _boxes(axes, image.objects[look.found], FOUND, "-", width=0.8, fill=0.22)
        _judged(axes, image, look.state, look.view == number)
        axes.set(xlim=(left, right), ylim=(bottom, top))
        _number(axes, window, number)


def _judged(
    axes: Axes, image: AnsweredImage, state: np.ndarray, shown: np.ndarray | None = None
) -> None:
    """The boxes by view; dashed where they are false."""
    false = image.judged[0].false
    for row in np.flatnonzero(np.ones(len(state), bool) if shown is None else shown):
        line = "--" if false[row] else "-"
        _boxes(axes, image.boxes[row : row + 1], COLOURS[int(state[row])], line)


def _windows(axes: Axes, windows: np.ndarray) -> None:
    _boxes(axes, windows, WINDOW, "--")
    for number, window in enumerate(windows, 1):
        _number(axes, window, number)


def _number(axes: Axes, window: np.ndarray, number: int) -> None:
    axes.annotate(str(number), window[:2], xytext=(3, -3), textcoords="offset points", va="top",
                  color="white", fontsize=10, fontweight="bold", clip_on=True,
                  path_effects=[withStroke(linewidth=2, foreground="black")])  # fmt: skip


def _boxes(
    axes: Axes,
    boxes: Iterable[np.ndarray],
    colour: str,
    line: str,
    width: float = 1.5,
    fill: float = 0.0,
) -> None:
    for x1, y1, x2, y2 in boxes:
        if fill:
            axes.add_patch(Rectangle((x1, y1), x2 - x1, y2 - y1, color=colour, alpha=fill, lw=0))
        axes.add_patch(Rectangle(
            (x1, y1), x2 - x1, y2 - y1, fill=False, ec=colour, ls=line, lw=width,
            path_effects=[withStroke(linewidth=width + 1.2, foreground="#00000090")],
        ))  # fmt: skip


def _verdict(image: AnsweredImage) -> str:
    judged = image.judged[0]
    return f"{judged.hits} of {len(image.objects)} found, {int(judged.false.sum())} false boxes"


def _legend() -> list[Line2D | Patch]:
    lines = [
        Line2D([], [], color=COLOURS[state], lw=3, label=name) for state, name in NAMES.items()
    ]
    return [
        *lines,
        Line2D([], [], color="#555555", ls="--", lw=1.5, label="dashed: false"),
        Line2D([], [], color=MISSED, ls=":", lw=2.5, label="missed"),
        Patch(color=FOUND, alpha=0.6, label="found by the second look"),
        Patch(color=LOOK, alpha=0.6, label="look region"),
    ]


if __name__ == "__main__":
    main()
