"""A response as an engine generates it, and how likely the policy thought each of its boxes."""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
FLAT_ARRAY = re.compile(r"\[[^\[\]{}]*\]")


@dataclass(frozen=True)
class Generated:
    """One response as it came out of the policy."""

    text: str
    num_tokens: int
    token_ends: np.ndarray  # (T,) position in `text` where each token ends
    token_probabilities: np.ndarray  # (T,) of the token that was chosen


def box_confidence(response: Generated, num_boxes: int) -> np.ndarray:
    """Mean probability of the tokens of each answer box's four numbers.

    This is the `confidence` score (:mod:`dipr1.evaluation.scoring`): MLLMs print none, and average
    precision needs a ranking. Where the numbers cannot be told apart (the answer needed repair),
    every box gets the mean over the whole response.

    Returns:
        (num_boxes,) float32.
    """
    sums, tokens = _sums_over_numbers(response, num_boxes, response.token_probabilities)
    return (sums / tokens).mean(axis=1).astype(np.float32)


def box_log_likelihood(response: Generated, num_boxes: int) -> np.ndarray:
    """Mean log-probability of the tokens of each answer box's four numbers.

    Its exponential is the `likelihood` score: one token that the policy thought unlikely weighs
    more than in :func:`box_confidence`, and a number of many tokens more than one of few.

    Returns:
        (num_boxes,) float32, at most 0.
    """
    smallest = np.finfo(np.float32).tiny  # a probability that rounds to 0 has no logarithm
    logarithms = np.log(np.maximum(response.token_probabilities, smallest, dtype=np.float64))
    sums, tokens = _sums_over_numbers(response, num_boxes, logarithms)
    return (sums.sum(axis=1) / tokens.sum(axis=1)).astype(np.float32)


def _sums_over_numbers(
    response: Generated, num_boxes: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the tokens' values over each number of each box, and how many tokens it has.

    Args:
        response: its text and where its tokens end.
        num_boxes: boxes of the answer.
        values: (T,) one per token.

    Returns:
        Two arrays (num_boxes, 4); those of the whole response where its numbers cannot be told
        apart.
    """
    if not num_boxes:
        return np.zeros((0, 4)), np.ones((0, 4))
    answer = max(response.text.rfind("<answer>"), 0)
    spans = [
        number.span()
        for array in FLAT_ARRAY.finditer(response.text, answer)
        if len(numbers := list(NUMBER.finditer(response.text, *array.span()))) == 4
        for number in numbers
    ]
    if len(spans) != 4 * num_boxes:
        shape = (num_boxes, 4)
        return np.full(shape, values.sum(dtype=np.float64)), np.full(shape, len(values))
    begins, ends = np.array(spans).T
    first = np.searchsorted(response.token_ends, begins, side="right")
    last = np.searchsorted(response.token_ends, ends, side="left")
    cumulative = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums = cumulative[last + 1] - cumulative[first]
    return sums.reshape(num_boxes, 4), (last + 1 - first).reshape(num_boxes, 4)
