"""LoRA: what gets an adapter, and what becomes of it."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.cli import main
from dipr1.training.freezing import freeze
from dipr1.training.options import TrainedOptions
from tests.unit.miniatures import MAKERS
from tests.unit.scenes import scene_prompts

SFT = ("--method", "sft", "--sft-learning-rate", 1e-3)
GRPO = ("--method", "grpo", "--learning-rate", 1e-3, "--rewards", json.dumps({"accuracy": 1}))
GRPO += ("--group-size", 2, "--micro-batch-size", 4, "--max-completion-length", 60)
GRPO += ("--beta", 0.04)
LORA = ("--lora-rank", 4)

LANGUAGE = [
    f"model.language_model.layers.*.{name}_proj"
    for name in ("self_attn.q", "self_attn.k", "self_attn.v", "self_attn.o")
    + ("mlp.gate", "mlp.up", "mlp.down")
]
QWEN = [f"model.visual.blocks.*.attn.{name}" for name in ("qkv", "proj")]
TOWER = {
    "qwen2_vl": [*QWEN, *(f"model.visual.blocks.*.mlp.fc{k}" for k in (1, 2))],
    "qwen2_5_vl": [
        *QWEN,
        *(f"model.visual.blocks.*.mlp.{name}_proj" for name in ("gate", "up", "down")),
    ],
    "qwen3_vl": [*QWEN, *(f"model.visual.blocks.*.mlp.linear_fc{k}" for k in (1, 2))],
    "internvl": [
        *(
            f"model.vision_tower.encoder.layer.*.attention.{name}"
            for name in ("q_proj", "k_proj", "v_proj", "projection_layer")
        ),
        *(f"model.vision_tower.encoder.layer.*.mlp.fc{k}" for k in (1, 2)),
    ],
}
PROJECTOR = {
    "qwen2_vl": ["model.visual.merger.mlp.0", "model.visual.merger.mlp.2"],
    "qwen2_5_vl": ["model.visual.merger.mlp.0", "model.visual.merger.mlp.2"],
    "qwen3_vl": [
        f"model.visual.{name}.linear_fc{k}"
        for name in ("merger", "deepstack_merger_list.*")
        for k in (1, 2)
    ],
    "internvl": [f"model.multi_modal_projector.linear_{k}" for k in (1, 2)],
}


def adapted(model) -> dict[str, int]:
    """The layers that have an adapter, those of all blocks counted together."""
    from peft import get_peft_model
    from peft.tuners.lora import LoraLayer

    from dipr1.training.adapters import lora

    adapted = get_peft_model(model, lora(TrainedOptions(lora_rank=2), model)).get_base_model()
    names = [name for name, module in adapted.named_modules() if isinstance(module, LoraLayer)]
    return Counter(re.sub(r"\.\d+\.", ".*.", name) for name in names)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing:FutureWarning")
@pytest.mark.parametrize("family", MAKERS)
def test_which_layers_are_adapted(family):
    """Those of the language model alone, whatever the tower calls its own; others if trained."""
    pytest.importorskip("peft")
    model, _ = MAKERS[family]()
    assert freeze(model, vision=True)
    assert adapted(model) == Counter(2 * LANGUAGE)
    model, _ = MAKERS[family]()
    freeze(model, vision=True, projector=False)
    assert set(adapted(model)) == {*LANGUAGE, *PROJECTOR[family]}
    model, _ = MAKERS[family]()
    freeze(model, vision=False)
    assert set(adapted(model)) == {*LANGUAGE, *PROJECTOR[family], *TOWER[family]}


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("prompts")
    PROMPTS.write(scene_prompts(folder, 2), folder / "prompts.parquet")
    return folder / "prompts.parquet"


def train(prompts: Path, folder: Path, *words) -> dict[tuple[str, int], float]:
    """The figures that a training logs by name and update."""
    given = ("train", "--arm", "one", "--prompts", prompts, "--threads", 1, "--output", folder)
    given += ("--prompts-per-update", 2, *words)
    assert main([str(word) for word in given]) == 0
    log = TRAINING_LOG.read(folder / "training_log.parquet").to_pylist()
    return {(row["name"], row["step"]): row["value"] for row in log}


def predict(prompts: Path, policy: Path, output: Path, *words) -> list[str]:
    given = ("predict", prompts, "--policy", policy, "--threads", 1, "--output", output, *words)
    assert main([str(word) for word in given]) == 0
    return SAMPLES.read(output)["text"].to_pylist()


def adapter(folder: Path) -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / "adapter_model.safetensors")


@pytest.mark.parametrize("method", [SFT, GRPO], ids=["sft", "grpo"])
def test_a_run_that_goes_on_learns_what_an_undisturbed_one_does(prompts, tmp_path, capsys, method):
    """With dropout and a reference, too, and from a checkpoint that answers as a policy does."""
    method = (*method, *LORA, "--lora-dropout", 0.1, "--gradient-checkpointing")
    kept = (*method, "--keep-checkpoints", "--checkpoints", tmp_path / "kept", "--updates")
    figures = train(prompts, tmp_path / "short", *kept, 1)
    assert figures["weights_changed", 1] > 0.9
    longer = train(prompts, tmp_path / "longer", *kept, 2)
    assert "resuming from checkpoint-1" in capsys.readouterr().err
    if "grpo" in method:  # the reference is the base, also of a run that goes on
        assert figures["kl", 1] == pytest.approx(0, abs=1e-6)
        assert longer["kl", 2] > 1e-5
    train(prompts, tmp_path / "undisturbed", *method, "--updates", 2)
    theirs = adapter(tmp_path / "undisturbed")
    for name, learned in adapter(tmp_path / "longer").items():
        assert learned.dtype == np.float32
        np.testing.assert_allclose(learned, theirs[name], atol=1e-6, rtol=0, err_msg=name)
    few = ("--max-new-tokens", 8)
    texts = [
        predict(prompts, tmp_path / name, tmp_path / f"{Path(name).name}.parquet", *few)
        for name in ("kept/checkpoint-1", "short")
    ]
    assert texts[0] == texts[1]


def test_two_processes_learn_what_one_does_and_go_on(prompts, tmp_path):
    """They are started outside this process, since torch's launcher leaves files open."""
    method = (*SFT, *LORA, "--micro-batch-size", 1, "--prompts-per-update", 2)
    given = ("train", "--arm", "one", "--prompts", prompts, *method, "--threads", 2)
    given += ("--processes", 2, "--checkpoints", tmp_path / "kept", "--keep-checkpoints")
    for updates in (1, 2):
        words = (*given, "--updates", updates, "--output", tmp_path / f"two{updates}")
        command = [sys.executable, "-m", "dipr1.cli", *map(str, words)]
        done = subprocess.run(command, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
    assert "resuming from checkpoint-1" in done.stderr
    train(prompts, tmp_path / "one", *method, "--updates", 2)
    theirs = adapter(tmp_path / "one")
    for name, learned in adapter(tmp_path / "two2").items():
        np.testing.assert_allclose(learned, theirs[name], atol=1e-5, rtol=0, err_msg=name)


def test_one_checkpoint_answers_as_an_adapter_of_an_adapter_does(prompts, tmp_path, capsys):
    """In each type of the weights; the record says whose answers they are."""
    train(prompts, tmp_path / "first", *SFT, *LORA, "--updates", 2)
    on_it = ("--policy", tmp_path / "first", "--seed", 5, "--updates", 2)
    train(prompts, tmp_path / "second", *SFT, *LORA, *on_it)
    base = json.loads((tmp_path / "second" / "base.json").read_text())
    assert base["policy"] == "../first"
    for dtype in ("float32", "bfloat16"):
        merged = tmp_path / dtype
        given = ("export", tmp_path / "second", "--merge", "--dtype", dtype, "--output", merged)
        assert main([str(word) for word in given]) == 0
        assert read_made(merged).seed == 5
        few = ("--dtype", dtype, "--max-new-tokens", 60)
        texts = [
            predict(prompts, policy, tmp_path / f"{policy.name}.parquet", *few)
            for policy in (tmp_path / "second", merged)
        ]
        assert texts[0] == texts[1]
    assert texts[0] != predict(prompts, "tiny", tmp_path / "tiny.parquet", *few)
    capsys.readouterr()

    shutil.rmtree(tmp_path / "first")
    given = (
        "predict",
        prompts,
        "--policy",
        tmp_path / "second",
        "--output",
        tmp_path / "a.parquet",
    )
    assert main([str(word) for word in given]) == 1
    assert "is an adapter of" in capsys.readouterr().err


def test_an_update_of_float32_adapters_on_a_bfloat16_base(prompts, tmp_path):
    """Adam's first step of B is the learning rate, wherever the gradient is not tiny."""
    bf16 = ("--dtype", "bfloat16", "--precision", "bf16")
    figures = train(prompts, tmp_path / "policy", *SFT, *LORA, *bf16, "--updates", 1)
    assert figures["weights_changed", 1] > 0.9
    for name, learned in adapter(tmp_path / "policy").items():
        assert "language_model" in name
        assert learned.dtype == np.float32
        if "lora_B" in name:
            steps = np.abs(learned)
            assert steps.max() < 1.001e-3, name
            assert np.median(steps) > 0.99e-3, name


def test_what_is_quantised_has_adapters(prompts, tmp_path, capsys):
    given = ("train", "--arm", "one", "--prompts", prompts, "--output", tmp_path / "policy")
    assert main([str(word) for word in (*given, *SFT, "--quantisation", "4bit")]) == 1
    message = "dipr1 train: --quantisation: weights of 4 bit cannot be trained themselves; set"
    assert message in capsys.readouterr().err
