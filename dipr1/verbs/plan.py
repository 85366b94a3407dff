"""Say what a training needs before it is started: memory, time and what to ask SLURM for.

Nothing but the checkpoint's JSON files and, where it is there, the prompts artifact is read; torch
is not needed. The formulas, and how near they come, stand in docs/training.md.
"""

from __future__ import annotations

import argparse
import math
import re
from pathlib import Path
from typing import Any

from dipr1.artifacts.prompts import PROMPTS
from dipr1.config import Config, load
from dipr1.errors import UserError
from dipr1.frames import Frame
from dipr1.places import Places
from dipr1.policies.anatomy import Anatomy, read_anatomy
from dipr1.policies.families import read_policy_frames
from dipr1.policies.options import Policy
from dipr1.prompts import build_prompt
from dipr1.responses import Form
from dipr1.training import planning
from dipr1.training.adapters import base_dtype
from dipr1.training.objectives import objective
from dipr1.training.planning import GIB, GPUS, Setting, Workload

LETTERS = 4  # of a token of a prompt, about
TURNS = 20  # tokens that a chat template adds, about
IMAGES = 1000  # of a split, where its prompts are not there
SIZE = (1920, 1080)  # of an image, where nothing is known of the images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Arguments of ``dipr1 plan``."""
    add_config(parser)
    parser.add_argument("--gpu", choices=sorted(GPUS), default="h100", help="kind of GPU (h100)")
    parser.add_argument(
        "--image-size",
        metavar="WxH",
        help="of the largest image, pixels (default that of the prompts artifact, else 1920x1080)",
    )
    parser.add_argument(
        "--processes",
        metavar="N",
        type=int,
        help="GPUs of one training (default the configuration's)",
    )


def add_config(parser: argparse.ArgumentParser) -> None:
    """The arguments that say which experiment it is, and where its artifacts lie."""
    parser.add_argument("config", metavar="CONFIG", help="configuration file of the experiment")
    parser.add_argument(
        "--results", type=Path, default=Path("results"), help="folder of the results (results)"
    )


def run(args: argparse.Namespace) -> None:
    """Print the plan of every arm that is trained; arms of equal plans together.

    Raises:
        UserError: the configuration is wrong, or the policy's sizes are not known.
    """
    config = load(args.config)
    policy = config.policy
    body = read_anatomy(policy.model, policy.min_pixels, policy.max_pixels)
    size = image_size(args, config)
    image = image_tokens(body, policy, size)
    print(
        f"policy: {count(body.weights)} weights: language model {count(body.language.weights)},"
        f" tower {count(body.tower.weights)}, projector {count(body.projector)}; an image of"
        f" {size[0]} x {size[1]} is {image} tokens"
    )
    print(sample_words(config, body, image, args))
    plans: dict[str, list[str]] = {}
    for name, arm in config.arms.items():
        if arm.method != "none":
            lines = plan_of(config, arm, body, image, args)
            plans.setdefault("\n".join(lines), []).append(name)
    for text, names in plans.items():
        print(f"{'arm' if len(names) == 1 else 'arms'} {', '.join(names)}:\n{text}")


def image_size(args: argparse.Namespace, config: Config) -> tuple[int, int]:
    """The width and height of the largest image, pixels.

    Raises:
        UserError: --image-size is not of the form 1920x1080.
    """
    if args.image_size:
        found = re.fullmatch(r"(\d+)x(\d+)", args.image_size)
        if not found or not all(map(int, found.groups())):
            raise UserError(f"--image-size: found {args.image_size!r}; expected one like 1920x1080")
        return int(found[1]), int(found[2])
    path = trained_on("prompts", config, args.results)
    if not path.is_file():
        return SIZE
    sizes = PROMPTS.read(path, ["width", "height"]).to_pylist()
    return max(((row["width"], row["height"]) for row in sizes), key=math.prod, default=SIZE)


def trained_on(kind: str, config: Config, results: Path) -> Path:
    """Where a kind of results of the split that is trained on lie."""
    training = config.training
    return Path(Places(config, results).path(kind, training.dataset, training.split))


def image_tokens(body: Anatomy, policy: Policy, size: tuple[int, int]) -> int:
    """Tokens of the largest image; a policy that sees all in one size has its own."""
    fixed = read_policy_frames(policy.model, policy.frame).fixed
    return body.image.tokens(*(fixed or size))


def plan_of(
    config: Config, arm: Any, body: Anatomy, image: int, args: argparse.Namespace
) -> list[str]:
    """The lines about one arm."""
    gpu = GPUS[args.gpu]
    how = setting(config, arm, args.processes)
    work = workload(config, arm, image, how)
    held = planning.held(body, how)
    lines = [
        f"  an update: {updates_words(arm, work, how)}",
        f"  trained: {count(planning.trained_weights(body, how))} weights; held throughout:"
        f" {parts_words(held)}",
    ]
    phases = {"learning": planning.learning(body, how, work)}
    if arm.method == "grpo":
        phases = {"generating": planning.generating(body, how, work)} | phases
    lines += [f"  besides, {name}: {parts_words(parts)}" for name, parts in phases.items()]
    needed = planning.on_gpu(planning.peak(body, how, work))
    fits = needed <= gpu.memory
    lines.append(
        f"  memory of a GPU: {needed / GIB:.1f} GiB of the {gpu.memory / GIB:.0f} of {args.gpu}:"
        f" {'fits' if fits else 'does NOT fit'}"
    )
    if not fits:
        remedies = planning.fitting(body, how, work, gpu.memory)
        lines.append(f"  would fit: {'; '.join(remedies) or 'nothing that is known here'}")
    times = planning.seconds(body, how, work, gpu)
    update = sum(times.values())
    parts = ", ".join(f"{name} {value:.0f}" for name, value in times.items())
    checkpoint = planning.checkpoint_bytes(body, how)
    saved = checkpoint / planning.DISK * arm.updates / arm.save_every
    whole = planning.START + arm.updates * update + saved
    nodes = 1 if args.processes else config.training.nodes
    kept = arm.updates // arm.save_every if arm.keep_checkpoints else 2
    lines += [
        f"  time, if all responses were as long as allowed: {update:.0f} s an update ({parts});"
        f" {whole / 3600:.1f} h for {arm.updates} updates; checkpoints take"
        f" {kept * checkpoint / 1e9:.0f} GB of disk",
        f"  ask SLURM for: {resources_words(body, how, whole, nodes)}",
    ]
    return lines


