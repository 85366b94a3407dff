"""What of the engine vLLM can be seen without vLLM; tests/vllm has the rest."""

from __future__ import annotations

import math
import sys
from types import SimpleNamespace

import pytest

from dipr1.cli import main
from dipr1.errors import UserError
from dipr1.policies.engines import code_of_engine, engine_named
from dipr1.policies.engines.vllm import _probability, _seeds, load
from dipr1.provenance import modules_behind


def test_engines_are_found_by_name():
    for name in ("transformers", "vllm"):
        engine = engine_named(name)
        assert engine.__name__ == f"dipr1.policies.engines.{name}"
        assert all(map(callable, (engine.load, engine.respond)))


def test_only_what_is_chosen_counts():
    engine = "dipr1.policies.engines.vllm"
    for verb in ("sample", "predict", "inspect"):
        assert engine not in modules_behind(verb, **code_of_engine("transformers"))
        assert engine in modules_behind(verb, **code_of_engine("vllm"))


def test_without_vllm_one_line_says_what_to_do(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(UserError, match=r"envs/vllm\.yaml") as raised:
        load("tiny")
    assert "\n" not in str(raised.value)


def test_each_row_has_a_seed():
    assert _seeds([3, 4], 2) == [3, 4]
    assert len(set(_seeds(7, 50))) == 50
    assert _seeds(7, 50) == _seeds(7, 50) != _seeds(8, 50)


def test_probabilities_are_among_what_may_be_written():
    logprobs = {
        token: SimpleNamespace(logprob=math.log(chance))
        for token, chance in {1: 0.2, 8: 0.5, 9: 0.1}.items()
    }
    assert _probability(1, logprobs, [8, 9]) == pytest.approx(0.5)
    assert _probability(1, logprobs, []) == pytest.approx(0.2)


def test_the_command_line_knows_engines(capsys):
    with pytest.raises(SystemExit):
        main(["predict", "--help"])
    assert "--engine {transformers,vllm}" in capsys.readouterr().out
