"""The rewards, as functions that TRL (or any other trainer) calls, and the list of them, `REWARDS`.

Signature: ``f(completions, **columns) -> list[float | None]``, one value per completion, None where
the row lacks what the reward needs. A completion is a string or a conversation whose last message
holds the text. Columns have one entry per completion, all boxes in the model frame:

====================  ==========================================================================
gt_boxes              (G, 4) ground truth that is not ignored
gt_labels             G labels; without the column, labels are not compared
ignore_boxes          (I, 4) regions in which detections are neither right nor wrong
ignore_labels         I labels, "" for all: a region is for boxes of its label; without it for all
gt_uncertainty        G uncertainties u in [0, 1]; None or a missing column is 0
region_boxes          (K, 4) hulls of the box-variance regions
region_uncertainty    K uncertainties u in [0, 1]
frame_width           width of the model frame
frame_height          height of the model frame
image_id              whose image it is; `LookingReward(source="group")` groups by it
prompt_id             of which prompt it is; groups are told apart by it as well
labels                the labels that the prompt asks for; without the column they are not checked
prompt_end            how the prompt ends, one text or one each: a `<think>` there is a response's
====================  ==========================================================================

Other columns and the trainer's own arguments are ignored, but for ``log_metric``: where it is
given, each reward reports the quantities it is made of.

To add a reward, write its class in a module of its own and name it in `REWARDS`: the configuration,
the adapters, the training log, the evaluation and the report go by that list.

Importing this package needs numpy only: no torch, no trainer.

Other trainers call the modules of :mod:`dipr1.rewards.adapters`, which are `for_verl`, `for_easyr1`
and `for_swift`; :func:`dipr1.rewards.scores.score_response` serves any other.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType

from dipr1.rewards.accuracy import AccuracyReward, accuracy_reward
from dipr1.rewards.looking import LookingReward, looking_reward
from dipr1.rewards.reasoning import ReasoningReward, reasoning_reward


@dataclass(frozen=True)
class RewardOption:
    """An option that the configuration has for a reward.

    Attributes:
        key: its name there.
        parameter: of the reward's constructor, which says what it may be and what it is by default.
        description: for ``docs/configuration.md`` and ``--help``.
        minimum: its least value.
    """

    key: str
    parameter: str
    description: str
    minimum: float | None = None


@dataclass(frozen=True)
class Reward:
    """All that the other rooms know of a reward.

    Attributes:
        make: its class. The `__name__` of an instance is the name in `REWARDS` and ``_reward``, and
            its `needs` are the columns without which it cannot be computed.
        meaning: for readers of the report; {one} and {many} stand for what is looked for.
        weight: in the total of :mod:`dipr1.rewards.scores`, unless others are given.
        options: those that an arm may have.
        of_steps: it judges what an answer alone has not: that it thinks, or where it looks.
    """

    make: Callable[..., Callable[..., list[float | None]]]
    meaning: str
    weight: float = 0.0
    options: tuple[RewardOption, ...] = ()
    of_steps: bool = False


REWARDS = {
    "reasoning": Reward(
        make=ReasoningReward,
        meaning="1 for a response in the three-step form, else 0.",
        weight=1.0,
        of_steps=True,
    ),
    "looking": Reward(
        make=LookingReward,
        meaning="Do the look regions cover, and only cover, where the base policy's boxes vary?",
        weight=0.3,
        of_steps=True,
        options=(
            RewardOption(
                "looking_source",
                "source",
                "Looking: whose boxes vary, those of the base policy, measured beforehand, or"
                " those of the prompt's other responses (docs/method.md, section 5).",
            ),
            RewardOption(
                "looking_target",
                "target",
                "Looking: why to look at a region: its uncertainty u (`variance`); how often its"
                " object is missed, and u of phantoms (`miss`); how much oftener its object is"
                " found on crops than in the whole view (`gain`, which needs a variance artifact"
                " with that column).",
            ),
            RewardOption(
                "looking_threshold",
                "threshold",
                "Looking: regions from this value on are to be looked at.",
                minimum=0.0,
            ),
            RewardOption(
                "looking_max_regions",
                "max_regions",
                "Looking: at most so many regions are to be looked at, none of which lies by half"
                " in another.",
                minimum=1,
            ),
            RewardOption(
                "looking_beta",
                "beta",
                "Looking: beta of F-beta; above 1 pays for covering the regions more than for"
                " looking at little else.",
                minimum=0.0,
            ),
            RewardOption(
                "looking_gate",
                "gate",
                "Looking: paid only where the answer is better than the mean of the prompt's"
                " responses (docs/rewards.md).",
            ),
        ),
    ),
    "accuracy": Reward(
        make=AccuracyReward,
        meaning="Weighted precision and recall of the boxes; {many} the base policy is unsure of"
        " weigh more.",
        weight=3.0,
        options=(
            RewardOption("quality", "quality", "Accuracy: c = IoU or c = 1."),
            RewardOption(
                "aggregate", "aggregate", "Accuracy: how precision and recall become one number."
            ),
            RewardOption(
                "match_ious",
                "match_ious",
                "Accuracy: least IoU of a matched pair, one after another over the training, such"
                " as 0.5, 0.6, 0.75: the updates are shared equally among them; one that is"
                " repeated lasts longer (docs/rewards.md). Without it 0.5.",
            ),
            RewardOption(
                "uncertainty_weight",
                "lam",
                "Accuracy: lambda in w = 1 + lambda * u; 0 weighs all people alike.",
                minimum=0.0,
            ),
        ),
    ),
}
"""The rewards by name, in the order in which they are computed, summed and shown."""

ADAPTERS = ("for_easyr1", "for_swift", "for_verl")

__all__ = [
    "REWARDS",
    "AccuracyReward",
    "LookingReward",
    "ReasoningReward",
    "Reward",
    "RewardOption",
    "accuracy_reward",
    "looking_reward",
    "reasoning_reward",
]


def __getattr__(name: str) -> ModuleType:
    """The adapters, imported when they are asked for: each looks for its framework."""
    if name in ADAPTERS:
        return importlib.import_module(f"dipr1.rewards.adapters.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
