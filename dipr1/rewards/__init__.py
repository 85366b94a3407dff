"""The three rewards, as functions that TRL (or any other trainer) calls.

Signature: ``f(completions, **columns) -> list[float | None]``, one value per completion, None where
the row lacks what the reward needs. A completion is a string or a conversation whose last message
holds the text. Columns have one entry per completion, all boxes in the model frame:

====================  ==========================================================================
gt_boxes              (G, 4) ground truth that is not ignored
gt_labels             G labels; without the column, labels are not compared
ignore_boxes          (I, 4) regions in which detections are neither right nor wrong
gt_uncertainty        G uncertainties u in [0, 1]; None or a missing column is 0
region_boxes          (K, 4) hulls of the box-variance regions
region_uncertainty    K uncertainties u in [0, 1]
frame_width           width of the model frame
frame_height          height of the model frame
image_id              whose image it is; `LookingReward(source="group")` groups by it
labels                the labels that the prompt asks for; without the column they are not checked
====================  ==========================================================================

Other columns and the trainer's own arguments are ignored, but for ``log_metric``: where it is
given, each reward reports the quantities it is made of.

Importing this package needs numpy only: no torch, no trainer.

Other trainers call the modules of :mod:`dipr1.rewards.adapters`, which are `for_verl`, `for_easyr1`
and `for_swift`; :func:`dipr1.rewards.scores.score_response` serves any other.
"""

import importlib
from types import ModuleType

from dipr1.rewards.accuracy import AccuracyReward, accuracy_reward
from dipr1.rewards.looking import LookingReward, looking_reward
from dipr1.rewards.reasoning import ReasoningReward, reasoning_reward

ADAPTERS = ("for_easyr1", "for_swift", "for_verl")

__all__ = [
    "AccuracyReward",
    "LookingReward",
    "ReasoningReward",
    "accuracy_reward",
    "looking_reward",
    "reasoning_reward",
]


def __getattr__(name: str) -> ModuleType:
    """The adapters, imported when they are asked for: each looks for its framework."""
    if name in ADAPTERS:
        return importlib.import_module(f"dipr1.rewards.adapters.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
