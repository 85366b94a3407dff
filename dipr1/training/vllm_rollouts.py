"""Rollouts of GRPO that vLLM generates, through TRL.

In the training's own process (TRL: `colocate`), where both share the GPUs, or on a server that is
started beforehand. TRL brings the weights of the moment over before responses are generated, and
corrects for what vLLM computes otherwise (its truncated importance sampling).

TRL 1.16 hands prompts over whose image tokens are already as many as the image has, and in its own
process vLLM makes as many of each again (huggingface/trl#6294). So each run is made one token
first. Whatever way they took, the prompts that vLLM has seen are compared with those that the loss
is computed on.
"""

from __future__ import annotations

import functools
import importlib
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipr1.errors import UserError
from dipr1.policies.engines.vllm import vllm_package
from dipr1.policies.image_tokens import check_same_prompt, collapsed
from dipr1.policies.load import link_checkpoint
from dipr1.training.options import GrpoOptions

if TYPE_CHECKING:
    from dipr1.policies.load import LoadedPolicy

NEVER = -100.0  # bias of a logit; a server takes no infinity, and nothing below


def generation(arm: GrpoOptions, policy: LoadedPolicy) -> dict[str, Any]:
    """Arguments of `trl.GRPOConfig` for rollouts by vLLM.

    Raises:
        UserError: vLLM is not installed, or there is no address of a server.
    """
    vllm_package()
    _keep_weights_replaceable()
    if arm.rollout_engine == "vllm_server" and not arm.rollout_server:
        raise UserError(
            "rollout_server: rollout_engine vllm_server needs the address of a running `vllm serve`"
            " (docs/training.md says how it is started), such as http://node:8000"
        )
    never = {token: NEVER for token in policy.never_written()}
    return {
        "use_vllm": True,
        "vllm_mode": "server" if arm.rollout_engine == "vllm_server" else "colocate",
        "vllm_server_base_url": arm.rollout_server,
        "vllm_gpu_memory_utilization": arm.rollout_memory,
        "vllm_enable_sleep_mode": arm.rollout_sleep,
        "generation_kwargs": {
            "logit_bias": never or None,
            "stop_token_ids": sorted(policy.ends()),
        },
    }


def _keep_weights_replaceable() -> None:
    """Have vLLM on a CPU multiply plain weights: packed ones cannot give way to later ones."""
    import torch

    def plain(layer: torch.nn.Module, remove_weight: bool) -> None:
        layer.cpu_linear = torch.nn.functional.linear

    if not torch.cuda.is_available():
        layers = importlib.import_module("vllm.model_executor.layers.utils")
        layers.dispatch_cpu_unquantized_gemm = plain


@contextmanager
def shown_alike(policy: LoadedPolicy) -> Iterator[None]:
    """While a trainer is made, let vLLM find the policy's own processor, with its bounds.

    It reads one from where the model was loaded from. The weights there do not matter.
    """
    model, there = policy.model, policy.model.name_or_path
    with tempfile.TemporaryDirectory(prefix="dipr1-") as made:
        link_checkpoint(Path(there), policy.processor, Path(made))
        model.name_or_path = made
        try:
            yield
        finally:
            model.name_or_path = there


def mend_prompts(trainer) -> None:
    """Have vLLM see the prompts that the loss is computed on, and stop where it does not.

    Args:
        trainer: a `trl.GRPOTrainer` with rollouts by vLLM.
    """
    side = trainer.vllm_generation
    generate, image_token = side.generate, trainer.model.config.image_token_id

    @functools.wraps(generate)
    def mended(prompts: Sequence[Sequence[int]], images: Any, **named: Any) -> tuple:
        # a server is told where the images are
        again = side.mode == "colocate" and images is not None
        given = [collapsed(tokens, image_token) for tokens in prompts] if again else prompts
        seen, *generated = generate(prompts=given, images=images, **named)
        for expected, found in zip(prompts, seen, strict=True):
            check_same_prompt(expected, found, image_token)
        return prompts, *generated

    side.generate = mended
