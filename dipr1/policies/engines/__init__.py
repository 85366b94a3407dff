"""How a policy is made to answer: one module per engine.

Each has one function::

    respond(policy, rows, *, num_samples, temperature, max_new_tokens, seed)

It returns ``num_samples`` responses (:class:`dipr1.policies.generated.Generated`) for every row of
the prompts artifact; the same rows and seed give the same responses.
"""
