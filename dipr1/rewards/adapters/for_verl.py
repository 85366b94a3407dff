"""The rewards for verl: their weighted sum per response, and each of them for its log.

In verl's configuration (0.9)::

    reward.custom_reward_function.path=pkg://dipr1.rewards.adapters.for_verl
    reward.custom_reward_function.name=compute_score
    +reward.custom_reward_function.reward_kwargs.weights='{reasoning: 1, looking: 0.3, accuracy: 3}'

The last line is optional, and so is ``+reward.custom_reward_function.reward_kwargs.options=...``,
with what an arm of config.yaml may have, such as ``{quality: hard}``. Older releases write
``custom_reward_function`` without ``reward.`` and take the path of a file, which is this one's. The
column ``reward_model`` of the Parquet files holds ``{"style": "rule", "ground_truth": ...}``, the
ground truth a mapping of :data:`dipr1.rewards.scores.GROUND_TRUTH` or, so that all rows have one
type, its JSON, with ``"prompt_end": "<think>"`` where the chat template ends the prompt in that.

How verl calls it: verl-project/verl, verl/experimental/reward_loop/reward_manager/naive.py (one
response, by keyword, in a thread) and, in older releases,
verl/workers/reward_manager/batch.py (all of a batch). A result that is a mapping has its ``score``
taken as the reward and the rest of it logged. The keys of the first result are looked up in all
others, so all have the same: a reward that a row has not, such as `looking` without regions, is NaN
and adds nothing to the score. The mean that verl logs of it is NaN as well wherever one row of a
`data_source` is without: give those rows a `data_source` of their own.

``{looking_source: group}`` needs all responses to a prompt in one call, which `compute_score` never
has: use `compute_score_batch`, with an ``image_id`` in the ground truth.

verl 0.9 wants older transformers than ``dipr1[train]``: install ``dipr1`` alone beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dipr1.rewards.scores import counted, score_responses


def compute_score(
    data_source: str,
    solution_str: str,
    ground_truth: Mapping[str, Any] | str,
    extra_info: Mapping[str, Any] | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    **others: Any,
) -> dict[str, float]:
    """The reward of one response.

    Args:
        data_source: not used.
        solution_str: the response.
        ground_truth: of its image; model frame.
        extra_info: not used.
        weights: of the rewards in the score, as in `dipr1.rewards.scores.score_response`.
        options: of the rewards, as in `dipr1.rewards.scores.score_responses`.
        others: what else verl gives; not used.

    Returns:
        ``score`` and the rewards it is the weighted sum of, NaN where there is none.

    Raises:
        ValueError: the ground truth cannot be read.

    >>> compute_score("crowd", "nobody", '{"gt_boxes": []}')
    {'score': 0.0, 'reasoning': 0.0, 'looking': nan, 'accuracy': 0.0}
    """
    given = {"weights": weights, "options": options}
    return compute_score_batch([""], [solution_str], [ground_truth], **given)[0]


def compute_score_batch(
    data_sources: Sequence[str],
    solution_strs: Sequence[str],
    ground_truths: Sequence[Mapping[str, Any] | str],
    extra_infos: Sequence[Mapping[str, Any]] | None = None,
    *,
    weights: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
    **others: Any,
) -> list[dict[str, float]]:
    """The rewards of a batch, for ``reward_manager: batch`` of older releases.

    >>> compute_score_batch(["crowd"], ["nobody"], [{"gt_boxes": []}])
    [{'score': 0.0, 'reasoning': 0.0, 'looking': nan, 'accuracy': 0.0}]
    """
    scores = score_responses(solution_strs, ground_truths, weights=weights, options=options)
    undefined = dict.fromkeys(counted(weights), math.nan)
    return [{"score": score.pop("total"), **undefined, **score} for score in scores]
