"""What an update of a training needs, by arithmetic: memory of a GPU, and time.

The formulas stand in docs/training.md with what they leave out. They are for TRL 1.16 as
:mod:`dipr1.training.grpo` and :mod:`dipr1.training.sft` call it: all responses of an update are
generated together, their log-probabilities are computed in tiles of the vocabulary, and weights
that are trained are float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from dipr1.policies.anatomy import Anatomy

GIB = 2**30
ADAM = 8  # bytes of a trained weight: two moments in float32
TILE = (4096, 32768)  # tokens and words whose logits TRL computes at a time
PATCH_CHANNELS = 3
FOUR_BIT = 0.52  # bytes of a weight in NF4 with its doubly quantised scales (arXiv 2305.14314)
REWRITTEN = 1.0  # a block whose activations are computed again, as a share of what it would keep
CONTEXT = 1.0 * GIB  # CUDA's own
FRAGMENTS = 1.1  # of what is allocated, what is not free for others
REACHED = 0.35  # of a GPU's arithmetic, in large matrices with all that lies between them
LAUNCHES = 1.2e-3  # seconds in which a block's kernels are started, once for each token
ADAPTED = 2.0e-3  # the same with adapters
STREAMED = 0.6  # of a GPU's bandwidth
DISK = 0.5e9  # bytes a second of a shared file system
START = 300.0  # seconds until the first update
SLACK = 1.5  # asked for, of what is expected
CACHE = 4 * GIB  # decoded images, the processor's work and Python itself

Parallel = Literal["ddp", "fsdp2", "zero3"]


@dataclass(frozen=True)
class Workload:
    """What one process does in an update.

    Attributes:
        responses: of the update, that this process generates.
        prompts: different ones among them.
        micro_batch: responses in one forward and backward pass.
        prompt: tokens of the longest prompt, its image's included.
        image: tokens of the largest image.
        completion: tokens of the longest response.
        passes: updates that are made of the same responses.
    """

    responses: int
    prompts: int
    micro_batch: int
    prompt: int
    image: int
    completion: int
    passes: int = 1

    @property
    def tokens(self) -> int:
        """Of the longest sequence."""
        return self.prompt + self.completion


@dataclass(frozen=True)
class Setting:
    """How a training computes.

    Attributes:
        method: `sft` or `grpo`.
        bf16: computed under bfloat16 autocast, else in float32.
        checkpointing: activations are computed again in the backward pass.
        vision, projector: whether these are trained.
        lora_rank: 0 trains the weights themselves.
        base_bytes: of a weight that is not trained, where `lora_rank` is.
        four_bit: the base's linear layers are kept in 4 bit.
        reference: a second, frozen model is held for the KL term.
        processes: GPUs.
        parallel: what is shared between them.
        on_cpu: there TRL scores every position, not the responses' alone.
    """

    method: Literal["sft", "grpo"] = "grpo"
    bf16: bool = True
    checkpointing: bool = True
    vision: bool = False
    projector: bool = False
    lora_rank: int = 0
    base_bytes: float = 4
    four_bit: bool = False
    reference: bool = False
    processes: int = 1
    parallel: Parallel = "ddp"
    on_cpu: bool = False

    @property
    def computed(self) -> int:
        """Bytes of a number that a linear layer gives."""
        return 2 if self.bf16 else 4

    @property
    def carried(self) -> int:
        """Bytes of a number that goes from block to block: of the weights' type, not autocast's."""
        return 2 if self.bf16 and self.lora_rank and self.base_bytes <= 2 else 4

    @property
    def shared_by(self) -> int:
        """Processes among which weights, gradients and optimiser are shared out."""
        return 1 if self.parallel == "ddp" else self.processes


def trained_weights(body: Anatomy, how: Setting) -> int:
    """How many weights the optimiser has."""
    if how.lora_rank:
        return adapter_weights(body, how)
    parts = (body.tower.weights if how.vision else 0) + (body.projector if how.projector else 0)
    return body.language.weights + parts


def adapter_weights(body: Anatomy, how: Setting) -> int:
    """How many weights adapters have; those of a projector that learns are not counted."""
    parts = [body.language] + ([body.tower] if how.vision else [])
    return sum(
        part.layers * sum(how.lora_rank * (inputs + outputs) for inputs, outputs in part.linear)
        for part in parts
    )


def held(body: Anatomy, how: Setting) -> dict[str, float]:
    """Bytes that a process holds from the first update to the last, by what they are."""
    trained = trained_weights(body, how)
    weights = 4.0 * trained + _base(body, how) if how.lora_rank else 4.0 * body.weights
    share = how.shared_by
    parts = {"weights": weights / share, "optimiser": ADAM * trained / share}
    if how.reference and not how.lora_rank:
        parts["reference model"] = 4.0 * body.weights / share
    return parts


def _base(body: Anatomy, how: Setting) -> float:
    """Bytes of the base of adapters; its embeddings and what lies outside of blocks are not cut."""
    if not how.four_bit:
        return how.base_bytes * body.weights
    rounded = _computed_weights(body) + body.tower.weights + body.projector
    return FOUR_BIT * rounded + how.base_bytes * (body.weights - rounded)


def generating(body: Anatomy, how: Setting, work: Workload) -> dict[str, float]:
    """Bytes while the responses of an update are generated, besides those of :func:`held`."""
    language = body.language
    cache = 2.0 * language.layers * language.shared * how.computed * work.tokens * work.responses
    # one block of the whole batch's prompts: what it carries, three times, and its gate
    prefill = work.responses * work.prompt
    prefill *= 3 * how.carried * language.hidden + 3 * how.computed * language.intermediate
    logits = 4.0 * 4 * language.vocabulary * work.responses
    grown = cache / language.layers  # a block's cache is copied to grow
    parts = {"KV cache": cache + grown, "logits": logits, "images": pixels(body, work, "all")}
    parts["activations"] = prefill + _encoding(body, how, work.prompts * work.image)
    return parts


def learning(body: Anatomy, how: Setting, work: Workload) -> dict[str, float]:
    """Bytes in the backward pass of a micro-batch, besides those of :func:`held`."""
    language, trained = body.language, trained_weights(body, how)
    tokens = work.micro_batch * work.tokens
    block = _block(language.hidden, language.intermediate, how) * tokens
    carried = how.carried * language.hidden * tokens
    kept = _kept(language.layers, block, carried, how)
    if how.vision:
        patches = work.micro_batch * work.image * 4
        kept += _kept(
            body.tower.layers,
            _block(body.tower.hidden, body.tower.intermediate, how) * patches,
            how.carried * body.tower.hidden * patches,
            how,
        )
    else:
        kept += _encoding(body, how, work.micro_batch * work.image)
    scored = work.micro_batch * (work.tokens if how.on_cpu else work.completion)
    tile = how.computed * min(TILE[0], scored) * TILE[1]
    head = 0.0 if how.lora_rank else 4.0 * language.hidden * language.vocabulary
    parts = {
        "gradients": 4.0 * trained / how.shared_by,
        "activations": kept,
        "logits": tile + head + 4.0 * language.hidden * scored,
        "images": pixels(body, work, "all" if how.method == "grpo" else "micro"),
    }
    if how.bf16 and not how.lora_rank:
        parts["bfloat16 copies"] = 2.0 * _copied(body, how)
    if how.parallel == "ddp" and how.processes > 1:
        parts["gradients"] *= 2  # and once more in the buckets that are exchanged
    return parts


def _copied(body: Anatomy, how: Setting) -> float:
    """Weights of which autocast keeps a copy in a forward pass: those that are trained.

    Under checkpointing a copy lives as long as its block is computed; the head's lies in tiles.
    """
    language = body.language
    embeddings = language.vocabulary * language.hidden * (1 if language.tied else 2)
    blocks = (trained_weights(body, how) - embeddings) / (
        language.layers if how.checkpointing else 1
    )
    return blocks + min(TILE[1], language.vocabulary) * language.hidden


def _block(hidden: int, intermediate: int, how: Setting) -> float:
    """Bytes per token that a block keeps for its backward pass."""
    if how.bf16:
        return 35.0 * hidden + 8.0 * intermediate
    return 44.0 * hidden + 16.0 * intermediate


def _kept(layers: int, block: float, carried: float, how: Setting) -> float:
    if how.checkpointing:
        return layers * carried + REWRITTEN * block
    return layers * block + 0.5 * block


def _encoding(body: Anatomy, how: Setting, tokens: int) -> float:
    """Bytes while a tower without gradients encodes images of so many tokens in all."""
    tower = body.tower
    patches = tokens * 4
    return patches * (3 * how.carried * tower.hidden + 3 * how.computed * tower.intermediate)


def pixels(body: Anatomy, work: Workload, which: Literal["all", "micro"]) -> float:
    """Bytes of the patches of an update's images, of each response its own, in float32."""
    count = work.responses if which == "all" else work.micro_batch
    tower = body.tower
    return 4.0 * PATCH_CHANNELS * tower.pictures * tower.patch**2 * 4 * work.image * count


