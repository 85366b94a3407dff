"""What an experiment found, for the record: every figure, and the differences with their intervals.

    python benchmarks/claim.py results --output docs/results

Reads what `evaluate` wrote under the results folder of the runs of workflow/configs/claim.yaml (or
another configuration, `--config`), as many as are there, and writes two tables. `claim.parquet` has
one row per set, arm, source (what was looked at again; `none` for one view), seed and metric.
`claim_differences.parquet` has the goals, which are also printed as Markdown, and every run against
`base`, `grpo` and `dipr1`, each looking as it does, and against its own single view.

Differences are paired over images and over the seeds that both have (dipr1.evaluation.comparison).
`low` and `high` hold 95 % of the resampled differences. The corrected interval holds 1 - 0.05 / m
of them (Bonferroni), m the `comparisons` made: all goals on all sets, and for the other rows all of
those by the same metric. With 10,000 resamples its ends are a few of them; more make it firmer.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import repeat
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts import Artifact
from dipr1.artifacts.made import Made
from dipr1.config import Config, load
from dipr1.evaluation.comparison import (
    Measured,
    Run,
    check_comparable,
    measure,
    on_shared_seeds,
    read_run,
)
from dipr1.evaluation.intervals import percentile_interval, two_sided_p
from dipr1.evaluation.measuring import none_if_nan

CONFIG = Path(__file__).parents[1] / "workflow" / "configs" / "claim.yaml"
NONE = "none"
HEADLINE = "AP50"
COSTS = ("mean_crops", "mean_tokens")
METRICS = (
    *(HEADLINE, "AP", "MR", "JI", "f1_50", "precision50", "recall50"),
    *(f"recall_{name}" for name in ("small", "medium", "tall", "hidden", "partly", "free")),
    *("well_formed_rate", "reward_looking", "reward_accuracy", "mean_look_boxes", "mean_boxes"),
    *COSTS,
)
COMPARED = METRICS[: METRICS.index("well_formed_rate")]
BASELINES = ("base", "grpo", "dipr1")
CONFIDENCE = 0.95

CLAIM = Artifact(
    "claim",
    pa.schema(
        {
            "set": pa.string(),
            "arm": pa.string(),
            "source": pa.string(),  # `none` for one view
            "seed": pa.int32(),
            "metric": pa.string(),
            "value": pa.float64(),  # null where undefined
        }
    ),
)
DIFFERENCES = Artifact(
    "claim_differences",
    pa.schema(
        {
            "goal": pa.string(),  # null: no goal, but a comparison
            "set": pa.string(),
            "metric": pa.string(),
            "a": pa.string(),
            "b": pa.string(),
            "num_seeds": pa.int32(),  # of the one that has more
            "value_a": pa.float64(),
            "value_b": pa.float64(),
            "difference": pa.float64(),
            "low": pa.float64(),
            "high": pa.float64(),
            "comparisons": pa.int32(),
            "corrected_low": pa.float64(),
            "corrected_high": pa.float64(),
            "p": pa.float64(),  # two-sided, not corrected
            "least": pa.float64(),  # difference that the goal asks for
            "cost": pa.float64(),  # of a, as a share of that of b
            "most_cost": pa.float64(),  # that the goal allows
            "met": pa.bool_(),
        }
    ),
)


@dataclass(frozen=True)
class Contrast:
    """A sum of runs' figures, such as `dipr1+own` alone, or what it gains on `dipr1`.

    Attributes:
        name: what a reader calls it.
        weights: of each run, by its name.
    """

    name: str
    weights: Mapping[str, float]

    @classmethod
    def of(cls, run: str) -> Contrast:
        """The figures of one run."""
        return cls(run, {run: 1.0})

    @classmethod
    def gain(cls, run: str, view: str, share: float = 1.0) -> Contrast:
        """A share of what a run gains on another."""
        words = "" if share == 1.0 else f"{share:.0%} of "
        return cls(f"{words}{run} - {view}", {run: share, view: -share})

    def __call__(self, figures: Mapping[str, np.ndarray]) -> np.ndarray:
        """The sum, of each run's figures."""
        return sum(weight * figures[run] for run, weight in self.weights.items())


