"""What is planned is near to what torch allocates, and the counts are exact."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from dipr1.policies.anatomy import Anatomy, read_anatomy
from dipr1.training import planning
from dipr1.training.freezing import freeze
from dipr1.training.planning import GIB, GPUS, Setting, Workload
from tests.unit import miniatures

NEAR = 1.35
"""By this factor at most may the plan of the activations be off, either way."""

VISION = {"depth": 32, "hidden_size": 1280, "intermediate_size": 3420, "out_hidden_size": 2048}
THREE_BILLION = {
    "model_type": "qwen2_5_vl",
    "hidden_size": 2048,
    "intermediate_size": 11008,
    "num_hidden_layers": 36,
    "num_attention_heads": 16,
    "num_key_value_heads": 2,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "vision_config": VISION,
}
WORK = Workload(
    responses=32, prompts=4, micro_batch=8, prompt=1200, image=1000, completion=500, passes=1
)


@pytest.fixture(scope="module")
def body(tmp_path_factory) -> Anatomy:
    folder = tmp_path_factory.mktemp("3b")
    (folder / "config.json").write_text(json.dumps(THREE_BILLION))
    return read_anatomy(str(folder))


# --- by hand --------------------------------------------------------------------------------------


def test_what_is_held(body):
    language, whole = 3_085_938_688, 3_754_622_976
    full = planning.held(body, Setting())
    assert full == {"weights": 4 * whole, "optimiser": 8 * language}
    with_reference = planning.held(body, Setting(reference=True))
    assert with_reference["reference model"] == 4 * whole

    lora = Setting(lora_rank=16, base_bytes=2, reference=True)
    wide, narrow = 2048, 256
    block = 2 * (wide + wide) + 2 * (wide + narrow) + 2 * (wide + 11008) + (11008 + wide)
    adapters = 36 * 16 * block
    assert planning.trained_weights(body, lora) == adapters
    assert planning.held(body, lora) == {
        "weights": 2 * whole + 4 * adapters,
        "optimiser": 8 * adapters,
    }
    embeddings = 151936 * 2048
    four_bit = planning.held(body, replace(lora, four_bit=True))["weights"]
    assert four_bit == pytest.approx(0.52 * (whole - embeddings) + 2 * embeddings + 4 * adapters)


def test_processes_share_out_what_they_hold_or_not(body):
    one = planning.held(body, Setting())
    assert planning.held(body, Setting(processes=4)) == one
    shared = planning.held(body, Setting(processes=4, parallel="fsdp2"))
    assert shared == {name: value / 4 for name, value in one.items()}
    gradients = [
        planning.learning(body, Setting(processes=n, parallel=how), WORK)["gradients"]
        for n, how in ((1, "ddp"), (2, "ddp"), (2, "zero3"))
    ]
    assert gradients == [4 * 3_085_938_688, 8 * 3_085_938_688, 2 * 3_085_938_688]


def test_the_cache_of_keys_and_values(body):
    """36 blocks of two heads of 128, keys and values, two bytes each; one block's twice."""
    cache = planning.generating(body, Setting(), WORK)["KV cache"]
    assert cache == 37 * 2 * 256 * 2 * 1700 * 32


def test_what_makes_a_training_fit_does(body):
    how = Setting(checkpointing=False)
    assert planning.on_gpu(planning.peak(body, how, WORK)) > GPUS["h100"].memory
    names = planning.fitting(body, how, WORK, GPUS["h100"].memory)
    assert names[0] == "gradient_checkpointing: true"
    assert planning.fitting(body, how, WORK, 4 * GIB) == []


def test_time_goes_with_what_is_done(body):
    h100, a100 = GPUS["h100"], GPUS["a100-80"]
    one = planning.seconds(body, Setting(), WORK, h100)
    assert set(one) == {"generating", "learning"}
    slower = planning.seconds(body, Setting(), WORK, a100)
    assert slower["learning"] == pytest.approx(one["learning"] * 989 / 312)
    longer = planning.seconds(body, Setting(), replace(WORK, completion=1000), h100)
    assert 1.9 < longer["generating"] / one["generating"] < 2.1
    assert set(planning.seconds(body, Setting(method="sft"), WORK, h100)) == {"learning"}


def test_sampling_takes_its_weights_and_a_token_of_all_at_a_time(body):
    needed, seconds = planning.answering(body, 2, WORK, GPUS["h100"], batches=3)
    besides = planning.generating(body, Setting(lora_rank=1, base_bytes=2), WORK)
    whole = 2 * 3_754_622_976 + sum(besides.values())
    assert needed == pytest.approx(1.1 * whole + GIB)
    assert seconds == pytest.approx(3 * 500 * 36 * 1.2e-3, rel=0.05)


# --- measured -------------------------------------------------------------------------------------

BATCH, PROMPT, COMPLETION, BLOCKS = 4, 24, 104, 6


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def measured(request, tmp_path_factory) -> tuple:
    """A miniature of six blocks, and its sizes."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp(request.param)
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(miniatures.TEXT, "num_hidden_layers", BLOCKS)
        model, processor = miniatures.MAKERS[request.param]()
    model.config.save_pretrained(folder)
    processor.save_pretrained(folder)
    freeze(model, vision=True)
    model.config.use_cache = False
    return model, read_anatomy(str(folder))


def most_bytes(run) -> int:
    """The most bytes that torch has allocated on the CPU while `run` runs, over what was there."""
    from torch.profiler import ProfilerActivity, profile

    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        kept = run()
    del kept
    events = profiled.profiler.kineto_results.events()
    changes = sorted((e.start_ns(), e.nbytes()) for e in events if e.name() == "[memory]")
    total = most = 0
    for _, change in changes:
        total += change
        most = max(most, total)
    return most


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("bf16", [False, True])
def test_activations_are_what_they_are_planned_to_be(measured, bf16, checkpointing):
    """Of the language model: its blocks forwards and backwards, gradients included."""
    import torch

    model, body = measured
    language = model.model.language_model
    language.train()
    if checkpointing:
        model.activation_checkpointing_enable({"use_reentrant": False})
    else:
        model.activation_checkpointing_disable()
    tokens = torch.randn(BATCH, PROMPT + COMPLETION, body.language.hidden, requires_grad=True)

    def learn():
        with torch.autocast("cpu", torch.bfloat16, enabled=bf16):
            out = language(inputs_embeds=tokens, use_cache=False).last_hidden_state
        out.float().sum().backward()

    learn()  # what is made once only
    model.zero_grad()
    most = most_bytes(learn)
    how = Setting(bf16=bf16, checkpointing=checkpointing)
    work = Workload(BATCH, 1, BATCH, PROMPT, 0, COMPLETION)
    parts = planning.learning(body, how, work)
    embeddings = body.language.vocabulary * body.language.hidden
    planned = parts["activations"] + parts["gradients"] - 4 * embeddings
    planned += 4 * tokens.numel() + parts.get("bfloat16 copies", 0.0)

    assert 1 / NEAR < planned / most < NEAR
