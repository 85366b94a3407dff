"""Curves as SVG that follows the page's colours: training by quantity, errors by uncertainty."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from markupsafe import escape

from dipr1.artifacts.columns import ragged
from dipr1.evaluation.looks import Reliability, reliability
from dipr1.report.results import Results

WIDTH, HEIGHT = 380, 230
LEFT, RIGHT, TOP, BOTTOM = 46, 10, 10, 34
DASHES = ("", "7 3", "2 3", "9 3 2 3", "5 5", "12 4")


@dataclass(frozen=True)
class Quantity:
    """Something that trainers log."""

    name: str
    title: str
    note: str
    main: bool = True


QUANTITIES = (
    Quantity("rewards/accuracy_reward/mean", "Accuracy reward", "Are the boxes right? 0 to 1."),
    Quantity(
        "rewards/looking_reward/mean",
        "Looking reward",
        "Does it look where the base policy's boxes vary? 0 to 1.",
    ),
    Quantity(
        "rewards/reasoning_reward/mean",
        "Reasoning reward",
        "Share of responses in the three-step form.",
    ),
    Quantity(
        "reward",
        "Total reward",
        "Weighted sum of the arm's own rewards: arms with more rewards reach higher.",
    ),
    Quantity("completions/mean_length", "Response length", "Tokens per response."),
    Quantity("loss", "Loss", "What the optimiser minimises. Around zero by construction for GRPO."),
    Quantity("entropy", "Entropy", "How undecided the policy is, per token.", main=False),
    Quantity("grad_norm", "Gradient norm", "Before clipping.", main=False),
    Quantity("kl", "KL divergence", "Distance from the base policy.", main=False),
    Quantity(
        "frac_reward_zero_std",
        "Groups without a signal",
        "Share of prompts whose responses all got the same reward.",
        main=False,
    ),
    Quantity(
        "completions/clipped_ratio",
        "Cut-off responses",
        "Share that reached the length limit.",
        main=False,
    ),
    Quantity("answer/boxes", "Boxes per answer", "In the sampled responses.", main=False),
    Quantity(
        "answer/precision", "Precision of the answers", "In the sampled responses.", main=False
    ),
    Quantity(
        "answer/recall", "Recall of the answers", "In the sampled responses, weighted.", main=False
    ),
    Quantity("look/area_share", "Area looked at", "Share of the image.", main=False),
    Quantity("mean_token_accuracy", "Token accuracy", "Supervised fine-tuning only.", main=False),
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
    svg: str
    ends: list[tuple[str, float]]


def panels(results: Results) -> list[Panel]:
    """A panel for each quantity that some arm has logged more than once."""
    drawn = [_panel(quantity, results) for quantity in QUANTITIES]
    return [panel for panel in drawn if panel is not None]


def runs_of(quantity: Quantity, results: Results) -> dict[str, list]:
    """(steps, values) of each seed by arm, of the arms that logged the quantity more than once."""
    runs = {}
    for arm in results.arms:
        series = [
            log[quantity.name]
            for (name, _), log in sorted(results.logs.items())
            if name == arm and quantity.name in log
        ]
        series = [_finite(steps, values) for steps, values in series]
        series = [(steps, values) for steps, values in series if len(steps) > 1]
        if series:
            runs[arm] = series
    return runs


def _panel(quantity: Quantity, results: Results) -> Panel | None:
    runs = runs_of(quantity, results)
    if not runs:
        return None
    ends = [
        (arm, float(np.mean([values[-max(1, len(values) // 10) :].mean() for _, values in series])))
        for arm, series in runs.items()
    ]
    return Panel(quantity, _draw(quantity, runs, results.arms), ends)


def _finite(steps: np.ndarray, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    known = np.isfinite(values)
    return steps[known], values[known]


def smooth(values: np.ndarray, window: int) -> np.ndarray:
    """Centred moving average over `window` (odd) values, fewer at the ends.

    >>> smooth(np.array([0.0, 3.0, 0.0]), 3).tolist()
    [1.5, 1.0, 1.5]
    """
    ones = np.ones(window)
    return np.convolve(values, ones, "same") / np.convolve(np.ones(len(values)), ones, "same")


def mean_over_seeds(series: Sequence[tuple]) -> tuple[np.ndarray, np.ndarray]:
    """The steps that any seed logged, and the mean of their values.

    >>> steps, values = np.array([1, 2]), np.array([0.0, 4.0])
    >>> mean_over_seeds([(steps, values), (steps[1:], values[1:] + 2)])
    (array([1, 2]), array([0., 5.]))
    """
    steps = np.concatenate([steps for steps, _ in series])
    values = np.concatenate([values for _, values in series])
    distinct, index = np.unique(steps, return_inverse=True)
    return distinct, np.bincount(index, values) / np.bincount(index)


def _draw(quantity: Quantity, runs: dict[str, list], arms: list[str]) -> str:
    all_steps = np.concatenate([steps for series in runs.values() for steps, _ in series])
    all_values = np.concatenate([values for series in runs.values() for _, values in series])
    frame = _Frame(
        ticks(min(0, all_steps.min()), all_steps.max(), 5),
        ticks(all_values.min(), all_values.max(), 5),
        all_steps.max(),
    )
    x, y = frame.x, frame.y
    words = f"{quantity.title} over the training steps of {', '.join(runs)}"
    parts = [frame.start(words, "training step")]
    for arm, series in runs.items():
        style = f'class="arm{arms.index(arm) % 9}"'
        for steps, values in series:
            parts.append(
                f'<path {style} fill="none" stroke-opacity=".28" d="{_line(x(steps), y(values))}"/>'
            )
        steps, values = mean_over_seeds(series)
        values = smooth(values, 2 * (len(values) // 20) + 1)
        dash = DASHES[arms.index(arm) % len(DASHES)]
        parts.append(
            f'<path {style} fill="none" stroke-width="2.4" stroke-dasharray="{dash}"'
            f' d="{_line(x(steps), y(values))}"><title>{escape(arm)}</title></path>'
        )
    return "".join([*parts, "</svg>"])


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

    def start(self, words: str, x_title: str) -> str:
        """The opening tag with the axes: `words` for who cannot see the drawing."""
        parts = [
            f'<svg class="curves" viewBox="0 0 {WIDTH} {HEIGHT}" role="img"'
            f' aria-label="{escape(words)}">'
        ]
        for tick in self.y_ticks:
            parts.append(
                f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{self.y(tick):.1f}"'
                f' y2="{self.y(tick):.1f}"/><text x="{LEFT - 6}" y="{self.y(tick) + 4:.1f}"'
                f' text-anchor="end">{number(tick, self.y_ticks)}</text>'
            )
        for tick in self.x_ticks:
            parts.append(
                f'<text x="{self.x(tick):.1f}" y="{HEIGHT - BOTTOM + 15}" text-anchor="middle">'
                f"{number(tick, self.x_ticks)}</text>"
            )
        parts.append(
            f'<text x="{(LEFT + WIDTH - RIGHT) / 2}" y="{HEIGHT - 4}" text-anchor="middle">'
            f"{x_title}</text>"
        )
        return "".join(parts)


def reliability_diagram(results: Results, dataset: str) -> str:
    """How often each arm errs in regions of like uncertainty; "" where that is not known.

    Regions of all seeds of an arm together, in ten bins of u; a dot's area is its share of them.
    """
    bins = {arm: _bins(results, arm, dataset) for arm in results.arms}
    bins = {arm: found for arm, found in bins.items() if found is not None}
    if not bins:
        return ""
    unit = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0]
    frame = _Frame(unit, unit, 1.0)
    words = f"Share of regions with an error by uncertainty, of {', '.join(bins)}"
    parts = [frame.start(words, "uncertainty u of the region")]
    for arm, found in bins.items():
        style = f'class="arm{results.arms.index(arm) % 9}"'
        known = found.counts > 0
        xs = frame.x(found.mean_uncertainty[known])
        ys = frame.y(found.error_rate[known])
        dash = DASHES[results.arms.index(arm) % len(DASHES)]
        parts.append(
            f'<path {style} fill="none" stroke-width="2" stroke-dasharray="{dash}"'
            f' d="{_line(xs, ys)}"><title>{escape(arm)}</title></path>'
        )
        for x, y, share in zip(xs, ys, found.counts[known] / found.counts.sum(), strict=True):
            radius = 2 + 8 * math.sqrt(share)
            parts.append(
                f'<circle {style} cx="{x:.1f}" cy="{y:.1f}" r="{radius:.1f}" fill="none"'
                ' stroke-width="1.5"/>'
            )
    return "".join([*parts, "</svg>"])


def _bins(results: Results, arm: str, dataset: str) -> Reliability | None:
    """The regions of all seeds of an arm, binned by u; None where there are none."""
    tables = [results.images.get((arm, seed, dataset)) for seed in results.seeds(arm)]
    columns = [
        np.concatenate([ragged(table[name])[0] for table in tables if table is not None] or [[]])
        for name in ("region_uncertainty", "region_erred")
    ]
    return reliability(*columns) if len(columns[0]) else None


def _line(xs: np.ndarray, ys: np.ndarray) -> str:
    return "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in zip(xs, ys, strict=True))


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


def number(value: float, among: Sequence[float]) -> str:
    """A tick's label, with as many decimals as tell it from its neighbours.

    >>> number(0.5, [0, 0.25, 0.5])
    '0.50'
    """
    step = among[1] - among[0]
    if step >= 1000:
        return f"{value / 1000:g}k"
    decimals = 0
    while decimals < 6 and abs(round(step, decimals) - step) > 1e-9 * step:
        decimals += 1
    return f"{value:.{decimals}f}"
