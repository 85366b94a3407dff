"""What goes wrong in a training, told from its log, and what to try.

The bounds are ours: where a healthy run on crowds stays well below.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from dipr1.progress import say

WINDOW = 10  # updates that are looked at together
SHORT = 0.5  # of the length in the first window

Means = Mapping[str, float]


@dataclass(frozen=True)
class Symptom:
    """Something that goes wrong.

    Attributes:
        share: of the means of the first and of the last window; None where the log does not say.
        bound: from here on it is wrong.
        words: for the user; {share} is put in.
        remedy: what to try.
    """

    share: Callable[[Means, Means], float | None]
    bound: float
    words: str
    remedy: str


def _of(name: str, among: str | None = None) -> Callable[[Means, Means], float | None]:
    """A figure of the last window, or its ratio to another."""

    def share(first: Means, last: Means) -> float | None:
        whole = 1.0 if among is None else last.get(among)
        return last[name] / whole if name in last and whole else None

    return share


def _lost_length(first: Means, last: Means) -> float | None:
    name = "completions/mean_length"
    return 1.0 - last[name] / first[name] if name in last and first.get(name) else None


SYMPTOMS = (
    Symptom(
        _lost_length,
        1.0 - SHORT,
        "responses are {share:.0%} shorter than in the beginning",
        "read some (show_every); a shorter answer may just pay: give beta a value such as 0.04,"
        " lower the learning rate, or weigh accuracy more",
    ),
    Symptom(
        _of("frac_reward_zero_std"),
        0.5,
        "in {share:.0%} of the groups all responses earn alike, and nothing is learned from them",
        "leave out images that are too easy or too hard (least_base_f1, most_base_f1), raise"
        " group_size or temperature",
    ),
    Symptom(
        _of("answer/unreadable"),
        0.2,
        "{share:.0%} of the answers cannot be read",
        "begin with an SFT arm (start), give the reasoning reward a weight, or lower the learning"
        " rate; problems/* in the log say what is wrong with them",
    ),
    Symptom(
        _of("completions/clipped_ratio"),
        0.1,
        "{share:.0%} of the responses are cut at the length limit",
        "raise max_completion_length, or look whether they repeat themselves (show_every)",
    ),
    Symptom(
        _of("answer/duplicates", "answer/boxes"),
        0.05,
        "{share:.0%} of the boxes repeat another of the same answer",
        "let precision count (aggregate fbeta), lower temperature or the learning rate",
    ),
    Symptom(
        _of("answer/swallowing", "answer/boxes"),
        0.1,
        "{share:.0%} of the boxes swallow several objects and are the box of none",
        "let the least IoU rise (match_ious), or train on crops, where people are larger (crops)",
    ),
)


def warnings_of(history: Sequence[Mapping[str, float]]) -> list[str]:
    """What is wrong in the last updates of a log, in words that say what to try.

    Args:
        history: an entry per update, names to values; None where nothing was measured.

    >>> warnings_of([{"completions/clipped_ratio": 0.25}] * WINDOW)[0][:54]
    '25% of the responses are cut at the length limit; try:'
    """
    return [_told(symptom, share) for symptom, share in _found(history)]


def tell_symptoms(trainer, arm: str) -> None:
    """Warn of what has begun to go wrong, one line each; what was told is known from the log."""
    from transformers import TrainerCallback

    class Watcher(TrainerCallback):
        def on_log(self, args, state, control, **kwargs):
            updates = [entry for entry in state.log_history if "loss" in entry]
            known = {symptom.remedy for symptom, _ in _found(updates[:-1])}
            for symptom, share in _found(updates):
                if symptom.remedy not in known and "loss" in state.log_history[-1]:
                    say(f"{arm}: update {state.global_step}: warning: {_told(symptom, share)}")

    trainer.add_callback(Watcher)


def _told(symptom: Symptom, share: float) -> str:
    return f"{symptom.words.format(share=share)}; try: {symptom.remedy}"


def _found(history: Sequence[Mapping[str, float]]) -> list[tuple[Symptom, float]]:
    if len(history) < WINDOW:
        return []
    first, last = _means(history[:WINDOW]), _means(history[-WINDOW:])
    shares = [(symptom, symptom.share(first, last)) for symptom in SYMPTOMS]
    return [(one, share) for one, share in shares if share is not None and share >= one.bound]


def _means(entries: Sequence[Mapping[str, float]]) -> dict[str, float]:
    """The mean of each figure over the entries that have it."""
    names = {name for entry in entries for name, value in entry.items() if value is not None}
    values = {name: [e[name] for e in entries if e.get(name) is not None] for name in names}
    return {name: sum(of) / len(of) for name, of in values.items()}
