"""Compare arms: every metric with its interval, and every difference to the baselines with its own.

All runs of a set are resampled together (:mod:`dipr1.evaluation.intervals`): a resample holds the
same images, and the same seeds, for every arm. A difference is therefore judged by how it varies
itself, not by whether two intervals overlap. Arms of several seeds each are compared on the seeds
that both have; an arm of one seed, as one that is not trained, is compared with all of the other's.

Nothing is corrected for the number of comparisons: one p of twenty below 0.05 is what chance gives.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property

import numpy as np
import pyarrow as pa

from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.made import run_of
from dipr1.errors import UserError
from dipr1.evaluation.catalogue import METRICS, Ranking
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.intervals import (
    copies,
    over_seeds,
    percentile_interval,
    seed_copies,
    two_sided_p,
)
from dipr1.evaluation.measuring import none_if_nan, values_of

FIRST = "base"


@dataclass(frozen=True)
class Compared:
    """One metric of one arm on one set; with a baseline, also how it differs from that arm's.

    Attributes:
        set: `dataset.split`.
        in_domain: the set's data set is the one trained on; None where that is not known.
        arm: its name.
        metric: a name of the metrics artifact.
        score: what ranked the boxes; None for metrics that do not rank.
        value: on all images, mean over the seeds; None where undefined for one of them.
        low, high: interval of the value; with one seed over images only.
        num_seeds, num_images: what was resampled; with a baseline of several seeds only those that
            both arms have, as for the value and its interval.
        baseline: the arm that it is compared with; None where the row is about the arm alone.
        difference: the arm's value - the baseline's.
        difference_low, difference_high: interval of the difference.
        p: two-sided bootstrap p of the difference.
    """

    set: str
    in_domain: bool | None
    arm: str
    metric: str
    score: str | None
    value: float | None
    low: float | None
    high: float | None
    num_seeds: int
    num_images: int
    baseline: str | None = None
    difference: float | None = None
    difference_low: float | None = None
    difference_high: float | None = None
    p: float | None = None


@dataclass(frozen=True)
class Run:
    """The per-image figures of one arm and seed on one set."""

    arm: str
    seed: int
    set: str
    path: str
    images: Images


def compare(
    runs: Sequence[Run],
    *,
    baselines: Sequence[str] = ("base", "sft"),
    trained_on: str | None = None,
    names: Sequence[str] | None = None,
    resamples: int = 1000,
    seed: int = 0,
) -> list[Compared]:
    """Compare all arms on all sets.

    Args:
        runs: of every arm and seed on every set.
        baselines: arms that every other arm is compared with; those not measured are left out.
        trained_on: the data set trained on, or ``dataset.split``.
        names: metrics, in the order of the rows; by default all that the catalogue compares.
        resamples: of images and seeds.
        seed: of the resampling; the same runs, options and seed give the same rows.

    Returns:
        Per set, arm and metric one row with `baseline` None, then one per baseline that is another
        arm, with intervals that hold 95 % of the resampled values. Sets in the order of the runs;
        arms too, but `base` first.

    Raises:
        UserError: two runs of a set are about different images, or boxes were scored differently.
    """
    check_comparable(runs)
    if names is None:
        names = [name for name, metric in METRICS.items() if metric.compared]
    rows = []
    for number, name in enumerate(dict.fromkeys(run.set for run in runs)):
        on_set = [run for run in runs if run.set == name]
        measured = measure(on_set, names, resamples, (seed, number))
        in_domain = None if trained_on is None else _dataset(name) == _dataset(trained_on)
        for arm in measured:
            pairs = [
                on_shared_seeds(measured[arm], measured[other])
                for other in baselines
                if other != arm and other in measured
            ]
            for index, metric in enumerate(names):
                rows.append(measured[arm].alone(index, metric, in_domain))
                rows += [one.against(other, index, metric, in_domain) for one, other in pairs]
    return rows


def _dataset(of_set: str) -> str:
    return of_set.split(".")[0]


def read_run(path: str) -> Run:
    """Read an images artifact, which says itself of which arm, seed and set it is."""
    images = Images(IMAGES.read(path))
    return Run(*run_of(path), str(path), images)


def check_comparable(runs: Sequence[Run]) -> None:
    """Check that all boxes were scored alike and that the runs of a set have the same images.

    Raises:
        UserError: naming the first two files that differ.
    """
    first_of_set: dict[str, Run] = {}
    for run in runs:
        first = first_of_set.setdefault(run.set, run)
        if run.images.names != first.images.names:
            raise UserError(
                f"{run.path}: its images are not those of {first.path};"
                " run `dipr1 evaluate` on the same split for both"
            )
    first, *others = [run for run in runs if run.images.score is not None] or [None]
    for run in others:
        if run.images.score != first.images.score:
            raise UserError(
                f"{run.path}: boxes are scored by {run.images.score}, but by"
                f" {first.images.score} in {first.path};"
                " run `dipr1 evaluate` with the same --score for both"
            )


@dataclass(frozen=True)
class Measured:
    """One arm on one set, of S runs, by M metrics and in R resamples.

    Attributes:
        runs: one per seed, in the order of the seeds.
        by_seed: (S, M) each metric on all images.
        resampled_by_seed: (S, M, R) the same on each resample's images.
        seed: of the draws of seeds, which arms of the same seeds share.
    """

    runs: Sequence[Run]
    by_seed: np.ndarray
    resampled_by_seed: np.ndarray
    seed: int

    @property
    def seeds(self) -> list[int]:
        """Of its runs."""
        return [run.seed for run in self.runs]

    @cached_property
    def values(self) -> np.ndarray:
        """(M,) each metric on all images, mean over the seeds."""
        return self.by_seed.mean(axis=0)

    @cached_property
    def resampled(self) -> np.ndarray:
        """(M, R) the same in each resample, which draws the seeds as well."""
        rng = np.random.default_rng([self.seed, *self.seeds])
        drawn = seed_copies(len(self.runs), self.resampled_by_seed.shape[2], rng)
        by_metric = self.resampled_by_seed.swapaxes(0, 1)
        return np.array([over_seeds(of_metric, drawn) for of_metric in by_metric])

    def on(self, seeds: Collection[int]) -> Measured:
        """The arm on some of its seeds only."""
        kept = tuple(place for place, seed in enumerate(self.seeds) if seed in seeds)
        return self if len(kept) == len(self.runs) else self._on(kept)

    def _on(self, kept: tuple[int, ...]) -> Measured:
        """The arm on the runs at these places; one object each, for what it keeps is dear."""
        if kept not in self._parts:
            self._parts[kept] = replace(
                self,
                runs=[self.runs[place] for place in kept],
                by_seed=self.by_seed[[*kept]],
                resampled_by_seed=self.resampled_by_seed[[*kept]],
            )
        return self._parts[kept]

    @cached_property
    def _parts(self) -> dict[tuple[int, ...], Measured]:
        return {}

    def alone(self, index: int, metric: str, in_domain: bool | None) -> Compared:
        """The row about this arm's metric number `index`, whose name is `metric`."""
        low, high = percentile_interval(self.resampled[index])
        first = self.runs[0]
        return Compared(
            set=first.set,
            in_domain=in_domain,
            arm=first.arm,
            metric=metric,
            score=first.images.score if isinstance(METRICS[metric], Ranking) else None,
            value=none_if_nan(self.values[index]),
            low=none_if_nan(low),
            high=none_if_nan(high),
            num_seeds=len(self.runs),
            num_images=len(first.images),
        )

    def against(self, other: Measured, index: int, metric: str, in_domain: bool | None) -> Compared:
        """The row :meth:`alone` with the difference to another arm."""
        differences = self.resampled[index] - other.resampled[index]
        low, high = percentile_interval(differences)
        return replace(
            self.alone(index, metric, in_domain),
            baseline=other.runs[0].arm,
            difference=none_if_nan(self.values[index] - other.values[index]),
            difference_low=none_if_nan(low),
            difference_high=none_if_nan(high),
            p=none_if_nan(two_sided_p(differences)),
        )