def sample_words(config: Config, body: Anatomy, image: int, args: argparse.Namespace) -> str:
    """What `sample` needs for the split that is trained on, by transformers."""
    chosen, path = config.sample, trained_on("prompts", config, args.results)
    images = PROMPTS.read(path, ["image_id"]).num_rows if path.is_file() else IMAGES
    at_once = max(1, chosen.batch_size // chosen.num_samples)
    work = Workload(
        responses=at_once * chosen.num_samples,
        prompts=at_once,
        micro_batch=1,
        prompt=prompt_tokens(config, image),
        image=image,
        completion=chosen.max_new_tokens,
    )
    number, batches = 2 if config.policy.dtype == "bfloat16" else 4, math.ceil(images / at_once)
    needed, seconds = planning.answering(body, number, work, GPUS[args.gpu], batches)
    return (
        f"sample: {work.responses} responses at once need {needed / GIB:.1f} GiB; {images} images x"
        f" {chosen.num_samples} take {seconds / 3600:.1f} h of one GPU with transformers, at most"
    )


def setting(config: Config, arm: Any, processes: int | None) -> Setting:
    """How an arm computes."""
    training = config.training
    spread = training.processes * training.nodes
    projector = arm.freeze_vision if arm.freeze_projector is None else arm.freeze_projector
    base = base_dtype(arm, config.policy.dtype)
    return Setting(
        method=arm.method,
        bf16=arm.precision == "bf16",
        checkpointing=arm.gradient_checkpointing,
        vision=not arm.freeze_vision,
        projector=not projector,
        lora_rank=arm.lora_rank,
        base_bytes=2 if base == "bfloat16" else 4,
        four_bit=arm.quantisation == "4bit",
        reference=arm.method == "grpo" and bool(objective(arm)["beta"]),
        processes=processes or spread,
        parallel=training.parallel,
    )


def workload(config: Config, arm: Any, image: int, how: Setting) -> Workload:
    """What one process does in an update of an arm."""
    shared = how.processes
    group = arm.group_size if arm.method == "grpo" else 1
    responses = max(1, arm.prompts_per_update * group // shared)
    together = arm.updates_per_generation if arm.method == "grpo" else 1
    completion = arm.max_completion_length if arm.method == "grpo" else config.sample.max_new_tokens
    return Workload(
        responses=responses * together,
        prompts=max(1, arm.prompts_per_update // shared) * together,
        micro_batch=min(arm.micro_batch_size, responses),
        prompt=prompt_tokens(config, image, arm.form),
        image=image,
        completion=completion,
        passes=arm.iterations * together if arm.method == "grpo" else 1,
    )


def prompt_tokens(config: Config, image: int, form: Form = "steps") -> int:
    """Tokens of a prompt with an image of so many."""
    labels = config.datasets[config.training.dataset].labels or ["person"]
    text = build_prompt(labels, Frame.thousandths(1, 1), form=form)[0]["content"]
    return image + len(text) // LETTERS + TURNS


def updates_words(arm: Any, work: Workload, how: Setting) -> str:
    """What an update consists of."""
    what = "responses" if arm.method == "grpo" else "lessons"
    of_each = " of each process" if how.processes > 1 else ""
    return (
        f"{work.responses} {what}{of_each}, {work.micro_batch} at a time, of {work.prompt} +"
        f" {work.completion} tokens at most"
    )


def parts_words(parts: dict[str, float]) -> str:
    """Bytes by what they are, the largest first; what is under a hundredth is left out."""
    total = sum(parts.values())
    shown = sorted(parts.items(), key=lambda part: -part[1])
    words = [f"{name} {value / GIB:.1f}" for name, value in shown if value > total / 100]
    return f"{total / GIB:.1f} GiB = {' + '.join(words)}"


def resources_words(body: Anatomy, how: Setting, whole: float, nodes: int) -> str:
    """The resources of a job; half of the time that is expected comes on top."""
    minutes = 30 * math.ceil(planning.SLACK * whole / 60 / 30)
    each = how.processes // nodes
    memory = each * math.ceil(planning.host_bytes(body, how) / 1e6 / 1000) * 1000
    several = f"nodes: {nodes}, each with " if nodes > 1 else ""
    return f"{several}gpu: {each}, mem_mb: {memory}, runtime: {minutes}"


def count(number: float) -> str:
    """A number of weights in words.

    >>> count(3_754_622_976), count(631_975_680), count(12_000)
    ('3.75 billion', '632.0 million', '12 thousand')
    """
    if number >= 1e9:
        return f"{number / 1e9:.2f} billion"
    return f"{number / 1e6:.1f} million" if number >= 1e6 else f"{number / 1e3:.0f} thousand"
