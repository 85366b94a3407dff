"""GRPO with the three rewards, through TRL's `GRPOTrainer`.

Published is that DIP-R1 is trained with GRPO; its hyper-parameters are not, so they are ours.
Where TRL departs from the textbook objective, the configuration names it:

- `loss_type`: TRL's default `dapo` divides the sum over tokens by the tokens of the whole batch;
  `bnpo` with one group per micro-batch divides by the group's tokens.
- `bias_correction_kl`: TRL's default multiplies the KL term by the importance ratio; false is the
  plain k3 estimator.
- `beta`: 0 in TRL and here, so no reference model is kept.
"""

from __future__ import annotations

from pathlib import Path

from dipr1.errors import UserError
from dipr1.rewards import AccuracyReward, LookingReward, ReasoningReward
from dipr1.training.lessons import grpo_lessons
from dipr1.training.options import Arm, Training


def grpo_trainer(arm: Arm, training: Training, policy, prompts, variance, seed: int, folder: Path):
    """A `trl.GRPOTrainer` for one arm.

    Raises:
        UserError: the sizes of batch and group do not divide each other.
    """
    from trl import GRPOConfig, GRPOTrainer

    from dipr1.training.running import shared_arguments, variety

    responses = training.prompts_per_update * training.group_size
    if responses % training.micro_batch_size:
        raise UserError(
            f"training: prompts_per_update x group_size = {responses} responses per update are not"
            f" a multiple of micro_batch_size = {training.micro_batch_size}; change one of them"
        )
    functions, weights = reward_functions(arm)
    config = GRPOConfig(
        **shared_arguments(training, seed, folder),
        learning_rate=training.learning_rate,
        per_device_train_batch_size=training.micro_batch_size,
        gradient_accumulation_steps=responses // training.micro_batch_size,
        num_generations=training.group_size,
        max_completion_length=training.max_completion_length,
        temperature=training.temperature,
        loss_type=training.loss_type,
        beta=training.beta,
        use_bias_correction_kl=training.bias_correction_kl,
        reward_weights=weights,
    )
    return GRPOTrainer(
        model=policy.model,
        reward_funcs=functions,
        args=config,
        train_dataset=grpo_lessons(prompts, variance, **variety(training, seed)),
        processing_class=policy.processor,
    )


def reward_functions(arm: Arm) -> tuple[list, list[float]]:
    """The arm's rewards and their weights, in a fixed order; those without weight are left out."""
    rewards = {
        "reasoning": ReasoningReward(),
        "looking": LookingReward(source=arm.looking_source),
        "accuracy": AccuracyReward(
            quality=arm.quality, aggregate=arm.aggregate, lam=arm.uncertainty_weight
        ),
    }
    named = [(rewards[name], arm.rewards.get(name, 0.0)) for name in rewards]
    weighted = [(reward, weight) for reward, weight in named if weight]
    return [reward for reward, _ in weighted], [weight for _, weight in weighted]
