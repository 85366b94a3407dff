"""Rollouts by vLLM as far as they go without it; tests/vllm trains with them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from dipr1.errors import UserError
from dipr1.training.options import GrpoArm, code_of_training, without_effect, without_meaning
from dipr1.training.vllm_rollouts import generation, mend_prompts

IMAGE = 9
PROMPTS = [[1, 9, 9, 9, 2], [1, 9, 9, 3]]


def arm(**options) -> GrpoArm:
    return GrpoArm(method="grpo", rewards={"accuracy": 1}, **options)


def trainer(mode: str, expands: bool):
    """What TRL's trainer has: vLLM makes three tokens of each image token where it expands."""

    def generate(prompts, images, num_generations):
        side.given = prompts
        many = 3 if expands else 1
        seen = [
            [t for token in one for t in [token] * (many if token == 9 else 1)] for one in prompts
        ]
        return seen, [[4]] * len(prompts), None, None

    side = SimpleNamespace(mode=mode, generate=generate)
    model = SimpleNamespace(config=SimpleNamespace(image_token_id=IMAGE))
    return SimpleNamespace(vllm_generation=side, model=model)


def test_vllm_is_given_one_token_an_image():
    built = trainer("colocate", expands=True)
    mend_prompts(built)
    side = built.vllm_generation
    seen, answers, *_ = side.generate(prompts=PROMPTS[:1], images=[["image"]], num_generations=1)
    assert side.given == [[1, 9, 2]]
    assert (seen, answers) == (PROMPTS[:1], [[4]])


def test_a_prompt_with_other_image_tokens_is_refused():
    built = trainer("colocate", expands=True)
    mend_prompts(built)
    with pytest.raises(UserError, match="3 image tokens where the policy's processor makes 2"):
        built.vllm_generation.generate(prompts=PROMPTS, images=[["a"], ["b"]], num_generations=1)


def test_a_server_is_told_where_images_are():
    built = trainer("server", expands=False)
    mend_prompts(built)
    built.vllm_generation.generate(prompts=PROMPTS, images=[["a"], ["b"]], num_generations=1)
    assert built.vllm_generation.given == PROMPTS


def test_without_vllm_one_line_says_what_to_do(monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"envs/vllm\.yaml"):
        generation(arm(rollout_engine="vllm"), None)


def test_only_arms_that_use_vllm_depend_on_it():
    usual, other = arm(), arm(rollout_engine="vllm")
    assert "generation" not in code_of_training(usual)
    assert code_of_training(other)["generation"] == "vllm_rollouts"
    assert "rollout_memory" in without_meaning(usual) - without_meaning(other)
    assert {"rollout_memory", "rollout_sleep", "rollout_server"} <= without_effect(other)
