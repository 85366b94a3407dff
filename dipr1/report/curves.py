"""Curves as SVG that follows the page's colours: training by quantity, errors by uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import polars as pl
from markupsafe import Markup, escape

from dipr1.evaluation.calibration import Reliability, of_scores, reliability
from dipr1.evaluation.catalogue import METRICS
from dipr1.report.colours import colour_of
from dipr1.report.results import Results, logged_as
from dipr1.rewards import REWARDS

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 5", "12 4")


@dataclass(frozen=True)
class Quantity:
    """Something that trainers log.

    Attributes:
        name: in the training log.
        title, note: for readers; {one} and {many} stand for what is looked for.
    """

    name: str
    title: str
    note: str


# shown at once, and in the figure for papers
MAIN = (
    *(
        Quantity(logged_as(name), METRICS[f"reward_{name}"].title, reward.meaning)
        for name, reward in REWARDS.items()
    ),
    Quantity(
        "reward",
        "Total reward",
        "Weighted sum of the arm's own rewards: arms with more rewards reach higher.",
    ),
    Quantity("completions/mean_length", "Response length", "Tokens per response."),
    Quantity("loss", "Loss", "What the optimiser minimises. Around zero by construction for GRPO."),
)
MORE = (
    Quantity("entropy", "Entropy", "How undecided the policy is, per token."),
    Quantity("grad_norm", "Gradient norm", "Before clipping."),
    Quantity("kl", "KL divergence", "Distance from the base policy."),
    Quantity(
        "frac_reward_zero_std",
        "Groups without a signal",
        "Share of prompts whose responses all got the same reward.",
    ),
    Quantity(
        "completions/clipped_ratio", "Cut-off responses", "Share that reached the length limit."
    ),
    Quantity("answer/boxes", "Boxes per answer", "In the sampled responses."),
    Quantity("answer/precision", "Precision of the answers", "In the sampled responses."),
    Quantity("answer/recall", "Recall of the answers", "In the sampled responses, weighted."),
    Quantity("look/area_share", "Area looked at", "Share of the image."),
    Quantity("mean_token_accuracy", "Token accuracy", "Supervised fine-tuning only."),
)


@dataclass(frozen=True)
class Panel:
    """One figure.

    Attributes:
        quantity: what is drawn.
        svg: the drawing.
        ends: (arm, mean over the last tenth of training).
    """

    quantity: Quantity
    svg: Markup
    ends: list[tuple[str, float]]


def panels(quantities: Sequence[Quantity], results: Results) -> list[Panel]:
    """A panel for each quantity that some arm has logged more than once."""
    drawn = [_panel(quantity, results) for quantity in quantities]
    return [panel for panel in drawn if panel is not None]


def logged(quantity: Quantity, results: Results) -> dict[str, pl.DataFrame]:
    """What the arms logged of a quantity: seed, step and value, of the runs with several values."""
    values = results.logs.filter(pl.col("value").is_finite(), name=quantity.name)
    values = values.filter(pl.len().over("arm", "seed") > 1).sort("seed", maintain_order=True)
    of_arms = {arm: values.filter(arm=arm) for arm in results.arms}
    return {arm: of_arm for arm, of_arm in of_arms.items() if len(of_arm)}


def _panel(quantity: Quantity, results: Results) -> Panel | None:
    runs = logged(quantity, results)
    if not runs:
        return None
    end = pl.col("value").tail(pl.max_horizontal(1, pl.len() // 10)).mean()
    ends = [
        (arm, of_arm.group_by("seed", maintain_order=True).agg(end)["value"].mean())
        for arm, of_arm in runs.items()
    ]
    return Panel(quantity, _draw(quantity, runs, results.arms), ends)


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average over `window` (odd) values, fewer at the ends.

    >>> smooth(np.array([0.0, 3.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.5]
    """
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def of_each_seed(runs: pl.DataFrame) -> list[tuple[np.ndarray, np.ndarray]]:
    """Steps and values of each seed of an arm."""
    of_seeds = runs.partition_by("seed", maintain_order=True)
    return [(run["step"].to_numpy(), run["value"].to_numpy()) for run in of_seeds]


