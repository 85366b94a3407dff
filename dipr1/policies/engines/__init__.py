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


def engine_named(name: str) -> ModuleType:
    """The engine that `policy.engine` names."""
    return importlib.import_module(f"{__name__}.{name}")


def code_of_engine(name: str) -> dict[str, str]:
    """What answering uses by name, for :func:`dipr1.provenance.code_digest`.

    The engine `transformers` counts wherever answers are made.

    >>> code_of_engine("vllm"), code_of_engine("transformers")
    ({'engine': 'vllm'}, {})
    """
    return {} if name == "transformers" else {"engine": name}
