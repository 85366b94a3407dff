"""What both trainers are told."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.training.arguments import accumulated, shared_arguments
from dipr1.training.options import SftArm


def told(tmp_path, **options):
    pytest.importorskip("torch")
    return shared_arguments(SftArm(method="sft", **options), 0, tmp_path)


def test_precision(tmp_path):
    assert told(tmp_path)["bf16"] is False
    assert told(tmp_path)["use_cpu"] is False  # or a GPU would not be used
    assert told(tmp_path, precision="bf16")["bf16"] is True


def test_schedule(tmp_path):
    plain = told(tmp_path)
    assert (plain["lr_scheduler_type"], plain["warmup_steps"]) == ("constant_with_warmup", 0)
    cosine = told(tmp_path, schedule="cosine", warmup=5)
    assert (cosine["lr_scheduler_type"], cosine["warmup_steps"]) == ("cosine", 5)


def test_an_update_has_as_many_responses_with_any_number_of_processes(monkeypatch):
    assert accumulated(24, 2, "prompts") == 12
    monkeypatch.setenv("WORLD_SIZE", "3")
    assert accumulated(24, 2, "prompts") == 4
    with pytest.raises(UserError, match="prompts / 3 processes = 8 responses per update are not a"):
        accumulated(24, 3, "prompts")
