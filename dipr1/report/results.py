"""What the page is made of: metrics, their intervals, training logs, and means over the seeds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import polars as pl

from dipr1.artifacts import Artifact
from dipr1.artifacts.made import arm_of, run_of
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.errors import UserError
from dipr1.evaluation.catalogue import Metric
from dipr1.evaluation.comparison import Compared, compare, read_run
from dipr1.evaluation.evaluated import Images
from dipr1.rewards import REWARDS

BASE = "base"

RUN = {"arm": pl.String, "seed": pl.Int64}
FIGURES = RUN | {"set": pl.String, "name": pl.String, "value": pl.Float64}
LOGS = RUN | {"step": pl.Int64, "name": pl.String, "value": pl.Float64}


@dataclass(frozen=True)
class Mean:
    """A metric of one arm on one set, over its seeds.

    Attributes:
        value: mean over the seeds; None where it is undefined for one of them.
        spread: standard deviation over the seeds (ddof 1); None with one seed.
    """

    value: float | None
    spread: float | None


@dataclass(frozen=True)
class Results:
    """Everything that was measured.

    Attributes:
        figures: a metric of a run per row, columns `FIGURES`; the first set is the headline.
        logs: a logged value per row, columns `LOGS`.
        compared: intervals and differences; empty where the images were not given.
        images: (arm, seed, set) -> the per-image figures, for curves; empty where not given.
        resamples: of the bootstrap behind the intervals.
    """

    figures: pl.DataFrame
    logs: pl.DataFrame = field(default_factory=lambda: pl.DataFrame(schema=LOGS))
    compared: list[Compared] = field(default_factory=list)
    images: dict[tuple[str, int, str], Images] = field(default_factory=dict)
    resamples: int = 0

    @cached_property
    def arms(self) -> list[str]:
        """In the order of the files, `base` first."""
        arms = self.figures["arm"].unique(maintain_order=True).to_list()
        return sorted(arms, key=lambda arm: arm != BASE)

    @cached_property
    def sets(self) -> list[str]:
        """`dataset.split`, in the order of the files."""
        return self.figures["set"].unique(maintain_order=True).to_list()

    @cached_property
    def _compared(self) -> dict[tuple, Compared]:
        return {(row.arm, row.set, row.metric, row.baseline): row for row in self.compared}

    def interval(self, arm: str, dataset: str, name: str) -> Compared | None:
        """The metric of an arm with its interval; None where there is none."""
        row = self._compared.get((arm, dataset, name, None))
        return row if row is not None and row.low is not None else None

    def effect(self, arm: str, dataset: str, name: str, baseline: str | None) -> Compared | None:
        """An arm's difference to a baseline with its interval; None where there is none."""
        row = self._compared.get((arm, dataset, name, baseline))
        return row if row is not None and row.difference_low is not None else None

    @property
    def base(self) -> str | None:
        """The arm that was not trained: `base`, or else the first one without a training log."""
        if BASE in self.arms:
            return BASE
        logged = len(self.logs)
        return next((arm for arm in self.arms if logged and not self.updates(arm)), None)

    @property
    def baselines(self) -> list[str]:
        """What the others are compared with.

        They are the base, the arms trained without a reward, and the one view of what looks again.
        """
        logged = len(self.logs)
        views = [arm for arm in self.arms if arm == one_view(arm)]
        without = [arm for arm in views if logged and not self.rewards(arm)]
        again = {one_view(arm) for arm in self.arms if arm not in views}
        wanted = [self.base] if self.base else []
        return list(dict.fromkeys(wanted + without + [arm for arm in views if arm in again]))

    def seeds(self, arm: str) -> list[int]:
        """The seeds of an arm, in increasing order."""
        return self.figures.filter(arm=arm)["seed"].unique().sort().to_list()

    def images_of(self, arm: str, dataset: str) -> list[Images]:
        """The per-image figures of each seed of an arm; none where they were not given."""
        return [self.images[arm, seed, dataset] for seed in self.seeds(arm) if self.images]

    @cached_property
    def _means(self) -> dict[tuple, Mean]:
        defined = pl.when(pl.col("value").null_count() == 0)
        of_seeds = self.figures.group_by("arm", "set", "name", maintain_order=True).agg(
            mean=defined.then(pl.col("value").mean()), spread=defined.then(pl.col("value").std())
        )
        return {row[:3]: Mean(*row[3:]) for row in of_seeds.iter_rows()}

    def mean(self, arm: str, dataset: str, name: str) -> Mean:
        """A metric of one arm on one set, over its seeds."""
        return self._means.get((arm, dataset, name), Mean(None, None))

    def has(self, name: str) -> bool:
        """Whether some arm has a value of a metric on some set."""
        return any(key[2] == name and mean.value is not None for key, mean in self._means.items())

    def best(self, dataset: str, metric: Metric, among: Sequence[str] | None = None) -> list[str]:
        """The arms with the best mean of a metric; several where they are equal.

        None where neither more nor less is better.

        Args:
            dataset: the set.
            metric: which one.
            among: the arms in question; by default all.
        """
        arms = self.arms if among is None else among
        means = {arm: self.mean(arm, dataset, metric.name).value for arm in arms}
        known = {arm: value for arm, value in means.items() if value is not None}
        if not known or not metric.better:
            return []
        top = max(known.values()) if metric.better == "higher" else min(known.values())
        return [arm for arm, value in known.items() if value == top]

    def updates(self, arm: str) -> int:
        """How many updates an arm was trained for; 0 where it has no training log."""
        return self.logs.filter(arm=one_view(arm))["step"].max() or 0

    def rewards(self, arm: str) -> list[str]:
        """The rewards an arm was trained with, e.g. `reasoning`; none for other methods."""
        logged = self.logs.filter(arm=one_view(arm))["name"].unique()
        return [name for name in REWARDS if logged_as(name) in logged]