def on_shared_seeds(*arms: Measured) -> list[Measured]:
    """The arms on the seeds that all of them have, but for those that have one seed only.

    Where arms of several seeds share none, each is left with its own: only the images are paired.
    """
    several = [set(arm.seeds) for arm in arms if len(arm.runs) > 1]
    shared = set.intersection(*several) if several else set()
    return [arm.on(shared) if shared and len(arm.runs) > 1 else arm for arm in arms]


def measure(
    runs: Sequence[Run], names: Sequence[str], resamples: int, seed: tuple[int, int]
) -> dict[str, Measured]:
    """Measure all arms on one set, each resample drawing the same images for all of them.

    Args:
        runs: of one set.
        names: metrics that can be resampled.
        resamples: R.
        seed: of the resampling, and a number of the set's own.

    Returns:
        By arm, `base` first, the others in the order of the runs.
    """
    weights = copies(len(runs[0].images), resamples, np.random.default_rng(seed))
    arms = sorted(dict.fromkeys(run.arm for run in runs), key=lambda arm: arm != FIRST)
    return {
        arm: _measured([run for run in runs if run.arm == arm], names, weights, seed[0])
        for arm in arms
    }


def _measured(
    runs: Sequence[Run], names: Sequence[str], weights: np.ndarray, seed: int
) -> Measured:
    """Measure all seeds of an arm on the resampled images."""
    runs = sorted(runs, key=lambda run: run.seed)
    values = np.array([values_of(run.images, names)[:, 0] for run in runs])
    by_seed = np.array([values_of(run.images, names, weights) for run in runs])
    return Measured(runs, values, by_seed, seed)


def comparison_table(rows: Sequence[Compared]) -> pa.Table:
    """The comparison artifact."""
    return pa.Table.from_pylist([asdict(row) for row in rows], COMPARISON.schema)
