"""Small updates are not lost in rounding, whatever type the policy is kept in."""

from __future__ import annotations

import json

import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.cli import main
from dipr1.policies.load import load_policy
from tests.unit.scenes import scene_prompts

REWARDS = json.dumps({"accuracy": 1, "reasoning": 1})
METHODS = {
    "sft": ("--method", "sft", "--sft-learning-rate", 1e-6),
    "grpo": ("--method", "grpo", "--learning-rate", 1e-6, "--rewards", REWARDS)
    + ("--group-size", 2, "--micro-batch-size", 4, "--max-completion-length", 60),
}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory):
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("prompts")
    PROMPTS.write(scene_prompts(folder, 2), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def train(prompts, folder, *words) -> dict[str, float]:
    """The figures that a training logs, each of its last update."""
    given = ("train", "--arm", "one", "--prompts", prompts, "--threads", 1, "--output", folder)
    given += ("--prompts-per-update", 2, "--keep-checkpoints", *words)
    assert main([str(word) for word in given]) == 0
    log = TRAINING_LOG.read(folder / "training_log.parquet").to_pylist()
    return {row["name"]: row["value"] for row in log}


def trained_weights(model) -> dict:
    return {name: w for name, w in model.named_parameters() if "visual" not in name}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("precision", ["float32", "bf16"])
def test_five_small_updates_change_the_weights(prompts, tmp_path, capsys, method, precision):
    """Of weights kept in bfloat16 they changed 1.25 %."""
    from safetensors import safe_open

    words = ("--dtype", "bfloat16", "--precision", precision, "--updates", 5)
    figures = train(prompts, tmp_path / "policy", *METHODS[method], *words)
    assert figures["weights_changed"] > 0.5
    said = capsys.readouterr().err
    assert f"one: update 1 changed {figures['weights_changed']:.1%} of the weights that" in said
    assert "warning" not in said

    learned = tmp_path / "policy.parts" / "checkpoint-5" / "model.safetensors"
    before = trained_weights(load_policy("tiny", threads=1).model)
    with safe_open(learned, "pt") as file:
        kept = {name: file.get_tensor(name) for name in before if name in set(file.keys())}
    changed = sum(int((kept[name] != before[name]).sum()) for name in kept)
    assert changed / sum(weights.numel() for weights in kept.values()) > 0.9
    with safe_open(tmp_path / "policy" / "model.safetensors", "pt") as file:
        assert {str(file.get_tensor(name).dtype) for name in sorted(file.keys())} == {
            "torch.bfloat16"
        }


def test_an_update_that_changes_little_is_warned_of(prompts, tmp_path, capsys):
    words = ("--method", "sft", "--sft-learning-rate", 1e-12, "--updates", 1)
    figures = train(prompts, tmp_path / "policy", *words)
    assert figures["weights_changed"] < 0.5
    assert "one: warning: most weights stay as they are" in capsys.readouterr().err


def test_a_warm_up_is_waited_for(prompts, tmp_path, capsys):
    words = ("--warmup", 2, "--schedule", "cosine", "--updates", 2)
    train(prompts, tmp_path / "policy", *METHODS["sft"], *words)
    said = capsys.readouterr().err
    assert "one: update 2 changed" in said
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet").to_pylist()
    rates = [row["value"] for row in log if row["name"] == "learning_rate"]
    assert rates == [0.0, 5e-7]