def one_view(arm: str) -> str:
    """The arm whose answers are looked at again; an arm in one view itself.

    >>> one_view("dipr1+own"), one_view("dipr1")
    ('dipr1', 'dipr1')
    """
    return arm.partition("+")[0]


def is_told(arm: str) -> bool:
    """Whether an arm was told where to look: it says what could be gained, not what an arm gains.

    >>> is_told("dipr1+oracle"), is_told("dipr1+own"), is_told("oracle")
    (True, False, False)
    """
    return arm.partition("+")[2] == "oracle"


def logged_as(reward: str) -> str:
    """What trainers call a reward in their logs.

    >>> logged_as("looking")
    'rewards/looking_reward/mean'
    """
    return f"rewards/{reward}_reward/mean"


def read_results(metrics: Sequence[str], training_logs: Sequence[str]) -> Results:
    """Read the metrics and the training logs of all arms.

    Raises:
        UserError: a file is missing, is not the artifact or does not say what it is about, or an
            arm was not measured on all sets.
    """
    figures = _read_all(METRICS, metrics, FIGURES, run_of)
    runs = figures.select("arm", "seed").unique(maintain_order=True)
    sets = figures.select("set").unique(maintain_order=True)
    for arm, seed, name in runs.join(sets, how="cross").join(figures, [*RUN, "set"], "anti").rows():
        raise UserError(
            f"--metrics: arm {arm!r}, seed {seed} has no metrics of {name!r};"
            " run `dipr1 evaluate` for it or leave the set out"
        )
    return Results(figures, _read_all(TRAINING_LOG, training_logs, LOGS, arm_of))


def _read_all(artifact: Artifact, paths: Sequence[str], columns: dict, about) -> pl.DataFrame:
    """The files below each other; the first of the `columns` are what each is about."""
    tables = [pl.DataFrame(schema=columns)]
    for path in paths:
        table = pl.from_arrow(artifact.read(path))
        known = [
            pl.lit(value).alias(name) for name, value in zip(columns, about(path), strict=False)
        ]
        tables.append(table.with_columns(known).select(*columns).cast(columns))
    return pl.concat(tables)


def with_intervals(
    results: Results, images: Sequence[str], trained_on: str | None, resamples: int = 1000
) -> Results:
    """The results with what the per-image artifacts add: intervals, differences and curves.

    Args:
        results: of the same runs.
        images: paths of the images artifacts; without any the results stay as they are.
        trained_on: `dataset.split` of the training.
        resamples: of the bootstrap.

    Raises:
        UserError: those of a run are missing, or runs cannot be compared.
    """
    if not images:
        return results
    runs = [read_run(path) for path in images]
    of_run = {(run.arm, run.seed, run.set): run.images for run in runs}
    for arm, seed, name in results.figures.select(*RUN, "set").unique(maintain_order=True).rows():
        if (arm, seed, name) not in of_run:
            raise UserError(
                f"--images: those of arm {arm!r}, seed {seed} on {name!r} are missing;"
                " give their file too, or none at all"
            )
    compared = compare(
        runs, baselines=results.baselines, trained_on=trained_on, resamples=resamples
    )
    return replace(results, compared=compared, images=of_run, resamples=resamples)
