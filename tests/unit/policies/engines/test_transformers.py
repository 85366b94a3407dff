"""Responses of real models: reproducible, with the probabilities that the model itself gives."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.demo.scenes import scene
from dipr1.policies.engines.transformers import model_inputs, respond
from dipr1.policies.load import load_policy

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def policy():
    return load_policy("tiny", threads=1)


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("images")
    rows = []
    for index in range(3):
        path = folder / f"{index}.png"
        scene(index, seed=3).image.save(path)
        rows.append(
            {
                "image": str(path),
                "frame": "absolute",
                "frame_width": 128.0,
                "frame_height": 128.0,
                "prompt": [{"role": "user", "content": "Find every person."}],
            }
        )
    return rows


def test_same_seed_same_responses(policy, rows):
    def texts(seed):
        answers = respond(
            policy, rows, num_samples=2, temperature=1.0, max_new_tokens=40, seed=seed
        )
        return [[response.text for response in row] for row in answers]

    first = texts(1)
    assert [len(row) for row in first] == [2, 2, 2]
    assert first == texts(1)
    assert first != texts(2)


def test_probabilities_are_those_of_the_model(policy, rows):
    (response,), *_ = respond(
        policy, rows[:1], num_samples=1, temperature=0, max_new_tokens=12, seed=0
    )
    tokens = policy.processor.tokenizer(response.text)["input_ids"]
    inputs = model_inputs(policy, rows[:1])
    ids = torch.cat([inputs["input_ids"], torch.tensor([tokens])], dim=1)
    inputs |= {
        "input_ids": ids,
        "attention_mask": torch.ones_like(ids),
        "mm_token_type_ids": (ids == policy.model.config.image_token_id).int(),
    }
    with torch.no_grad():
        logits = policy.model(**inputs).logits[0, -len(tokens) - 1 : -1]
    expected = torch.softmax(logits, -1)[torch.arange(len(tokens)), torch.tensor(tokens)]
    np.testing.assert_allclose(response.token_probabilities, expected, atol=1e-4)
    assert response.token_ends[-1] == len(response.text)


def test_another_family_responds(qwen, qwen_prompts):
    policy = load_policy(str(qwen), threads=1)
    answers = respond(
        policy, qwen_prompts, num_samples=2, temperature=1.0, max_new_tokens=5, seed=0
    )
    assert [len(responses) for responses in answers] == [2] * len(qwen_prompts)
    for responses in answers:
        assert responses[0].num_tokens <= 5
        assert np.isfinite(responses[0].token_probabilities).all()