def peak(body: Anatomy, how: Setting, work: Workload) -> float:
    """Bytes that a process needs at its worst moment, of those that torch allocates."""
    phases = [learning(body, how, work)]
    if how.method == "grpo":
        phases.append(generating(body, how, work))
    static = sum(held(body, how).values())
    return static + max(sum(phase.values()) for phase in phases)


def on_gpu(allocated: float) -> float:
    """Bytes of a GPU that so many allocated ones take, CUDA's own and fragments included."""
    return FRAGMENTS * allocated + CONTEXT


@dataclass(frozen=True)
class Gpu:
    """A GPU by its maker's data sheet.

    Attributes:
        memory: bytes that programs see.
        bf16, float32: operations a second, dense and without TF32.
        bandwidth: bytes a second.
    """

    memory: float
    bf16: float
    float32: float
    bandwidth: float


GPUS = {
    "a100-40": Gpu(39.4 * GIB, 312e12, 19.5e12, 1.56e12),
    "a100-80": Gpu(79.3 * GIB, 312e12, 19.5e12, 2.04e12),
    "a6000": Gpu(47.5 * GIB, 155e12, 38.7e12, 0.77e12),
    "h100": Gpu(79.6 * GIB, 989e12, 67e12, 3.35e12),
    "h200": Gpu(140.4 * GIB, 989e12, 67e12, 4.8e12),
    "l40s": Gpu(44.9 * GIB, 362e12, 91.6e12, 0.86e12),
    "rtx4090": Gpu(23.6 * GIB, 165e12, 82.6e12, 1.01e12),
}


