"""What the page is made of: metrics, their intervals, training logs, and means over the seeds.

Arm, seed and evaluation set are read from the paths, which are those of the workflow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa

from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.errors import UserError
from dipr1.evaluation.comparison import Compared, compare

BASE = "base"

RUN_PATH = re.compile(
    r"(?:^|/)(?P<arm>[^/]+)/seed(?P<seed>\d+)/(?P<set>[^/.]+\.[^/.]+)(?:\.images)?\.parquet$"
)
SET_PATH = re.compile(r"(?:^|/)(?P<dataset>[^/]+)/(?P<split>[^/.]+)(?:\.rejects)?\.parquet$")
LOG_PATH = re.compile(r"(?:^|/)(?P<arm>[^/]+)/seed(?P<seed>\d+)/training_log\.parquet$")

REWARD = re.compile(r"rewards/(\w+)_reward/mean")


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
        arms: in the order of the files, `base` first.
        sets: `dataset.split`, in the order of the files; the first one is the headline.
        metrics: (arm, seed, set) -> value by name.
        logs: (arm, seed) -> (steps, values) by name.
        compared: intervals and differences; empty where the images were not given.
        images: (arm, seed, set) -> the per-image artifact, for curves.
        resamples: of the bootstrap behind the intervals.
    """

    arms: list[str]
    sets: list[str]
    metrics: dict[tuple[str, int, str], dict[str, float | None]]
    logs: dict[tuple[str, int], dict[str, tuple[np.ndarray, np.ndarray]]]
    compared: list[Compared] = field(default_factory=list)
    images: dict[tuple[str, int, str], pa.Table] = field(default_factory=dict)
    resamples: int = 0

    @cached_property
    def _compared(self) -> dict[tuple, Compared]:
        return {(row.arm, row.set, row.metric, row.baseline): row for row in self.compared}

    def interval(self, arm: str, dataset: str, name: str) -> Compared | None:
        """The metric of an arm with its interval; None where there is none."""
        found = self._compared.get((arm, dataset, name, None))
        return found if found is not None and found.low is not None else None

    def effect(self, arm: str, dataset: str, name: str, baseline: str) -> Compared | None:
        """An arm's difference to a baseline with its interval; None where there is none."""
        found = self._compared.get((arm, dataset, name, baseline))
        return found if found is not None and found.difference_low is not None else None

    @property
    def base(self) -> str | None:
        """The arm that was not trained: `base`, or else the first one without a training log."""
        if BASE in self.arms:
            return BASE
        return next((arm for arm in self.arms if self.logs and not self.updates(arm)), None)

    @property
    def baselines(self) -> list[str]:
        """What the others are compared with: the base and the arms trained without a reward."""
        without = [arm for arm in self.arms if self.logs and not self.rewards(arm)]
        return list(dict.fromkeys([self.base, *without] if self.base else without))

    def seeds(self, arm: str) -> list[int]:
        """The seeds of an arm, in increasing order."""
        return sorted({seed for name, seed, _ in self.metrics if name == arm})

    def mean(self, arm: str, dataset: str, name: str) -> Mean:
        """A metric of one arm on one set, over its seeds."""
        values = [
            figures.get(name)
            for (found, _, where), figures in self.metrics.items()
            if found == arm and where == dataset
        ]
        if not values or None in values:
            return Mean(None, None)
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        return Mean(float(np.mean(values)), spread)

    def best(self, dataset: str, name: str, *, higher: bool = True) -> list[str]:
        """The arms with the best mean of a metric; several where they are equal."""
        means = {arm: self.mean(arm, dataset, name).value for arm in self.arms}
        known = {arm: value for arm, value in means.items() if value is not None}
        if not known:
            return []
        top = max(known.values()) if higher else min(known.values())
        return [arm for arm, value in known.items() if value == top]

    def updates(self, arm: str) -> int:
        """How many updates an arm was trained for; 0 where it has no training log."""
        steps = [
            series[0].max(initial=0)
            for (name, _), log in self.logs.items()
            if name == arm
            for series in log.values()
        ]
        return int(max(steps, default=0))

    def rewards(self, arm: str) -> list[str]:
        """The rewards an arm was trained with, e.g. `reasoning`; none for other methods."""
        logged = [name for (found, _), log in self.logs.items() if found == arm for name in log]
        return list(dict.fromkeys(match[1] for match in map(REWARD.fullmatch, logged) if match))


