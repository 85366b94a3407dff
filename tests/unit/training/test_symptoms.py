"""What a training log says is wrong, by figures made by hand."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from dipr1.training.symptoms import SYMPTOMS, WINDOW, tell_symptoms, warnings_of

HEALTHY = {
    "loss": 0.1,
    "completions/mean_length": 100.0,
    "completions/clipped_ratio": 0.02,
    "frac_reward_zero_std": 0.2,
    "answer/unreadable": 0.05,
    "answer/boxes": 8.0,
    "answer/duplicates": 0.1,
    "answer/swallowing": 0.3,
}
ILL = {
    "completions/mean_length": (40.0, "responses are 60% shorter than in the beginning"),
    "frac_reward_zero_std": (0.75, "in 75% of the groups all responses earn alike"),
    "answer/unreadable": (0.5, "50% of the answers cannot be read"),
    "completions/clipped_ratio": (0.25, "25% of the responses are cut at the length limit"),
    "answer/duplicates": (2.0, "25% of the boxes repeat another of the same answer"),
    "answer/swallowing": (1.6, "20% of the boxes swallow several objects"),
}


def run(**changed) -> list[dict]:
    """A healthy window, and one with changes."""
    return [HEALTHY] * WINDOW + [HEALTHY | changed] * WINDOW


def test_a_healthy_run_is_left_alone():
    assert warnings_of(run()) == []


@pytest.mark.parametrize("name", ILL)
def test_each_symptom_is_told_with_what_to_try(name):
    value, words = ILL[name]
    [warning] = warnings_of(run(**{name: value}))
    assert warning.startswith(words)
    assert "; try: " in warning


def test_every_symptom_is_tried():
    assert len(ILL) == len(SYMPTOMS)
    assert len(warnings_of(run(**{name: value for name, (value, _) in ILL.items()}))) == len(ILL)


def test_a_short_log_and_one_without_figures_say_nothing():
    ill = {name: value for name, (value, _) in ILL.items()}
    assert warnings_of([HEALTHY | ill] * (WINDOW - 1)) == []
    assert warnings_of([{"loss": 2.0, "mean_token_accuracy": 0.5}] * 2 * WINDOW) == []
    assert warnings_of([{"loss": 2.0, "answer/boxes": 0.0, "answer/duplicates": 0.0}] * 10) == []
    assert warnings_of([{"loss": 2.0, "answer/unreadable": None}] * 10) == []


def test_a_warning_is_said_when_it_begins(capsys):
    """Whatever was said before a run was stopped: the log it goes on with tells."""
    pytest.importorskip("transformers")
    added = []
    tell_symptoms(SimpleNamespace(add_callback=lambda one: added.append(one())), "mine")
    history = [HEALTHY] * WINDOW
    said = []
    for step in range(WINDOW, 3 * WINDOW):
        history = [*history, HEALTHY | {"completions/clipped_ratio": 0.25}]
        state = SimpleNamespace(log_history=history, global_step=step + 1)
        added[0].on_log(None, state, None)
        said += [step + 1] * len(capsys.readouterr().err.splitlines())
    # after 4 updates the mean of ten is (4 * .25 + 6 * .02) / 10 = .112
    assert said == [WINDOW + 4]