def smooth_mean(runs: pl.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The steps that any seed of an arm logged, and the smoothed mean of their values.

    >>> runs = pl.DataFrame({"seed": [0, 0, 1], "step": [1, 2, 2], "value": [0.0, 4.0, 6.0]})
    >>> smooth_mean(runs)
    (array([1, 2]), array([0., 5.]))
    """
    means = runs.group_by("step", maintain_order=True).agg(pl.col("value").mean()).sort("step")
    return means["step"].to_numpy(), smooth(means["value"].to_numpy(), 2 * (len(means) // 20) + 1)


def _draw(quantity: Quantity, runs: dict[str, pl.DataFrame], arms: list[str]) -> Markup:
    of_all = pl.concat(runs.values())
    first, last = of_all["step"].min(), of_all["step"].max()
    y_ticks = ticks(of_all["value"].min(), of_all["value"].max(), 5)
    frame = _Frame(ticks(min(0, first), last, 5), y_ticks, last)
    words = f"{quantity.title} over the training steps of {', '.join(runs)}"
    parts = [frame.start(words, "training step")]
    for arm, of_arm in runs.items():
        style = f'class="arm{colour_of(arms.index(arm))}" fill="none"'
        for steps, values in of_each_seed(of_arm):
            parts.append(f'<path {style} stroke-opacity=".28" d="{frame.line(steps, values)}"/>')
        dash = DASHES[arms.index(arm) % len(DASHES)]
        parts.append(
            f'<path {style} stroke-width="2.4" stroke-dasharray="{dash}"'
            f' d="{frame.line(*smooth_mean(of_arm))}"><title>{escape(arm)}</title></path>'
        )
    return Markup("".join([*parts, "</svg>"]))


@dataclass(frozen=True)
class _Frame:
    """The axes of one drawing.

    Attributes:
        x_ticks, y_ticks: increasing.
        x_end: the largest x; the axis ends there or at the last tick.
    """

    x_ticks: list[float]
    y_ticks: list[float]
    x_end: float

    def x(self, value: np.ndarray) -> np.ndarray:
        low, high = self.x_ticks[0], max(self.x_ticks[-1], self.x_end)
        return LEFT + (value - low) / (high - low) * (WIDTH - LEFT - RIGHT)

    def y(self, value: np.ndarray) -> np.ndarray:
        low, high = self.y_ticks[0], self.y_ticks[-1]
        return HEIGHT - BOTTOM - (value - low) / (high - low) * (HEIGHT - TOP - BOTTOM)

    def line(self, xs: np.ndarray, ys: np.ndarray) -> str:
        """A path through some points, as an SVG path's `d`."""
        points = zip(self.x(xs), self.y(ys), strict=True)
        return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in points)

    def start(self, words: str, x_title: str) -> str:
        """The opening tag with the axes; `words` tell what is drawn to those who cannot see it."""
        parts = [
            f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' aria-label="{escape(words)}">'
        ]
        for tick in self.y_ticks:
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(tick):.1f}"'
                f' y2="{self.y(tick):.1f}"/><text x="{LEFT - 6}" y="{self.y(tick) + 4:.1f}"'
                f' text-anchor="end">{tick_label(tick, self.y_ticks)}</text>'
            )
        for tick in self.x_ticks:
            parts.append(
                f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
                f"{tick_label(tick, self.x_ticks)}</text>"
            )
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
            f"{x_title}</text>"
        )
        return "".join(parts)


def warning_diagram(results: Results, dataset: str) -> Markup:
    """How often each arm errs in regions of like uncertainty; "" where that is not known."""
    return _reliability_diagram(
        results,
        {arm: _regions_of(results, arm, dataset) for arm in results.arms},
        "Share of regions with an error by uncertainty",
        "uncertainty u of the region",
    )


def score_diagram(results: Results, dataset: str) -> Markup:
    """How often each arm's boxes of like scores are right; "" where that is not known."""
    return _reliability_diagram(
        results,
        {arm: _boxes_of(results, arm, dataset) for arm in results.arms},
        "Share of right boxes by score",
        "score of the box",
        diagonal=True,
    )


def _reliability_diagram(
    results: Results,
    every: dict[str, Reliability],
    words: str,
    x_title: str,
    *,
    diagonal: bool = False,
) -> Markup:
    """All seeds of an arm together, in ten bins; a dot's area is its share of them.

    Values that are shares themselves lie on the diagonal where they are right.
    """
    binned = {arm: bins for arm, bins in every.items() if bins.counts.sum()}
    if not binned:
        return Markup("")
    unit = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    frame = _Frame(unit, unit, 1.0)
    parts = [frame.start(f"{words}, of {', '.join(binned)}", x_title)]
    if diagonal:
        ends = np.array([0.0, 1.0])
        parts.append(f'<path class="grid" fill="none" d="{frame.line(ends, ends)}"/>')
    for arm, bins in binned.items():
        place = results.arms.index(arm)
        style = f'class="arm{colour_of(place)}" fill="none"'
        filled = bins.counts > 0
        means, rates = bins.mean[filled], bins.rate[filled]
        parts.append(
            f'<path {style} stroke-width="2" stroke-dasharray="{DASHES[place % len(DASHES)]}"'
            f' d="{frame.line(means, rates)}"><title>{escape(arm)}</title></path>'
        )
        radii = 2 + 8 * np.sqrt(bins.counts[filled] / bins.counts.sum())
        parts += [
            f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" stroke-width="1.5"/>'
            for x, y, radius in zip(frame.x(means), frame.y(rates), radii, strict=True)
        ]
    return Markup("".join([*parts, "</svg>"]))


def _regions_of(results: Results, arm: str, dataset: str) -> Reliability:
    """The regions of all seeds of an arm, binned by u."""
    regions = [images.regions for images in results.images_of(arm, dataset)]
    return reliability(
        np.concatenate([of_seed.uncertainty for of_seed in regions] or [np.empty(0)]),
        np.concatenate([of_seed.erred for of_seed in regions] or [np.empty(0)]),
    )


def _boxes_of(results: Results, arm: str, dataset: str) -> Reliability:
    """The boxes of all seeds of an arm, binned by their scores."""
    return of_scores(
        [label for images in results.images_of(arm, dataset) for label in images.labels]
    )


def ticks(low: float, high: float, count: int) -> list[float]:
    """About `count` round numbers that hold `low` and `high` between them.

    >>> ticks(0.03, 0.91, 5)
    [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    """
    low, high = float(low), float(high)
    if high - low < 1e-9 * max(abs(low), abs(high), 1e-9):
        margin = abs(low) / 2 or 1.0
        low, high = low - margin, high + margin
    rough = (high - low) / count
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(step * k, 12) for k in range(first, last + 1)]


def tick_label(value: float, among: Sequence[float]) -> str:
    """A tick's label, with as many decimals as tell it from its neighbours.

    >>> tick_label(0.5, [0, 0.25, 0.5])
    '0.50'
    """
    step = among[1] - among[0]
    if step >= 1000:
        return f"{value / 1000:g}k"
    decimals = 0
    while decimals < 6 and abs(round(step, decimals) - step) > 1e-9 * step:
        decimals += 1
    return f"{value:.{decimals}f}"
