"""How a policy is made to answer: one module per engine, all with the same `respond`."""
