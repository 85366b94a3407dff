"""The rewards for EasyR1: their weighted sum per response, and each of them for its log.

In EasyR1's configuration (0.3), with the path of this file, which
``python -c "import dipr1.rewards.adapters.for_easyr1 as m; print(m.__file__)"`` prints::

    worker.reward.reward_function=PATH/for_easyr1.py:compute_score
    worker.reward.reward_function_kwargs='{weights: {reasoning: 1, looking: 0.3, accuracy: 3}}'

    data.min_pixels=3136 data.max_pixels=12845056

The weights are optional, and so are ``options``, with what an arm of config.yaml may have:
``options: {looking_source: group}``. Where ``worker.reward.reward_type`` exists, ``batch`` and
``sequential`` both work, groups with ``batch`` only and with an ``image_id`` in the ground truth.
The column that ``data.answer_key`` names holds the JSON of a mapping of
:data:`dipr1.rewards.scores.GROUND_TRUTH`, with ``"prompt_end": "<think>"`` where the chat template
ends the prompt in that.

The pixels are those of Qwen2.5-VL: EasyR1 resizes images to 262,144 to 4,194,304 pixels before the
processor does, and boxes of any other frame earn nothing. EasyR1 wants older transformers than
``dipr1[train]``: install ``dipr1`` alone beside it.

How EasyR1 calls it: hiyouga/EasyR1, verl/workers/reward/function.py and
examples/reward_function/math.py (a list of ``{"response", "response_length", "ground_truth"}``, or
one of them). ``overall`` is taken as the reward, and all of the mapping is logged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dipr1.rewards.scores import score_responses

REWARD_NAME = "dipr1"
REWARD_TYPE = "batch"


def compute_score(
    reward_inputs: list[dict[str, Any]] | dict[str, Any],
    *,
    weights: Mapping[str, float] | None = None,
    options: Mapping[str, Any] | None = None,
) -> list[dict[str, float]] | dict[str, float]:
    """The rewards of a batch, or of one response.

    Args:
        reward_inputs: a list of mappings with ``response`` and ``ground_truth`` (of its image, in
            the model frame), or one such mapping.
        weights: of the rewards in ``overall``, as in `dipr1.rewards.scores.score_response`.
        options: of the rewards, as in `dipr1.rewards.scores.score_responses`.

    Returns:
        For each ``overall`` and the rewards it is the weighted sum of.

    Raises:
        ValueError: a ground truth cannot be read.

    >>> compute_score([{"response": "nobody", "ground_truth": '{"gt_boxes": []}'}])
    [{'overall': 0.0, 'reasoning': 0.0, 'accuracy': 0.0}]
    """
    if isinstance(reward_inputs, Mapping):
        return compute_score([reward_inputs], weights=weights, options=options)[0]
    scores = score_responses(
        [given["response"] for given in reward_inputs],
        [given["ground_truth"] for given in reward_inputs],
        weights=weights,
        options=options,
    )
    return [{"overall": score.pop("total"), **score} for score in scores]
