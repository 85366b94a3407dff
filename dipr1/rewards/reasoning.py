"""Reasoning reward: is the response in three steps, as asked?

The paper's abstract names a reward for an answer in three steps. We have read the abstract only, so
the rule is ours: the form of :mod:`dipr1.responses`, all or nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dipr1.responses import PROBLEMS, SECTIONS, Response, parse_response
from dipr1.rewards.completions import log_means, rows


class ReasoningReward:
    """1.0 for a well-formed response, else 0.0.

    Args:
        graded: give a third for each section that is present once, in order, and parses.
    """

    __name__ = "reasoning_reward"
    needs: tuple[str, ...] = ()

    def __init__(self, graded: bool = False) -> None:
        self.graded = graded

    def __call__(self, completions: Sequence[Any], **columns: Any) -> list[float | None]:
        """One reward in [0, 1] per completion; the column `labels` is used where it is given.

        >>> ReasoningReward()(["<think>empty</think> <look>[]</look> <answer>[]</answer>", "no"])
        [1.0, 0.0]
        """
        responses = [
            parse_response(text, labels)
            for text, labels in rows(completions, columns, self.__name__, optional=("labels",))
        ]
        well_formed = [float(response.well_formed) for response in responses]
        if columns.get("log_metric") is not None:
            log_means(columns["log_metric"], _metrics(responses))
        return [_sections_in_form(r) / 3 for r in responses] if self.graded else well_formed


def _metrics(responses: Sequence[Response]) -> dict[str, list[bool]]:
    """What is logged of the form: every problem at every step, also where no response has it."""
    problems = {f"problems/{name}": [name in r.problems for r in responses] for name in PROBLEMS}
    return problems | {
        "response/well_formed": [response.well_formed for response in responses],
        "response/truncated": [
            any(problem.endswith("_unclosed") for problem in response.problems)
            for response in responses
        ],
    }


def _sections_in_form(response: Response) -> int:
    """How many of the three sections have no problem of form."""
    if "no_tags" in response.problems:
        return 0
    faulty = {
        problem.split("_")[0]
        for problem in response.problems
        if not problem.endswith("_degenerate_box")
    }
    return sum(section not in faulty for section in SECTIONS)


_DEFAULT = ReasoningReward()


def reasoning_reward(completions: Sequence[Any], **columns: Any) -> list[float | None]:
    """`ReasoningReward` with its defaults."""
    return _DEFAULT(completions, **columns)
