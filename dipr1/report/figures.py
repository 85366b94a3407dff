"""Figures for papers: SVG, PDF and PNG files beside the page, drawn by matplotlib.

The same results give the same bytes: no time stamps, no random ids.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from dipr1.artifacts.writing import whole
from dipr1.evaluation.catalogue import METRICS
from dipr1.evaluation.measuring import precision_curve
from dipr1.evaluation.ranked import RECALL_THRESHOLDS
from dipr1.report.colours import LIGHT, colour_of
from dipr1.report.curves import MAIN, logged, of_each_seed, smooth_mean
from dipr1.report.results import Results

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

LINES = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (6, 2, 1, 2)))
STYLE = {
    "font.size": 8,
    "axes.titlesize": 8,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#d9dce1",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "svg.hashsalt": "dipr1",
    "figure.dpi": 100,
}
COMPARED = ("AP", "f1_50")
NO_DATES = {
    "svg": {"Date": None},
    "pdf": {"CreationDate": None},
    "png": {"Software": None},
}


def write_figures(results: Results, folder: Path) -> None:
    """Write every figure for which there are data, as SVG, PDF and PNG, under `folder`."""
    # half a second to import
    import matplotlib

    with whole(folder) as part, matplotlib.rc_context(STYLE):
        part.mkdir()
        for name, figure in _figures(results):
            for suffix, metadata in NO_DATES.items():
                figure.savefig(part / f"{name}.{suffix}", metadata=metadata, dpi=200)
                figure.set_layout_engine(
                    "none"
                )  # once is enough: laying it out again would move it


def _figures(results: Results) -> Iterator[tuple[str, Figure]]:
    yield "comparison", comparison(results)
    if results.images:
        yield "precision_recall", precision_recall(results)
    if any(logged(quantity, results) for quantity in MAIN):
        yield "training", training(results)


def _axes(rows: int, columns: int, width: float, height: float) -> tuple[Figure, np.ndarray]:
    """A figure of `rows` x `columns` axes, each of `width` x `height` inches."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width * columns, height * rows), layout="constrained")
    return figure, figure.subplots(rows, columns, squeeze=False)


def comparison(results: Results) -> Figure:
    """AP and F1 of every arm on every set, with their 95 % intervals where there are any."""
    height = 0.7 + 0.25 * len(results.arms)
    figure, grid = _axes(len(results.sets), len(COMPARED), 3.2, height)
    for axes, dataset in zip(grid, results.sets, strict=True):
        for one, name in zip(axes, COMPARED, strict=True):
            _dots(one, results, dataset, name)
    return figure


def _dots(axes: Axes, results: Results, dataset: str, name: str) -> None:
    axes.set_title(f"{METRICS[name].title}, {dataset}", loc="left")
    for place, arm in enumerate(results.arms):
        value, span = results.mean(arm, dataset, name).value, results.interval(arm, dataset, name)
        colour = LIGHT[colour_of(place)]
        if span is not None:
            axes.plot([span.low, span.high], [place, place], color=colour, lw=4, alpha=0.4)
        if value is not None:
            axes.plot([value], [place], "o", color=colour, ms=5)
    axes.set_yticks(range(len(results.arms)), results.arms)
    axes.set_ylim(len(results.arms) - 0.5, -0.5)
    axes.grid(axis="y", visible=False)


def training(results: Results) -> Figure:
    """What the trainers logged: single steps thin, their moving average thick."""
    drawn = [(quantity, logged(quantity, results)) for quantity in MAIN]
    drawn = [(quantity, runs) for quantity, runs in drawn if runs]
    columns = min(3, len(drawn))
    figure, grid = _axes(-(-len(drawn) // columns), columns, 2.6, 1.9)
    for axes in grid.flat[len(drawn) :]:
        axes.set_visible(False)
    for axes, (quantity, runs) in zip(grid.flat, drawn, strict=False):
        axes.set_title(quantity.title, loc="left")
        axes.set_xlabel("training step")
        for arm, of_arm in runs.items():
            style = _style(results, arm)
            for steps, values in of_each_seed(of_arm):
                axes.plot(steps, values, color=style["color"], lw=0.5, alpha=0.35)
            axes.plot(*smooth_mean(of_arm), **style)
    _legend(figure, grid, results.arms)
    return figure


def precision_recall(results: Results) -> Figure:
    """COCO's precision over recall at IoU 0.50 on every set, mean over labels and seeds."""
    figure, grid = _axes(1, len(results.sets), 2.8, 2.6)
    for axes, dataset in zip(grid.flat, results.sets, strict=True):
        for arm in results.arms:
            curves = [precision_curve(images) for images in results.images_of(arm, dataset)]
            axes.plot(RECALL_THRESHOLDS, np.mean(curves, axis=0), **_style(results, arm))
        axes.set_title(f"{dataset}, IoU 0.50", loc="left")
        axes.set(xlabel="recall", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02))
    _legend(figure, grid, results.arms)
    return figure


def _style(results: Results, arm: str) -> dict:
    place = results.arms.index(arm)
    line = LINES[place % len(LINES)]
    return {"color": LIGHT[colour_of(place)], "linestyle": line, "lw": 1.6, "label": arm}


def _legend(figure: Figure, grid: np.ndarray, arms: list[str]) -> None:
    """One legend for all axes, below them."""
    drawn = {}
    for axes in grid.flat:
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True):
            drawn.setdefault(label, handle)
    labels = [arm for arm in arms if arm in drawn]
    handles = [drawn[label] for label in labels]
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels))
