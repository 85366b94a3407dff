"""Training through the command line."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.cli import main


def test_a_policy_of_another_family_is_trained(qwen, qwen_prompts, tmp_path):
    pytest.importorskip("trl")
    prompts = tmp_path / "prompts.parquet"
    PROMPTS.write(pa.Table.from_pylist(qwen_prompts[:2], PROMPTS.schema), prompts)
    arguments = [
        *("train", "--arm", "trained", "--method", "grpo", "--looking-source", "group"),
        *("--rewards", json.dumps({"reasoning": 1, "looking": 1, "accuracy": 1})),
        *("--prompts", prompts, "--policy", qwen, "--threads", 1, "--updates", 1),
        *("--prompts-per-update", 2, "--group-size", 2, "--micro-batch-size", 4),
        *("--max-completion-length", 4, "--output", tmp_path / "policy"),
    ]
    assert main([str(argument) for argument in arguments]) == 0
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet")
    names = set(log["name"].to_pylist())
    assert {"loss", "rewards/looking_reward/mean", "problems/no_tags", "grad_norm"} <= names
