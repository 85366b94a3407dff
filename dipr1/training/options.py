"""Options of training: what all arms share, and what each arm is."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from dipr1.options import Section


class Training(Section):
    """What all trained arms share."""

    dataset: str = Field("crowdscenes", description="Data set that is trained on.")
    split: str = Field("train", description="Its split.")
    wordings: int = Field(
        1,
        ge=1,
        le=4,
        description="Wordings of a question about an image: the usual one, and others drawn for"
        " each image. Sampling and evaluation always use the usual one.",
    )
    ask: Literal["all", "each", "both"] = Field(
        "all",
        description="Ask for all labels together, for each alone (also where an image has none of"
        " it), or both.",
    )
    absent_labels: list[str] = Field(
        [],
        description="Labels that no image of the split has: each image is asked for one of them as"
        " well, and the right answer is `[]`.",
    )
    updates: int = Field(50, ge=1, description="Optimiser steps, the same for every arm.")
    prompts_per_update: int = Field(16, ge=1, description="Different prompts in one update.")
    group_size: int = Field(8, ge=2, description="Responses per prompt (GRPO).")
    micro_batch_size: int = Field(
        64, ge=1, description="Responses in one forward and backward pass."
    )
    learning_rate: float = Field(3e-5, gt=0, description="GRPO learning rate, constant.")
    sft_learning_rate: float = Field(3e-5, gt=0, description="SFT learning rate, constant.")
    sft_think: str = Field(
        "{count} objects.",
        min_length=1,
        description="SFT: what the teacher thinks; {count} is the number of objects.",
    )
    sft_why: str | None = Field(None, description="SFT: the teacher's `why` of every look.")
    max_grad_norm: float = Field(0.2, gt=0, description="Gradient norm is clipped to this.")
    max_completion_length: int = Field(160, ge=1, description="Longest response, in tokens.")
    temperature: float = Field(1.0, gt=0, description="Temperature of the rollouts.")
    loss_type: Literal["dapo", "bnpo", "grpo", "dr_grpo"] = Field(
        "dapo",
        description="TRL's name of the loss; `bnpo` with one group per micro-batch is the sum over"
        " the group's tokens divided by their number.",
    )
    beta: float = Field(0.0, ge=0, description="Weight of the KL term; 0 keeps no reference model.")
    bias_correction_kl: bool = Field(
        False, description="TRL's importance-corrected KL; false is the plain k3 estimator."
    )
    freeze_vision: bool = Field(True, description="Train the language model only.")
    gradient_checkpointing: bool = Field(
        False, description="Trade time for memory: needed for models of billions of parameters."
    )
    save_every: int = Field(10, ge=1, description="Updates between checkpoints.")


class Arm(Section):
    """One way to train, compared with the others."""

    method: Literal["none", "sft", "grpo"] = Field(description="`none` is the base policy itself.")
    rewards: dict[Literal["reasoning", "looking", "accuracy"], float] = Field(
        {}, description="GRPO: weight of each reward."
    )
    looking_source: Literal["precomputed", "group"] = Field(
        "precomputed",
        description="Looking: whose boxes vary, those of the base policy, measured beforehand, or"
        " those of the prompt's other responses (docs/method.md, section 5).",
    )
    quality: Literal["soft", "hard"] = Field("soft", description="Accuracy: c = IoU or c = 1.")
    aggregate: Literal["fbeta", "mean", "precision", "recall"] = Field(
        "fbeta", description="Accuracy: how precision and recall become one number."
    )
    uncertainty_weight: float = Field(
        1.0, ge=0, description="Accuracy: lambda in w = 1 + lambda * u; 0 weighs all people alike."
    )

    @model_validator(mode="after")
    def _grpo_has_rewards(self) -> Arm:
        if self.method == "grpo" and not any(self.rewards.values()):
            raise ValueError("an arm of method 'grpo' needs at least one reward with a weight")
        return self
