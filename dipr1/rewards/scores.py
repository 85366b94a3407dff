"""All rewards of a response and their weighted sum, from one record of ground truth.

Trainers that hand over one ground truth per response, rather than one column per quantity, are
served from here: those of :mod:`dipr1.rewards.adapters`, and any other by `score_response`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from dipr1.rewards import REWARDS
from dipr1.rewards.completions import as_lists

WEIGHTS = {name: reward.weight for name, reward in REWARDS.items()}
"""Of the rewards in the total, unless others are given: those of the arm `dipr1` in config.yaml."""

GROUND_TRUTH = (
    "gt_boxes",
    "gt_labels",
    "ignore_boxes",
    "ignore_labels",
    "gt_uncertainty",
    "region_boxes",
    "region_uncertainty",
    "frame_width",
    "frame_height",
    "labels",
    "prompt_end",
)
"""What a record of ground truth may hold, as the columns of :mod:`dipr1.rewards`, for one image."""

GROUP = ("image_id", "prompt_id")
"""What may come with it, and tells which responses are one group: `looking_source: group`."""


def score_response(
    text: str, *, weights: Mapping[str, float] | None = None, **ground_truth: Any
) -> dict[str, float]:
    """The rewards of one response.

    Args:
        text: the completion, without special tokens.
        weights: of each reward in the total; one that is not named counts for nothing. None takes
            `WEIGHTS`.
        ground_truth: `gt_boxes`, and what else is known of `GROUND_TRUTH`. Model frame.

    Returns:
        The rewards by name and their `total`: those with a weight in either `weights` or `WEIGHTS`.
        One is left out where there is not what it needs, such as `looking` without `region_boxes`.

    Raises:
        ValueError: `gt_boxes` is missing, or a name is unknown.

    >>> score_response(
    ...     '<think>one</think><look>[]</look><answer>[{"bbox_2d": [0, 0, 2, 2]}]</answer>',
    ...     gt_boxes=[[0, 0, 2, 2]],
    ... )
    {'reasoning': 0.0, 'accuracy': 1.0, 'total': 3.0}
    """
    return score_responses([text], [ground_truth], weights=weights)[0]


def score_responses(
    texts: Sequence[str],
    ground_truths: Sequence[Mapping[str, Any] | str],
    *,
    weights: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[dict[str, float]]:
    """The rewards of several responses, each as `score_response` gives it.

    Args:
        texts: the completions.
        ground_truths: a mapping for each, or its JSON.
        weights: as in `score_response`.
        options: of the rewards, as an arm of config.yaml has them. With `looking_source: group`
            responses whose ground truth has one `image_id` (and `prompt_id`, if given) are a group.

    Raises:
        ValueError: as in `score_response`, or an option is unknown.
    """
    weights = WEIGHTS if weights is None else weights
    records = [read_ground_truth(ground_truth) for ground_truth in ground_truths]
    columns = {name: [record.get(name) for record in records] for name in GROUND_TRUTH}
    for name in GROUP:
        if any(name in record for record in records):
            columns[name] = [record.get(name) for record in records]
    makers = _with_options(options or {})
    rewards = {name: makers[name]()(texts, **columns) for name in counted(weights)}
    scores = []
    for values in zip(*rewards.values(), strict=True):
        defined = {n: v for n, v in zip(rewards, values, strict=True) if v is not None}
        total = sum(weights.get(name, 0.0) * value for name, value in defined.items())
        scores.append(defined | {"total": float(total)})
    return scores


def counted(weights: Mapping[str, float] | None = None) -> list[str]:
    """The rewards that are computed with these weights: those with one here or in `WEIGHTS`.

    Raises:
        ValueError: a name is unknown.

    >>> counted({"accuracy": 1.0})
    ['reasoning', 'looking', 'accuracy']
    """
    weights = weights or {}
    if unknown := sorted(set(weights) - set(WEIGHTS)):
        raise ValueError(f"weights: expected {', '.join(WEIGHTS)} but got {', '.join(unknown)}")
    return [name for name in WEIGHTS if WEIGHTS[name] or weights.get(name)]


def _with_options(options: Mapping[str, Any]) -> dict[str, Callable[[], Any]]:
    """How each reward is made with its options."""
    known = [option.key for reward in REWARDS.values() for option in reward.options]
    if unknown := sorted(set(options) - set(known)):
        raise ValueError(f"options: expected {', '.join(known)} but got {', '.join(unknown)}")
    return {
        name: partial(
            reward.make,
            **{o.parameter: options[o.key] for o in reward.options if o.key in options},
        )
        for name, reward in REWARDS.items()
    }


def read_ground_truth(ground_truth: Mapping[str, Any] | str) -> dict[str, Any]:
    """A record of ground truth as plain lists.

    Args:
        ground_truth: a mapping or its JSON. Values may be arrays, and arrays of arrays, which is
            what data frames make of nested lists.

    Raises:
        ValueError: it is no such record, `gt_boxes` is missing, regions have no uncertainty, or a
            name is unknown.

    >>> read_ground_truth('{"gt_boxes": [[0, 0, 2, 2]], "gt_labels": ["person"]}')
    {'gt_boxes': [[0, 0, 2, 2]], 'gt_labels': ['person']}
    """
    record = json.loads(ground_truth) if isinstance(ground_truth, str) else ground_truth
    if not isinstance(record, Mapping):
        raise ValueError(
            f"ground truth: expected a mapping or its JSON but got {type(record).__name__}"
        )
    if unknown := sorted(set(record) - {*GROUND_TRUTH, *GROUP}):
        raise ValueError(
            f"ground truth: {', '.join(unknown)} is not known; "
            f"it may have {', '.join(GROUND_TRUTH)}"
        )
    read = {name: as_lists(record[name]) for name in record if record[name] is not None}
    if "gt_boxes" not in read:
        given = ", ".join(sorted(read)) or "nothing"
        raise ValueError(f"ground truth: expected gt_boxes, an empty list if need be; got {given}")
    if ("region_boxes" in read) != ("region_uncertainty" in read):
        raise ValueError("ground truth: expected both region_boxes and region_uncertainty, or none")
    return read