@dataclass(frozen=True)
class Comparison:
    """Two contrasts to be compared, and what is hoped for.

    Attributes:
        a, b: a is to be the better one.
        metric: by which they are compared.
        goal: its name; None where nothing is hoped for.
        least: difference that is asked for.
        cost: a metric by which `of` may cost at most `most_cost` times what `against` costs.
    """

    a: Contrast
    b: Contrast
    metric: str = HEADLINE
    goal: str | None = None
    least: float | None = None
    cost: Cost | None = None

    @property
    def runs(self) -> list[str]:
        """Names of all that it is about."""
        return list(dict.fromkeys([*self.a.weights, *self.b.weights]))


@dataclass(frozen=True)
class Cost:
    """What one run may cost at most, as a share of what another costs."""

    metric: str
    of: str
    against: str
    most: float


def goal(name: str, a: str, b: str, least: float, cost: Cost | None = None) -> Comparison:
    """A run is to be better than another by `least`."""
    return Comparison(Contrast.of(a), Contrast.of(b), HEADLINE, name, least, cost)


OWN, VARIANCE = "dipr1+own", "dipr1+variance"
GOALS = (
    goal("own looks against one view", OWN, "dipr1", 0.15),
    goal("against plain GRPO's own looks", OWN, "grpo+own", 0.05),
    goal("against four quarters, with half of the crops", OWN, "dipr1+grid", 0.10,
         Cost("mean_crops", OWN, "dipr1+grid", 0.5)),
    goal("against as many tokens of further samples", OWN, "dipr1+samples", 0.05,
         Cost("mean_tokens", OWN, "dipr1+samples", 1.0)),
    goal("against SFT in one view", OWN, "sft", 0.10),
    goal("against an answer without looks", OWN, "answer", 0.10),
    goal("regions that vary, against one view", VARIANCE, "dipr1", 0.18),
    Comparison(Contrast.gain(OWN, "dipr1"), Contrast.gain(VARIANCE, "dipr1", 0.8), HEADLINE,
               "80 % of what regions that vary gain, at a sixth of the tokens", 0.0,
               Cost("mean_tokens", OWN, VARIANCE, 1 / 6)),
)  # fmt: skip
"""The goals, in points of AP50 / 100. One is met on a set where the difference is as large as asked
for, the corrected interval is above zero and the cost is no larger than allowed."""


