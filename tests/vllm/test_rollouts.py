"""GRPO whose rollouts vLLM generates: on the prompts and with the probabilities of the policy."""

from __future__ import annotations

import math

import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.policies.adapters import is_adapter
from dipr1.policies.load import load_policy
from dipr1.training import vllm_rollouts
from dipr1.training.grpo import lessons, trainer
from dipr1.training.options import GrpoArm
from tests.unit.scenes import scene_prompts

SIZES = {"prompts_per_update": 2, "group_size": 2, "micro_batch_size": 2}
SHORT = {"max_completion_length": 60, "updates": 2, "save_every": 2}


def built(tmp_path, policy, **options):
    chosen = SIZES | SHORT | {"rewards": {"accuracy": 1, "reasoning": 1}} | options
    arm = GrpoArm(method="grpo", rollout_engine="vllm", **chosen)
    asked = lessons(arm, scene_prompts(tmp_path, 4), None, fixed=True, seed=0)
    return trainer(arm, policy, asked, 0, tmp_path / "checkpoints")


def test_vllm_generates_what_is_learned_from(tmp_path):
    """The weights of the moment: the learning rate is so high that old ones would be noticed."""
    policy = load_policy("tiny", threads=1)
    trained = built(tmp_path, policy, learning_rate=1e-3)
    trained.train()
    logs = [entry for entry in trained.state.log_history if "reward" in entry]
    assert len(logs) == 2
    for entry in logs:
        assert math.isfinite(entry["loss"]) and entry["reward"] > 0
        # what vLLM, in 16 bits, and the policy think of its tokens; 3.1 where prompts differ
        assert entry["sampling/sampling_logp_difference/mean"] < 0.03


def test_image_tokens_that_are_expanded_twice_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(vllm_rollouts, "collapsed", lambda tokens, image_token: tokens)
    trained = built(tmp_path, load_policy("tiny", threads=1))
    with pytest.raises(UserError, match=r"image tokens where the policy's processor makes"):
        trained.train()


def test_an_adapter_is_trained_and_answers(tmp_path):
    """Through the command line; vLLM generates rollouts and answers with the adapter merged."""
    PROMPTS.write(scene_prompts(tmp_path, 4), tmp_path / "prompts.parquet")
    sizes = {"prompts-per-update": 2, "group-size": 2, "micro-batch-size": 2, "updates": 2}
    words = [f"--{name}={value}" for name, value in sizes.items()]
    words += ["--max-completion-length=60", "--save-every=2", "--learning-rate=1e-2"]
    words += ["--method=grpo", '--rewards={"accuracy": 1}', "--lora-rank=4", "--threads=1"]
    prompts, trained = tmp_path / "prompts.parquet", tmp_path / "trained"
    asked = ["--arm=a", f"--prompts={prompts}", f"--output={trained}", "--rollout-engine=vllm"]
    assert main(["train", *asked, *words]) == 0
    assert is_adapter(trained)
    answers = {}
    for engine, policy in (("vllm", trained), ("transformers", trained), ("vllm", "tiny")):
        output = tmp_path / f"{engine}.parquet"
        words = [f"--policy={policy}", f"--engine={engine}", f"--output={output}", "--threads=1"]
        assert main(["predict", str(prompts), *words, "--max-new-tokens=60"]) == 0
        answers[engine, policy] = SAMPLES.read(output)["text"]
    assert answers["vllm", trained] == answers["transformers", trained] != answers["vllm", "tiny"]
