"""Which layers a base in 4 bit has in 4 bit, and where it can be had."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from tests.unit.miniatures import MAKERS

torch = pytest.importorskip("torch")

from dipr1.policies.load import load_policy  # noqa: E402
from dipr1.policies.quantised import WHOLE  # noqa: E402


@pytest.mark.parametrize("family", MAKERS)
def test_the_language_model_alone_is_quantised(family):
    from transformers.quantizers.quantizers_utils import should_convert_module

    model, _ = MAKERS[family]()
    language = set(model.get_decoder().modules())
    for name, module in model.named_modules():
        if isinstance(module, torch.nn.Linear):
            assert should_convert_module(name, [WHOLE]) == (module in language), name


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_there_is_none():
    with pytest.raises(UserError, match="^--quantisation 4bit: needs an NVIDIA GPU, and there is"):
        load_policy("tiny", four_bit=True)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_on_a_gpu_the_language_model_is_in_four_bit():
    pytest.importorskip("bitsandbytes")
    model = load_policy("tiny", "bfloat16", four_bit=True).model
    layers = {
        type(module).__name__: name.split(".")[1]
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and name != "lm_head"
    }
    assert layers == {"Linear4bit": "language_model", "Linear": "visual"}
