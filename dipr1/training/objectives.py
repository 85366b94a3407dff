"""The objectives of GRPO that have a name, in the terms of TRL's `GRPOConfig`.

- `batch`: every token of an update weighs the same. TRL's `dapo` loss, but not that paper's clip.
- `paper`: what DIP-R1 (arXiv 2505.23179) states, (1 / sum |o_i|) sum min(...) - beta KL: every
  token of a group weighs the same, and so does every group. The clip and the k3 estimator of the KL
  are those of DeepSeekMath (arXiv 2402.03300), whose epsilon and beta stand here, since we know
  none of DIP-R1's.
- `dapo`: arXiv 2503.14476: higher upper clip, no KL, cut responses teach nothing. Its dynamic
  sampling and its soft punishment of length are not in TRL.
- `dr_grpo`: arXiv 2503.20783: sums over tokens divided by a constant, the longest response, and
  advantages that are not divided by the group's deviation.
- `gspo`: arXiv 2507.18071: one importance ratio of a whole response, with that paper's narrow clip.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from dipr1.training.options import GrpoArm

if TYPE_CHECKING:
    import torch

_PLAIN: dict[str, Any] = {
    "loss_type": "dapo",
    "beta": 0.0,
    "epsilon": 0.2,
    "epsilon_high": 0.2,
    "scale_rewards": "group",
    "importance_sampling_level": "token",
    "mask_truncated_completions": False,
}

OBJECTIVES: dict[str, dict[str, Any]] = {
    "batch": _PLAIN,
    "paper": _PLAIN | {"loss_type": "group", "beta": 0.04},
    "dapo": _PLAIN | {"epsilon_high": 0.28, "mask_truncated_completions": True},
    "dr_grpo": _PLAIN | {"loss_type": "dr_grpo", "scale_rewards": "none"},
    "gspo": _PLAIN
    | {
        "loss_type": "grpo",
        "importance_sampling_level": "sequence",
        "epsilon": 3e-4,
        "epsilon_high": 4e-4,
    },
}


def objective(arm: GrpoArm) -> dict[str, Any]:
    """Arguments of `trl.GRPOConfig`.

    >>> objective(GrpoArm(method="grpo", rewards={"accuracy": 1}, objective="dapo"))["epsilon_high"]
    0.28
    """
    chosen = _chosen(arm)
    return chosen | {
        "loss_type": "dapo" if chosen["loss_type"] == "group" else chosen["loss_type"],
        "use_bias_correction_kl": arm.bias_correction_kl,
        "multi_objective_aggregation": (
            "normalize_then_sum" if arm.per_reward_normalisation else "sum_then_normalize"
        ),
    }


def groups_weigh_alike(arm: GrpoArm) -> bool:
    """Whether TRL's `dapo` loss is to be given the weights of :func:`weights_of_groups`."""
    return _chosen(arm)["loss_type"] == "group"


def _chosen(arm: GrpoArm) -> dict[str, Any]:
    """What the arm says itself, and what its objective says where it does not."""
    named = OBJECTIVES[arm.objective]
    own = {name: getattr(arm, name) for name in named}
    return named | {name: value for name, value in own.items() if value is not None}


def weights_of_groups(tokens: torch.Tensor, group_size: int) -> torch.Tensor:
    """How much a token of each response weighs, so that all groups weigh alike.

    TRL's `dapo` loss is the sum over all tokens divided by their number N. With weights
    N / (P n), n the tokens of the response's group and P the number of groups, it becomes the mean
    over groups of the sum over their tokens divided by n, in whatever micro-batches they come.

    Args:
        tokens: (B,) the tokens of each response that are learned from; groups one after another.
        group_size: responses of a group.

    Returns:
        (B,) float32.
    """
    of_group = tokens.view(-1, group_size).sum(1).clamp(min=1)
    weights = tokens.sum() / (len(of_group) * of_group)
    return weights.repeat_interleave(group_size)
