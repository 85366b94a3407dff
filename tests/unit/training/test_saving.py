"""What is saved of weights that were gathered from several processes."""

from __future__ import annotations

import types

import pytest

from dipr1.policies.load import load_policy, load_processor
from dipr1.training.saving import save, save_processor


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gathered_weights_are_saved_as_those_of_one_process(tmp_path, dtype):
    pytest.importorskip("torch")
    model = load_policy("tiny", threads=1).model
    weights = {name: weight.detach().clone() for name, weight in model.state_dict().items()}
    trainer = types.SimpleNamespace(model=model)
    save(trainer, weights, dtype, tmp_path / "gathered")
    save(trainer, None, dtype, tmp_path / "own")
    names = sorted(path.name for path in (tmp_path / "own").iterdir())
    assert names == sorted(path.name for path in (tmp_path / "gathered").iterdir())
    for name in names:
        own = (tmp_path / "own" / name).read_bytes()
        assert own == (tmp_path / "gathered" / name).read_bytes(), name


def test_a_tokenizer_does_not_tell_how_it_was_used(tmp_path):
    pytest.importorskip("torch")
    processor = load_processor("tiny")
    save_processor(processor, tmp_path / "unused")
    processor.tokenizer(["a b c", "a"], padding=True, truncation=True, max_length=2)
    save_processor(processor, tmp_path / "used")
    for path in (tmp_path / "unused").iterdir():
        assert path.read_bytes() == (tmp_path / "used" / path.name).read_bytes(), path.name
