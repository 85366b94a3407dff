"""Whether an update changes the weights at all.

A weight of 0.02 in bfloat16 has neighbours 0.0001 away: an update of 1e-6 is lost in rounding. So
weights and optimiser are float32 in training, whatever is computed in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dipr1.progress import say

if TYPE_CHECKING:
    import torch

LOOKED_AT = 1_000_000  # weights, evenly spread
FEW = 0.5
METRIC = "weights_changed"


def tell_changed_weights(trainer, arm: str) -> None:
    """Log which share of the trained weights the first update changed, and warn where it is small.

    The first is the first with a learning rate: a warm-up begins at 0.
    """
    from transformers import TrainerCallback

    first = 2 if trainer.args.warmup_steps else 1

    class Comparer(TrainerCallback):
        def on_step_begin(self, args, state, control, model=None, **kwargs):
            if state.global_step == first - 1:
                self.before = some_weights(model)

        def on_step_end(self, args, state, control, model=None, **kwargs):
            if state.global_step == first:
                share = float((self.before != some_weights(model)).float().mean())
                del self.before
                trainer._metrics["train"][METRIC].append(share)  # both of TRL's trainers log it
                _say(arm, first, share)

    trainer.add_callback(Comparer)


def in_dtype(model, dtype: str):
    """The trained model, its weights rounded to `dtype`."""
    import torch

    return model.to(getattr(torch, dtype))


def own_part(weights: torch.Tensor) -> torch.Tensor:
    """What this process holds of weights that are spread over several: its shard, or all."""
    return weights.to_local() if hasattr(weights, "to_local") else weights


def some_weights(model, most: int = LOOKED_AT) -> torch.Tensor:
    """Copies of about `most` of the weights that are trained, evenly spread, on the CPU.

    Of an adapter only the second half: the first update leaves the first one as it is, since the
    second, through which it would learn, begins at 0.
    """
    import torch

    trained = [
        own_part(weights)
        for name, weights in model.named_parameters()
        if weights.requires_grad and "lora_A" not in name
    ]
    apart = max(1, sum(weights.numel() for weights in trained) // most)
    some = [weights.detach().flatten()[::apart].to("cpu", torch.float32) for weights in trained]
    return torch.cat(some)


def _say(arm: str, update: int, share: float) -> None:
    say(f"{arm}: update {update} changed {share:.1%} of the weights that are trained")
    if share < FEW:
        say(
            f"{arm}: warning: most weights stay as they are; either the learning rate is too small"
            " for them, or there was little to learn: no reward differed within a group"
        )
