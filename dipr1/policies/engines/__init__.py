"""How a policy is made to answer: one module per engine, found by its name.

Each has two functions::

    load(name, dtype, threads, bounds, **settings)
    respond(policy, rows, *, num_samples, temperature, max_new_tokens, seed)

``load`` gives the policy that ``respond`` takes. This returns ``num_samples`` responses
(:class:`dipr1.policies.generated.Generated`) for every row of the prompts artifact; the same rows
and seed give the same responses.
"""

from __future__ import annotations

import importlib
from types import ModuleType
from typing import TYPE_CHECKING

from dipr1.gpus import take_gpus
from dipr1.policies.options import Answering, Engine

if TYPE_CHECKING:
    from dipr1.policies.load import LoadedPolicy


def engine_named(name: str) -> ModuleType:
    """The engine that `policy.engine` names."""
    return importlib.import_module(f"{__name__}.{name}")


def load_engine(policy: Answering, threads: int | None = None) -> LoadedPolicy:
    """The policy as its engine wants it, on GPUs of its own where there are some.

    Args:
        policy: which one, and what generates its responses.
        threads: of the CPU; all by default.
    """
    take_gpus(policy.gpus)
    settings = policy.model_dump(include={*Engine.model_fields} - {"engine"})
    return engine_named(policy.engine).load(
        policy.model, policy.dtype, threads, policy.bounds, **settings
    )


def code_of_engine(name: str) -> dict[str, str]:
    """What answering uses by name, for :func:`dipr1.provenance.code_digest`.

    The engine `transformers` counts wherever answers are made.

    >>> code_of_engine("vllm"), code_of_engine("transformers")
    ({'engine': 'vllm'}, {})
    """
    return {} if name == "transformers" else {"engine": name}