def seconds(body: Anatomy, how: Setting, work: Workload, gpu: Gpu) -> dict[str, float]:
    """Seconds of an update, by what they go into; an upper bound where responses are shorter."""
    parts = {"learning": _learning_seconds(body, how, work, gpu)}
    if how.method == "grpo":
        launches = ADAPTED if how.lora_rank else LAUNCHES
        generated = _generating_seconds(body, how, work, gpu, launches)
        parts = {"generating": generated / work.passes} | parts
    return parts


def _rate(how: Setting, gpu: Gpu) -> float:
    return REACHED * (gpu.bf16 if how.bf16 else gpu.float32)


def _computed_weights(body: Anatomy) -> float:
    """Weights of the language model that each token is multiplied by."""
    language = body.language
    looked_up = language.vocabulary * language.hidden * (1 if language.tied else 2)
    return float(language.weights - looked_up)


def _generating_seconds(
    body: Anatomy, how: Setting, work: Workload, gpu: Gpu, launches: float
) -> float:
    """One token of all responses after another: kernels are started, weights and cache read."""
    language = body.language
    read = 4.0 * body.language.weights + (4.0 * body.language.weights if how.bf16 else 0.0)
    if how.carried == 2:
        read = 2.0 * body.language.weights
    read += 2.0 * language.layers * language.shared * how.computed * work.tokens * work.responses
    of_token = max(launches * language.layers, read / (STREAMED * gpu.bandwidth))
    prompts = 2.0 * _computed_weights(body) * work.prompt * work.responses
    prompts += 2.0 * body.tower.weights * 4 * work.image * work.prompts
    return work.completion * of_token + prompts / _rate(how, gpu)


