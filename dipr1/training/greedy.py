"""Let the policy that is trained answer greedily in between, without a trace in its training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from dipr1.policies.engines.transformers import respond
from dipr1.policies.generated import Generated

if TYPE_CHECKING:
    from dipr1.policies.load import LoadedPolicy


def greedy_responses(
    policy: LoadedPolicy, rows: list[dict[str, Any]], *, batch_size: int, max_new_tokens: int
) -> list[Generated]:
    """One response to each of R rows of the prompts artifact, by the weights of the moment.

    Args:
        policy: in training.
        rows: what is asked.
        batch_size: rows that are asked together.
        max_new_tokens: of a response.
    """
    answers = []
    with _undisturbed(policy.model):
        for start in range(0, len(rows), batch_size):
            batch = rows[start : start + batch_size]
            responses = respond(
                policy,
                batch,
                num_samples=1,
                temperature=0.0,
                max_new_tokens=max_new_tokens,
                seed=0,
            )
            answers += [response for [response] in responses]
    return answers


@contextmanager
def _undisturbed(model) -> Iterator[None]:
    """Let a model in training generate without dropout and without using up random numbers."""
    import torch

    was_training = model.training
    model.eval()
    try:
        with torch.random.fork_rng(devices=[model.device] if model.device.type == "cuda" else []):
            yield
    finally:
        model.train(was_training)
