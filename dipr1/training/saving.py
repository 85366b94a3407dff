"""Weights that may be spread over several processes: how they are saved whole, by one of them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipr1.training.precision import in_dtype

if TYPE_CHECKING:
    import torch
    from transformers import GenerationConfig

Weights = dict[str, "torch.Tensor"]


def generate_together(trainer) -> None:
    """Let processes that have parts of the weights write as long as one of them still does.

    Each token takes all of them. transformers 5.23 sees that of what it has spread itself, not of
    what accelerate has: a process with shorter responses would leave the others waiting for ever.
    """
    if trainer.is_fsdp_enabled:
        trainer.model._is_fsdp_managed_module = True


def gathered(trainer) -> Weights | None:
    """All weights, where they are spread over the processes; None where each process has them all.

    Every process has to call this; what it gives is whole in the first one alone.
    """
    if trainer.is_fsdp_enabled or trainer.is_deepspeed_enabled:
        return trainer.accelerator.get_state_dict(trainer.model_wrapped)
    return None


def save(trainer, weights: Weights | None, dtype: str | None, folder: Path) -> None:
    """Save a trained policy, its weights rounded to `dtype`.

    Args:
        trainer: that trained it.
        weights: what :func:`gathered` gave.
        dtype: ``float32`` or ``bfloat16``; None for an adapter, which stays as it is.
        folder: that it is saved in.
    """
    trainer.model.config.use_cache = True
    if dtype is None:
        trainer.model.save_pretrained(folder, state_dict=weights)
    elif weights is None:
        in_dtype(trainer.model, dtype).save_pretrained(folder)
    else:
        _whole_model(trainer.model, weights, dtype).save_pretrained(folder)


def greedily(model, most: int) -> GenerationConfig:
    """How a trained policy is asked: greedily, for so many tokens at most."""
    from transformers import GenerationConfig

    own = model.generation_config
    ends = {"eos_token_id": own.eos_token_id, "pad_token_id": own.pad_token_id}
    return GenerationConfig(do_sample=False, max_new_tokens=most, **ends)


def save_processor(processor, folder: Path) -> None:
    """Save what a policy reads with, the same whether anything was trained in this process or not.

    A fast tokenizer keeps how it padded last, and would write that down.
    """
    if backend := getattr(processor.tokenizer, "backend_tokenizer", None):
        backend.no_padding()
        backend.no_truncation()
    processor.save_pretrained(folder)


def _whole_model(model, weights: Weights, dtype: str) -> Any:
    """A model like `model`, which holds a part of the weights, with all of them."""
    import torch

    with torch.device("meta"):
        whole = type(model)(model.config)
    whole.to_empty(device="cpu").to(getattr(torch, dtype))
    whole.load_state_dict(weights, strict=False)
    whole.tie_weights()
    whole.generation_config = model.generation_config
    return whole