def main() -> None:
    """Write the two tables and print the goals."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("results", type=Path)
    parser.add_argument("--config", type=Path, default=CONFIG)
    parser.add_argument("--output", type=Path, default=Path("docs/results"))
    parser.add_argument("--resamples", type=int, default=10_000)
    args = parser.parse_args()
    runs = [read_run(str(path)) for path in files(args.results, load(args.config))]
    values, differences = claim(runs, args.resamples)
    CLAIM.write(values, args.output / "claim.parquet", Made())
    DIFFERENCES.write(differences, args.output / "claim_differences.parquet", Made())
    print("\n".join(goal_lines(differences.to_pylist())))


def files(results: Path, config: Config) -> list[Path]:
    """The images artifacts of an experiment that are there, set by set and arm by arm."""
    names = [
        f"metrics/{joined(name, source)}/seed{seed}/{on}.images.parquet"
        for on in config.evaluation.sets
        for name, arm in config.arms.items()
        for source in (NONE, *(look.name for look in arm.look_again))
        for seed in config.seeds_of(name)
    ]
    return [results / name for name in names if (results / name).exists()]


def claim(runs: Sequence[Run], resamples: int) -> tuple[pa.Table, pa.Table]:
    """The two tables; each set is measured in a process of its own.

    Args:
        runs: of every arm and seed on every set; an arm that looks again is `ARM+SOURCE`.
        resamples: of images and seeds.
    """
    check_comparable(runs)
    sets = list(dict.fromkeys(run.set for run in runs))
    parts = [[run for run in runs if run.set == name] for name in sets]
    number = min(len(sets), os.cpu_count() or 1)
    # not forked: the threads of this process, such as Arrow's, would be missing there
    with ProcessPoolExecutor(number, get_context("spawn")) as processes:
        found = list(processes.map(of_set, range(len(sets)), parts, repeat(resamples)))
    values = [row for rows, _ in found for row in rows]
    differences = [one for _, ones in found for one in ones]
    differences.sort(key=lambda one: one.comparison.goal is None)
    table = pa.Table.from_pylist(difference_rows(differences), DIFFERENCES.schema)
    return pa.Table.from_pylist(values, CLAIM.schema), table


def of_set(
    number: int, runs: Sequence[Run], resamples: int
) -> tuple[list[dict[str, Any]], list[Difference]]:
    """The rows of values, and what every comparison found, of the set with this number."""
    # the metrics of which intervals are drawn; the others need the images as they are only
    measured = measure(runs, METRICS, 1, (0, number))
    resampled = measure(runs, COMPARED, resamples, (0, number))
    values = [row for one in measured.values() for row in value_rows(one)]
    values += gains_per_crop(measured)
    differences = [
        Difference.of(comparison, runs[0].set, resampled, measured)
        for comparison in [*GOALS, *plain_comparisons(measured)]
        if {*comparison.runs} <= measured.keys()
    ]
    return values, differences


def parted(run: str) -> tuple[str, str]:
    """Arm and source of a run.

    >>> parted("dipr1+own"), parted("dipr1")
    (('dipr1', 'own'), ('dipr1', 'none'))
    """
    arm, _, source = run.partition("+")
    return arm, source or NONE


def joined(arm: str, source: str) -> str:
    """The run of an arm and a source.

    >>> joined("dipr1", "own"), joined("dipr1", "none")
    ('dipr1+own', 'dipr1')
    """
    return arm if source == NONE else f"{arm}+{source}"


def value_rows(measured: Measured) -> list[dict[str, Any]]:
    """One row per seed and metric of a run; a single view looks at no crop."""
    rows = []
    for run, figures in zip(measured.runs, measured.by_seed, strict=True):
        arm, source = parted(run.arm)
        about = {"set": run.set, "arm": arm, "source": source, "seed": run.seed}
        for metric, value in zip(METRICS, figures, strict=True):
            value = 0.0 if metric == "mean_crops" and source == NONE else value
            rows.append(about | {"metric": metric, "value": none_if_nan(value)})
    return rows


def gains_per_crop(measured: Mapping[str, Measured]) -> list[dict[str, Any]]:
    """What looking again adds to AP50, divided by the crops of an image; per run and seed."""
    rows = []
    for name, again in measured.items():
        arm, source = parted(name)
        if source == NONE or arm not in measured:
            continue
        view = measured[arm]
        for seed in sorted({*again.seeds} & {*view.seeds}):
            one, first = again.on([seed]), view.on([seed])
            crops = one.values[METRICS.index("mean_crops")]
            if crops > 0:
                gain = (one.values - first.values)[METRICS.index(HEADLINE)] / crops
                about = {"set": one.runs[0].set, "arm": arm, "source": source, "seed": seed}
                rows.append(about | {"metric": "gain_per_crop", "value": none_if_nan(gain)})
    return rows


def plain_comparisons(runs: Iterable[str]) -> list[Comparison]:
    """Every run against the baselines that look as it does, and against its own single view."""
    pairs = []
    for run in runs:
        arm, source = parted(run)
        others = [joined(baseline, source) for baseline in BASELINES] + [arm]
        pairs += [(run, other) for other in dict.fromkeys(others) if other != run]
    return [
        Comparison(Contrast.of(a), Contrast.of(b), metric) for metric in COMPARED for a, b in pairs
    ]


@dataclass(frozen=True)
class Difference:
    """What a comparison found on one set.

    Attributes:
        comparison: what was compared.
        set: on what.
        num_seeds: of the run that has most.
        value_a, value_b: means over the seeds.
        resampled: (R,) the difference in each resample.
        cost: the share that the goal is about; NaN where it is about none.
    """

    comparison: Comparison
    set: str
    num_seeds: int
    value_a: float
    value_b: float
    resampled: np.ndarray = field(repr=False)
    cost: float = float("nan")

    @classmethod
    def of(
        cls,
        comparison: Comparison,
        name: str,
        resampled: Mapping[str, Measured],
        measured: Mapping[str, Measured],
    ) -> Difference:
        """Measure it on the seeds that all of its runs have."""
        at = COMPARED.index(comparison.metric)
        shared = on_shared_seeds(*(resampled[run] for run in comparison.runs))
        arms = dict(zip(comparison.runs, shared, strict=True))
        values = {run: arm.values[at] for run, arm in arms.items()}
        drawn = {run: arm.resampled[at] for run, arm in arms.items()}
        found = cls(
            comparison,
            name,
            max(len(arm.runs) for arm in shared),
            float(comparison.a(values)),
            float(comparison.b(values)),
            comparison.a(drawn) - comparison.b(drawn),
        )
        cost = comparison.cost
        if cost is None:
            return found
        of, against = (measured[run].on(arms[run].seeds) for run in (cost.of, cost.against))
        place = METRICS.index(cost.metric)
        return replace(found, cost=float(of.values[place] / against.values[place]))

    def row(self, comparisons: int) -> dict[str, Any]:
        """Of the table, corrected for so many comparisons."""
        about, difference = self.comparison, self.value_a - self.value_b
        low, high = percentile_interval(self.resampled, CONFIDENCE)
        corrected = percentile_interval(self.resampled, 1 - (1 - CONFIDENCE) / comparisons)
        most = about.cost.most if about.cost else None
        met = None
        if about.goal is not None:
            cheap = most is None or self.cost <= most + 1e-9  # rounding is no cost
            met = bool(difference >= about.least and corrected[0] > 0 and cheap)
        figures = {
            "value_a": self.value_a,
            "value_b": self.value_b,
            "difference": difference,
            "low": low,
            "high": high,
            "corrected_low": corrected[0],
            "corrected_high": corrected[1],
            "p": two_sided_p(self.resampled),
            "cost": self.cost,
        }
        return {name: none_if_nan(value) for name, value in figures.items()} | {
            "goal": about.goal,
            "set": self.set,
            "metric": about.metric,
            "a": about.a.name,
            "b": about.b.name,
            "num_seeds": self.num_seeds,
            "comparisons": comparisons,
            "least": about.least,
            "most_cost": most,
            "met": met,
        }


def difference_rows(differences: Sequence[Difference]) -> list[dict[str, Any]]:
    """One row each, corrected for the number of goals, or of comparisons by the same metric."""
    families = [(one.comparison.goal is None, one.comparison.metric) for one in differences]
    return [
        one.row(families.count(family)) for one, family in zip(differences, families, strict=True)
    ]


def goal_lines(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """The goals as Markdown: difference, corrected interval and whether it is met, per set.

    The first set is the one in domain; a goal is reached if it is met there and on two others.
    """
    goals = [row for row in rows if row["goal"] is not None]
    sets = list(dict.fromkeys(row["set"] for row in goals))
    by_place = {(row["goal"], row["set"]): row for row in goals}
    lines = [f"| goal | asked for | {' | '.join(sets)} | reached |", "|---" * (len(sets) + 3) + "|"]
    for name in dict.fromkeys(row["goal"] for row in goals):
        found = [by_place.get((name, on)) for on in sets]
        cells = [*map(_goal_cell, found), _reached(found)]
        least = next(row["least"] for row in goals if row["goal"] == name)
        lines.append(f"| {name} | {least:+.2f} | " + " | ".join(cells) + " |")
    return lines


def _reached(found: Sequence[Mapping[str, Any] | None]) -> str:
    """Whether a goal is, of its rows on the sets; nothing where it was not measured on enough."""
    met = [row["met"] for row in found if row is not None]
    if found[0] is None or len(met) < 3:
        return ""
    return "**yes**" if met[0] and sum(met[1:]) >= 2 else "no"


def _goal_cell(row: Mapping[str, Any] | None) -> str:
    if row is None or row["difference"] is None:
        return ""
    low, high = row["corrected_low"], row["corrected_high"]
    cost = "" if row["cost"] is None else f", cost x {row['cost']:.2f}"
    met = "**met**" if row["met"] else "missed"
    return f"{row['difference']:+.3f} [{low:+.3f}, {high:+.3f}]{cost}: {met}"


if __name__ == "__main__":
    main()
