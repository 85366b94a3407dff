"""What frameworks hand to the rewards."""

from __future__ import annotations

import json

from dipr1.rewards import for_swift
from tests.unit.rewards.responding import SCENE, TEXTS

SWIFT = {
    "reasoning": for_swift.DipReasoning,
    "looking": for_swift.DipLooking,
    "accuracy": for_swift.DipAccuracy,
}


def easyr1_inputs() -> list[dict]:
    return [
        {"response": text, "response_length": len(text), "ground_truth": json.dumps(SCENE)}
        for text in TEXTS
    ]


def columns_of(texts) -> dict[str, list]:
    return {name: [value] * len(texts) for name, value in SCENE.items()}
