"""What may be said: never more than the intervals allow."""

from __future__ import annotations

import pytest

from dipr1.evaluation.catalogue import METRICS
from dipr1.evaluation.comparison import Compared
from dipr1.report.verdict import WORDS, findings, headline, lead, state_of
from tests.unit.report.reporting import results_of

NOUNS = {"one": "person", "many": "people"}


def compared(arm: str, value: float, baseline: str | None = None, **fields) -> Compared:
    known = {"set": "d.s", "in_domain": True, "metric": "AP", "score": "confidence"}
    known |= {"low": value - 0.1, "high": value + 0.1, "num_seeds": 1, "num_images": 9}
    return Compared(**(known | {"arm": arm, "value": value, "baseline": baseline} | fields))


def effect(arm: str, baseline: str, low: float, high: float, **fields) -> Compared:
    return compared(
        arm,
        0.5,
        baseline,
        difference=(low + high) / 2,
        difference_low=low,
        difference_high=high,
        p=0.5,
        **fields,
    )


@pytest.mark.parametrize(
    ("low", "high", "better", "state"),
    [
        (0.01, 0.2, "AP", "better"),
        (-0.2, -0.01, "AP", "worse"),
        (-0.01, 0.2, "AP", "open"),
        (0.0, 0.2, "AP", "open"),
        (0.01, 0.2, "MR", "worse"),
        (-0.2, -0.01, "MR", "better"),
        (0.01, 0.2, "mean_boxes", ""),
    ],
)
def test_a_difference_is_clear_when_its_interval_leaves_out_zero(low, high, better, state):
    assert state_of(effect("a", "base", low, high), METRICS[better]) == state


def test_without_an_interval_nothing_is_clear():
    assert state_of(None, METRICS["AP"]) == ""


def test_the_headline_says_what_may_be_chance():
    values = {"base": 0.2, "dipr1": 0.3}
    rows = [effect("dipr1", "base", -0.01, 0.2)]
    results = results_of(values, rows)
    head = headline(results)
    assert "which may be chance" in lead(results, head, NOUNS)
    assert "chance" not in lead(results_of(values), head, NOUNS)
    [finding] = findings(results, head)
    assert (finding.state, WORDS[finding.state]) == ("open", "may be chance")
    assert "95 % interval of the difference −0.010 to +0.200" in finding.text


def test_the_headline_says_where_the_best_arm_is_worse():
    values = {"base": 0.2, "dipr1": 0.3}
    elsewhere = {"x.s": {"base": 0.2, "dipr1": 0.1}}
    rows = [effect("dipr1", "base", 0.01, 0.2)]
    clear = [*rows, effect("dipr1", "base", -0.2, -0.01, set="x.s")]
    for results in (results_of(values, **elsewhere), results_of(values, clear, **elsewhere)):
        assert "on x.s it is worse" in lead(results, headline(results), NOUNS)
    unsure = [*rows, effect("dipr1", "base", -0.2, 0.01, set="x.s")]
    results = results_of(values, unsure, **elsewhere)
    assert "worse" not in lead(results, headline(results), NOUNS)
    assert [finding.state for finding in findings(results, headline(results))] == ["better", "open"]


def test_the_base_may_win():
    results = results_of({"base": 0.9, "sft": 0.4, "dipr1": 0.2})
    found = headline(results)
    assert (found.best, found.rival) == ("base", "sft")
    assert found.pair == ["base", "sft"]
    assert "No trained arm beats <b>base</b>" in lead(results, found, NOUNS)


def test_an_arm_that_was_told_where_to_look_wins_nothing():
    results = results_of({"base": 0.2, "dipr1": 0.3, "dipr1+own": 0.35, "dipr1+oracle": 0.5})
    found = headline(results)
    assert (found.best, found.rival, found.pair) == ("dipr1+own", "base", ["base", "dipr1+own"])
    assert "oracle" not in lead(results, found, NOUNS)
    alone = results_of({"dipr1+oracle": 0.5})
    assert headline(alone).best == "dipr1+oracle"


def test_no_arm_may_have_a_value():
    results = results_of({"base": None, "dipr1": None})
    assert "no person is annotated there" in lead(results, headline(results), NOUNS)
