"""Responses of real models: reproducible, with the probabilities that the model itself gives."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest

from dipr1.demo.scenes import scene
from dipr1.policies.engines.transformers import model_inputs, one_response, respond
from dipr1.policies.generated import box_confidence
from dipr1.policies.load import load_policy
from tests.unit.thinking import BEGUN, make_thinking

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
        scene(index, seed=3, style="street").image.save(path)
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


def test_with_a_seed_per_row_the_other_rows_do_not_matter(policy, rows):
    def texts(rows, seeds):
        answers = respond(
            policy, rows, num_samples=2, temperature=1.0, max_new_tokens=40, seed=seeds
        )
        return [[response.text for response in row] for row in answers]

    together = texts(rows, [1, 2, 3])
    assert texts(rows[1:2], [2]) == together[1:2]
    assert texts(rows[::-1], [3, 2, 1]) == together[::-1]
    assert together[0][0] != together[0][1]


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


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_a_checkpoint_s_own_settings_change_no_response(root, rows, policy, tmp_path, temperature):
    folder = tmp_path / "checkpoint"
    shutil.copytree(root / "dipr1" / "demo" / "checkpoint", folder)
    config = json.loads((folder / "generation_config.json").read_text())
    config |= {"do_sample": True, "repetition_penalty": 1.05, "temperature": 0.1, "top_k": 3}
    config |= {"no_repeat_ngram_size": 3, "top_p": 0.5, "suppress_tokens": [20, 21, 22]}
    (folder / "generation_config.json").write_text(json.dumps(config))

    def texts(policy):
        answers = respond(
            policy, rows, num_samples=1, temperature=temperature, max_new_tokens=60, seed=0
        )
        return [response.text for [response] in answers]

    assert texts(load_policy(str(folder), threads=1)) == texts(policy)


def test_special_tokens_stay_but_for_padding_and_ends(policy):
    tokenizer = policy.processor.tokenizer
    ids = tokenizer.convert_tokens_to_ids
    start, end, pad = map(ids, ("<|vision_start|>", "<|im_end|>", "<|endoftext|>"))
    tokens = [start, *tokenizer("[1]")["input_ids"], pad]
    probabilities = np.linspace(0.1, 0.9, len(tokens) + 3)
    response = one_response(policy, [*tokens, end, pad, pad], probabilities)
    assert response.text == "<|vision_start|>[1]"
    assert response.num_tokens == len(tokens) + 1
    assert response.token_ends[0] == len("<|vision_start|>")
    assert response.token_ends[-1] == len(response.text)
    assert len(response.token_probabilities) == len(tokens)


def test_padding_after_any_end_does_not_count(policy, monkeypatch):
    tokenizer = policy.processor.tokenizer
    end, other = map(tokenizer.convert_tokens_to_ids, ("<|im_end|>", "<|endoftext|>"))
    monkeypatch.setattr(policy.model.generation_config, "eos_token_id", [end, other])
    tokens = tokenizer("[1]")["input_ids"]
    response = one_response(policy, [*tokens, other, other, other], np.ones(len(tokens) + 3))
    assert (response.text, response.num_tokens) == ("[1]", len(tokens) + 1)
    assert len(response.token_probabilities) == len(tokens)


def test_what_stands_in_the_prompt_is_text_but_no_token(policy):
    text = "two </think><answer> [[1, 20, 3, 4], [5, 6, 70, 8]] </answer>"
    tokens = policy.processor.tokenizer(text)["input_ids"]
    chances = np.linspace(0.2, 0.9, len(tokens))
    alone = one_response(policy, tokens, chances)
    whole = one_response(policy, tokens, chances, "<think>\n")
    assert whole.text == "<think>\n" + alone.text
    assert whole.num_tokens == alone.num_tokens
    assert (whole.token_ends - alone.token_ends).tolist() == [len("<think>\n")] * len(tokens)
    assert box_confidence(whole, 2).tolist() == box_confidence(alone, 2).tolist()
    assert len(set(box_confidence(whole, 2).tolist())) == 2  # not the mean over the response


def test_a_thinking_template_begins_the_response(rows, tmp_path):
    policy = load_policy(str(make_thinking(tmp_path / "checkpoint")), threads=1)
    [responses] = respond(
        policy, rows[:1], num_samples=2, temperature=1.0, max_new_tokens=5, seed=0
    )
    for response in responses:
        assert response.text.startswith(BEGUN) and "<think>" not in response.text[7:]
        assert response.num_tokens <= 5
        assert response.token_ends[0] > len(BEGUN)
        assert response.token_ends[-1] == len(response.text)


@pytest.mark.parametrize("temperature", [0, 1.0])
def test_no_response_stands_for_an_image(qwen, qwen_prompts, temperature):
    policy = load_policy(str(qwen), threads=1)
    placeholders = ("<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>")
    ids = policy.processor.tokenizer.convert_tokens_to_ids(placeholders)
    assert policy.never_written() == sorted(ids)
    bias = torch.zeros(policy.model.lm_head.out_features)
    bias[ids] = 1000.0  # they alone would be written
    policy.model.lm_head.bias = torch.nn.Parameter(bias)
    [[response]] = respond(
        policy, qwen_prompts[:1], num_samples=1, temperature=temperature, max_new_tokens=5, seed=0
    )
    assert not any(token in response.text for token in placeholders)
    assert (response.token_probabilities > 0).all()


def test_another_family_responds(qwen, qwen_prompts):
    policy = load_policy(str(qwen), threads=1)
    answers = respond(
        policy, qwen_prompts, num_samples=2, temperature=1.0, max_new_tokens=5, seed=0
    )
    assert [len(responses) for responses in answers] == [2] * len(qwen_prompts)
    for responses in answers:
        assert responses[0].num_tokens <= 5
        assert np.isfinite(responses[0].token_probabilities).all()
