"""LoRA (arXiv 2106.09685) and QLoRA (arXiv 2305.14314) through peft: what is adapted and kept.

All linear layers of the language model get an adapter (without those of the feed-forward blocks
LoRA learns less, "LoRA Without Regret", Thinking Machines 2025), and those of the vision tower and
its projector only where these are not frozen. Names alone do not tell which is which: the tower of
Qwen2.5-VL has a `gate_proj`, that of InternVL a `q_proj`, too. The adapters are float32, and the
base stays as it is: in `policy.dtype` under autocast, or in 4 bit. What was trained on a base in 4
bit is put on the whole base to answer: it is what the other approximates.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from dipr1.policies.adapters import weights_digest, write_base
from dipr1.policies.families import policy_folder
from dipr1.training.options import TrainedOptions

if TYPE_CHECKING:
    from peft import LoraConfig


def base_dtype(arm: TrainedOptions, dtype: str) -> str:
    """In which type a training loads its policy.

    Weights that learn are float32 (:mod:`dipr1.training.precision`); frozen ones need not be, where
    what is computed is not.

    >>> base_dtype(TrainedOptions(precision="bf16"), "bfloat16")
    'float32'
    >>> base_dtype(TrainedOptions(precision="bf16", lora_rank=16), "bfloat16")
    'bfloat16'
    """
    return dtype if arm.lora_rank and arm.precision == "bf16" else "float32"


def lora(arm: TrainedOptions, model) -> LoraConfig | None:
    """What TRL's trainers take as `peft_config`; None where the weights themselves are trained.

    Args:
        arm: that is trained.
        model: of any family, its parts that are not to be trained frozen.
    """
    if not arm.lora_rank:
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=arm.lora_rank,
        lora_alpha=arm.lora_alpha,
        lora_dropout=arm.lora_dropout,
        target_modules=adapted_layers(model),
        task_type="CAUSAL_LM",
    )


def adapted_layers(model) -> str:
    """A regular expression of the names of all layers of `model` that get an adapter.

    They are the linear ones that could be trained themselves, and those that are quantised.
    """
    import torch

    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and (module.weight.requires_grad or not module.weight.is_floating_point())
        and module is not model.get_output_embeddings()
    ]
    return "|".join(sorted({_in_any_block(name) for name in names}))


def _in_any_block(name: str) -> str:
    r"""A regular expression of a layer's name, whatever block it is in.

    The last part stays: `mlp.0` and `mlp.2` of a projector are linear, but `mlp.1` is not.

    >>> print(_in_any_block("visual.merger_list.3.mlp.2"))
    visual\.merger_list\.\d+\.mlp\.2
    """
    *parts, last = name.split(".")
    blocks = (r"\d+" if part.isdigit() else part for part in parts)
    return r"\.".join([*blocks, last])


def settle(trainer, base: str) -> None:
    """Give a trainer's model adapters in float32 that name their base.

    Args:
        trainer: of one of the methods, before it trains.
        base: name or folder of the policy that it begins with.
    """
    import torch

    for weights in trainer.model.parameters():
        if weights.requires_grad:  # TRL rounds those on a quantised base
            weights.data = weights.data.to(torch.float32)
    _spare_frozen_parts(trainer.model)
    _name_base(trainer.model, base)


def _spare_frozen_parts(model) -> None:
    """Let no gradient flow into a tower without adapters.

    Under gradient checkpointing TRL has what enters a model with adapters require a gradient, the
    tower's patches, too: it would be walked back through in every update, for nothing.
    """
    import torch
    from transformers import PreTrainedModel

    for module in model.modules():
        learns = any(weights.requires_grad for weights in module.parameters())
        if isinstance(module, PreTrainedModel) and not learns:
            module.forward = torch.no_grad()(module.forward)


def refer_to_start(trainer) -> None:
    """Let a KL term be to the policy that a training begins with: an adapter with its base.

    TRL loads its reference anew from where the model's configuration says that it is from, which is
    the base alone.
    """
    reference = getattr(trainer, "ref_model", None)
    if reference is not None:
        whole = trainer.accelerator.unwrap_model(reference)
        whole.load_state_dict(trainer.model.state_dict())


def _name_base(model, base: str) -> None:
    """Have a model with an adapter say, wherever it is saved, which base that is of."""
    weights = weights_digest(policy_folder(base))
    save = model.save_pretrained
    model.peft_config["default"].base_model_name_or_path = base

    def save_with_base(folder: str | Path, is_main_process: bool = True, **given: Any) -> None:
        # embeddings are never adapted; to find that out, peft would ask the internet
        given["save_embedding_layers"] = False
        save(str(folder), is_main_process=is_main_process, **given)
        if is_main_process:
            write_base(Path(folder), base, weights)
            (Path(folder) / "README.md").unlink(missing_ok=True)  # a form to fill in

    model.save_pretrained = save_with_base
