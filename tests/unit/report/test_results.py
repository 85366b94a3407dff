"""Means over the seeds, the best arms, and which arms the others are compared with."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest

from dipr1.evaluation.catalogue import METRICS
from dipr1.report.results import FIGURES, LOGS, Mean, Results
from tests.unit.report.reporting import results_of


def test_an_untrained_arm_of_another_name_is_the_base():
    logged = {"sft": "loss", "ours": "rewards/accuracy_reward/mean"}
    rows = [(arm, 0, step, name, 0.1) for arm, name in logged.items() for step in (1, 5)]
    logs = pl.DataFrame(rows, LOGS, orient="row")
    results = replace(results_of({"sft": 0.1, "zero": 0.2, "ours": 0.3}), logs=logs)
    assert results.base == "zero"
    assert results.baselines == ["zero", "sft"]
    assert [results.updates(arm) for arm in results.arms] == [5, 0, 5]
    assert results.rewards("ours") == ["accuracy"]


def test_an_arm_without_a_value_is_never_best():
    results = results_of({"base": None, "sft": 0.1})
    assert results.best("d.s", METRICS["AP"]) == ["sft"]
    assert results.mean("base", "d.s", "AP") == Mean(None, None)


def test_equal_arms_are_all_best():
    results = results_of({"a": 0.5, "b": 0.5, "c": 1.0})
    assert results.best("d.s", replace(METRICS["AP"], better="lower")) == ["a", "b"]
    assert results.best("d.s", replace(METRICS["AP"], better="")) == []


def test_a_mean_is_defined_where_it_is_for_every_seed():
    rows = [("a", seed, "d.s", "AP", value) for seed, value in enumerate((0.25, 0.75))]
    rows += [("a", seed, "d.s", "MR", value) for seed, value in enumerate((0.5, None))]
    results = Results(pl.DataFrame(rows, FIGURES, orient="row"))
    assert results.mean("a", "d.s", "AP") == Mean(0.5, pytest.approx(np.std([0.25, 0.75], ddof=1)))
    assert results.mean("a", "d.s", "MR") == Mean(None, None)
    assert (results.has("AP"), results.has("MR")) == (True, False)