CURVE_COLUMNS = ["label_objects", "box_score", "box_coco", "region_uncertainty", "region_erred"]


def read_results(metrics: Sequence[str], training_logs: Sequence[str]) -> Results:
    """Read the metrics and the training logs of all arms.

    Raises:
        UserError: a path does not tell arm, seed and set, a file is missing or not the artifact,
            or an arm was not measured on all sets.
    """
    measured = {}
    for path in metrics:
        arm, seed, dataset = run_of(path)
        table = METRICS.read(path, ["name", "value"]).to_pydict()
        measured[arm, seed, dataset] = dict(zip(table["name"], table["value"], strict=True))
    arms = list(dict.fromkeys(arm for arm, _, _ in measured))
    arms.sort(key=lambda arm: arm != BASE)  # stable: only `base` moves
    sets = list(dict.fromkeys(dataset for _, _, dataset in measured))
    for arm, seed in {(arm, seed): None for arm, seed, _ in measured}:
        for dataset in sets:
            if (arm, seed, dataset) not in measured:
                raise UserError(
                    f"--metrics: arm {arm!r}, seed {seed} has no metrics of {dataset!r};"
                    " run `dipr1 evaluate` for it or leave the set out"
                )
    return Results(arms, sets, measured, dict(_read_log(path) for path in training_logs))


def with_intervals(
    results: Results, images: Sequence[str], trained_on: str | None, resamples: int = 1000
) -> Results:
    """The results with what the per-image artifacts add: intervals, differences and curves.

    Args:
        results: of the same runs.
        images: paths of the images artifacts; without any the results stay as they are.
        trained_on: `dataset.split` of the training.
        resamples: of the bootstrap.
    """
    if not images:
        return results
    return replace(
        results,
        compared=compare(
            images, baselines=results.baselines, trained_on=trained_on, resamples=resamples
        ),
        images={run_of(path): IMAGES.read(path, CURVE_COLUMNS) for path in images},
        resamples=resamples,
    )


def _read_log(path: str) -> tuple[tuple[str, int], dict[str, tuple[np.ndarray, np.ndarray]]]:
    found = LOG_PATH.search(Path(path).as_posix())
    if found is None:
        raise UserError(
            f"--training-logs: expected .../ARM/seedN/training_log.parquet but got {path}"
        )
    table = TRAINING_LOG.read(path)
    steps, values = table["step"].to_numpy(), table["value"].to_numpy()
    names = np.array(table["name"].to_pylist(), dtype=object)
    log = {
        name: (steps[names == name], values[names == name])
        for name in dict.fromkeys(names.tolist())
    }
    return (found["arm"], int(found["seed"])), log


def run_of(path: str) -> tuple[str, int, str]:
    """Arm, seed and `dataset.split` that a path names.

    >>> run_of("results/metrics/dipr1/seed0/crowdscenes.validation.parquet")
    ('dipr1', 0, 'crowdscenes.validation')
    """
    found = RUN_PATH.search(Path(path).as_posix())
    if found is None:
        raise UserError(f"{path}: expected a path .../ARM/seedN/DATASET.SPLIT.parquet")
    return found["arm"], int(found["seed"]), found["set"]


def set_of(path: str) -> str:
    """The `dataset.split` that a path names.

    >>> set_of("results/annotations/crowdscenes/validation.parquet")
    'crowdscenes.validation'
    """
    found = SET_PATH.search(Path(path).as_posix())
    if found is None:
        raise UserError(f"{path}: expected a path .../DATASET/SPLIT.parquet")
    return f"{found['dataset']}.{found['split']}"
