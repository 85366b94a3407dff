"""A frozen base in 4 bit, as QLoRA has it (arXiv 2305.14314): NF4, its constants quantised, too.

The language model alone is: the vision tower has a fifth of the weights at most, and boxes are read
off what it sees.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from dipr1.errors import UserError

WHOLE = r"(.*\.)?(lm_head|visual|vision_tower|vision_model|multi_modal_projector)"
"""What is left whole, as a regular expression of its name."""


def check_four_bit() -> None:
    """Check that a base can be loaded in 4 bit here.

    Raises:
        UserError: there is no GPU, or no bitsandbytes.
    """
    import torch

    if not torch.cuda.is_available():
        raise UserError(
            "--quantisation 4bit: needs an NVIDIA GPU, and there is none; take it out (adapters of"
            " a whole base train anywhere)"
        )
    if importlib.util.find_spec("bitsandbytes") is None:
        raise UserError("--quantisation 4bit: needs bitsandbytes; pip install 'dipr1[train,qlora]'")


def four_bit_arguments(dtype: str, device: int | str) -> dict[str, Any]:
    """Arguments of `from_pretrained` for a base in 4 bit.

    Args:
        dtype: what is computed in, and the type of the weights that stay whole.
        device: where it is put, since quantised weights are not moved.
    """
    import torch
    from transformers import BitsAndBytesConfig

    config = BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=getattr(torch, dtype),
        llm_int8_skip_modules=[WHOLE],
    )
    return {"quantization_config": config, "device_map": {"": device}}