def _learning_seconds(body: Anatomy, how: Setting, work: Workload, gpu: Gpu) -> float:
    """Forward and backward passes over all responses, and over again where that is asked for."""
    language = body.language
    passes = 1 + (1 if how.checkpointing else 0) + (1 if how.lora_rank else 2)
    passes += (1 if how.reference else 0) + (1 if work.passes > 1 else 0)
    per_token = 2.0 * passes * _computed_weights(body)
    operations = per_token * work.tokens * work.responses
    operations += 2.0 * 3 * language.hidden * language.vocabulary * work.completion * work.responses
    seen = work.responses if how.vision else work.responses / work.micro_batch
    operations += 2.0 * (passes if how.vision else 1) * body.tower.weights * 4 * work.image * seen
    return operations / _rate(how, gpu)


def answering(
    body: Anatomy, number: int, work: Workload, gpu: Gpu, batches: int
) -> tuple[float, float]:
    """Bytes of a GPU and seconds that `sample` takes with transformers.

    Args:
        body: of the policy, which is not trained.
        number: bytes of a weight and of what is computed.
        work: `responses` of a batch about so many `prompts`.
        gpu: that it runs on.
        batches: one after another.
    """
    # adapters on a base of that type carry its numbers; these have one weight
    how = Setting(bf16=number == 2, lora_rank=1, base_bytes=number)
    held_by_it = float(number) * body.weights
    needed = on_gpu(held_by_it + sum(generating(body, how, work).values()))
    return needed, batches * _generating_seconds(body, how, work, gpu, LAUNCHES)


def checkpoint_bytes(body: Anatomy, how: Setting) -> float:
    """Bytes of a checkpoint: what learns, and the optimiser's two moments of it."""
    trained = trained_weights(body, how)
    return (4.0 * trained if how.lora_rank else 4.0 * body.weights) + ADAM * trained


def host_bytes(body: Anatomy, how: Setting) -> float:
    """Bytes of main memory that a process takes: it reads the weights before a GPU has them."""
    return 1.2 * (how.base_bytes if how.lora_rank else 4.0) * body.weights + CACHE


def fitting(body: Anatomy, how: Setting, work: Workload, memory: float) -> list[str]:
    """What would make a training fit into so many bytes of a GPU, the least change first."""
    fewer = replace(work, micro_batch=1)
    lean, few = replace(how, checkpointing=True), replace(work, responses=work.micro_batch)
    adapters = replace(lean, lora_rank=how.lora_rank or 64, base_bytes=2 if how.bf16 else 4)
    tried = [
        ("gradient_checkpointing: true", lean, work),
        ("micro_batch_size: 1", how, fewer),
        ("gradient_checkpointing: true and micro_batch_size: 1", lean, fewer),
        ("lora_rank: 64 with gradient_checkpointing", adapters, work),
        ("lora_rank: 64, micro_batch_size: 1 and gradient_checkpointing", adapters, fewer),
        ("fewer responses an update (prompts_per_update x group_size)", how, few),
    ]
    fits = [
        name
        for name, other, less in tried
        if (other, less) != (how, work) and on_gpu(peak(body, other, less)) <= memory
    ]
    for processes in (2, 4, 8):
        other, less = shared_out(lean, work, processes)
        if processes > how.processes and on_gpu(peak(body, other, less)) <= memory:
            return [*fits, f"processes: {processes} with parallel: fsdp2 or zero3"]
    return fits


def shared_out(how: Setting, work: Workload, processes: int) -> tuple[Setting, Workload]:
    """The same update by so many processes that share out what they hold."""
    times = processes / how.processes
    less = replace(
        work,
        responses=max(1, round(work.responses / times)),
        prompts=max(1, round(work.prompts / times)),
    )
    return replace(how, processes=processes, parallel="fsdp2"), less
