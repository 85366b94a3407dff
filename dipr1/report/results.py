"""What the page is made of: metrics, training logs, and means over the seeds.

Arm, seed and evaluation set are read from the paths, which are those of the workflow.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dipr1.errors import UserError
from dipr1.tables import read_table

BASE = "base"

RUN_PATH = re.compile(r"(?:^|/)(?P<arm>[^/]+)/seed(?P<seed>\d+)/(?P<set>[^/]+\.[^/]+)\.parquet$")
SET_PATH = re.compile(r"(?:^|/)(?P<dataset>[^/]+)/(?P<split>[^/]+)\.parquet$")
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
    """

    arms: list[str]
    sets: list[str]
    metrics: dict[tuple[str, int, str], dict[str, float | None]]
    logs: dict[tuple[str, int], dict[str, tuple[np.ndarray, np.ndarray]]]

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


def read_results(metrics: Sequence[str], training_logs: Sequence[str]) -> Results:
    """Read the metrics and the training logs of all arms.

    Raises:
        UserError: a path does not tell arm, seed and set, a file is missing or not the artifact,
            or an arm was not measured on all sets.
    """
    measured = {}
    for path in metrics:
        arm, seed, dataset = run_of(path)
        table = read_table(path, "metrics").to_pydict()
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


def _read_log(path: str) -> tuple[tuple[str, int], dict[str, tuple[np.ndarray, np.ndarray]]]:
    found = LOG_PATH.search(Path(path).as_posix())
    if found is None:
        raise UserError(
            f"--training-logs: expected .../ARM/seedN/training_log.parquet but got {path}"
        )
    table = read_table(path, "training_log")
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
