"""What the rewards share: a completion's text, its columns, F-beta, and metrics for the log."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

LogMetric = Callable[[str, float], None]


def completion_text(completion: str | Sequence[Mapping[str, Any]]) -> str:
    """The text of a completion: a string, or the last message of a conversation.

    >>> completion_text([{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}])
    'hello'
    """
    if isinstance(completion, str):
        return completion
    content = completion[-1]["content"] if len(completion) else ""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content or () if part.get("type") == "text")


def rows(
    completions: Sequence[Any],
    columns: Mapping[str, Any],
    reward: str,
    *,
    required: Sequence[str] = (),
    optional: Sequence[str] = (),
) -> Iterator[tuple[Any, ...]]:
    """Each completion with its entries of the required and of the optional columns, in that order.

    An entry of an optional column that is not given is None.

    Raises:
        ValueError: a required column is not given; the message names it and the `reward`.

    >>> list(rows(["yes"], {"gt_boxes": [[]]}, "mine", required=["gt_boxes"], optional=["labels"]))
    [('yes', [], None)]
    """
    for name in required:
        if columns.get(name) is None:
            given = ", ".join(sorted(columns)) or "none"
            raise ValueError(f"{reward} needs the column {name!r}; the columns given are: {given}")
    absent = [None] * len(completions)
    chosen = [columns.get(name) for name in (*required, *optional)]
    chosen = [absent if column is None else column for column in chosen]
    return zip(completions, *chosen, strict=True)


def uncertainties(values: Sequence[float | None] | None, length: int) -> np.ndarray:
    """(length,) float64; None and NaN are 0: nothing is known of that box.

    >>> uncertainties([0.5, None], 2)
    array([0.5, 0. ])
    """
    if values is None:
        return np.zeros(length)
    known = np.array(values, dtype=np.float64)
    # By a comparison: one call less than asking for NaN.
    return np.where(known == known, known, 0.0)


def f_beta(precision: float, recall: float, beta: float) -> float:
    """F-beta of precision and recall; 0 where both are 0. beta > 1 favours recall.

    >>> f_beta(0.5, 1.0, 1.0)
    0.6666666666666666
    """
    denominator = beta * beta * precision + recall
    return (1.0 + beta * beta) * precision * recall / denominator if denominator > 0.0 else 0.0


def log_means(log_metric: LogMetric | None, metrics: Mapping[str, list[float]]) -> None:
    """Report the mean over the batch of each metric that has a value for some completion."""
    if log_metric is None:
        return
    for name, values in metrics.items():
        if values:
            log_metric(name, sum(values) / len(values))
