"""Train one arm."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import os
import warnings
from pathlib import Path
from types import ModuleType
from typing import Any

import pyarrow as pa

from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.finished import finish, finished, give_again
from dipr1.artifacts.made import Made, made_by, policy_sums, write_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import output_file, output_folder, whole
from dipr1.errors import ToBeContinued, UserError
from dipr1.gpus import take_gpus
from dipr1.options import add_options, add_union_options, options, union_options
from dipr1.policies.adapters import is_adapter
from dipr1.policies.bounding import check_bounds
from dipr1.policies.families import policy_folder, policy_input, read_policy_frames
from dipr1.policies.load import load_policy, load_processor
from dipr1.policies.options import Policy
from dipr1.policies.rendering import begun_response
from dipr1.progress import say
from dipr1.resuming import claim, held
from dipr1.training import processes
from dipr1.training.adapters import base_dtype, refer_to_start, settle
from dipr1.training.card import longest_answer, write_card
from dipr1.training.completions import write_completions
from dipr1.training.endings import ended
from dipr1.training.evaluating import evaluate_between, set_aside, take_best
from dipr1.training.filtering import kept
from dipr1.training.freezing import freeze
from dipr1.training.launch import launch, launched
from dipr1.training.lessons import first_crops
from dipr1.training.loggers import keep_logs
from dipr1.training.options import (
    ON_THE_WAY,
    Spread,
    TrainedArm,
    code_of_training,
    without_effect,
)
from dipr1.training.order import (
    generated_together,
    updates_of_same_responses,
    updates_per_pass,
)
from dipr1.training.precision import tell_changed_weights
from dipr1.training.running import (
    check_enough,
    check_shared,
    log_table,
    make_way,
    mark_what_all_wrote,
    newest_checkpoint,
    stop_where_not_finite,
    tell_progress,
    train_from,
)
from dipr1.training.saving import gathered, generate_together, greedily, save, save_processor
from dipr1.training.signals import Told, leave_when_told, listening
from dipr1.training.symptoms import tell_symptoms
from dipr1.training.timing import tell_shares
from dipr1.training.tower import share_repeated_images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 train``."""
    parser.add_argument("--arm", required=True, help="name of the arm")
    parser.add_argument("--prompts", required=True, type=Path, help="prompts artifact")
    parser.add_argument("--variance", type=Path, help="variance artifact")
    parser.add_argument("--crops-file", type=Path, help="crops artifact, where --crops is given")
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed (default 0)")
    parser.add_argument(
        "--threads", metavar="N", type=int, help="CPU threads of all processes (default all)"
    )
    parser.add_argument(
        "--output", required=True, type=output_folder, help="folder of the trained policy"
    )
    parser.add_argument(
        "--checkpoints",
        type=Path,
        help="folder to resume from, then of the result (default OUTPUT with .parts, removed)",
    )
    parser.add_argument(
        "--sums", type=output_file, help="file for the SHA-256 of the policy's files (default none)"
    )
    add_options(parser, Spread)
    add_options(parser, Policy)
    add_union_options(parser, TrainedArm)


def run(args: argparse.Namespace) -> None:
    """Train until the last update, from the newest checkpoint of the same run where there is one.

    Raises:
        UserError: an option is not one of the method's, a reward needs the variance, there are no
            crops or too few prompts, an update cannot be shared by the processes, or the training
            comes to a bad end (:mod:`dipr1.training.endings`).
        ToBeContinued: a signal told it to leave.
        SystemExit: one of several processes failed.
    """
    spread = options(args, Spread)
    together = processes.count() if launched() else spread.processes * spread.nodes
    check_shared(union_options(args, TrainedArm).prompts_per_update, together)
    threads = args.threads and max(1, args.threads // spread.processes)
    folder = args.checkpoints or args.output.with_suffix(".parts")
    if together > 1 and not launched():
        with held(folder):  # waited for here; the first process takes it before it meets the others
            pass
        take_gpus(spread.processes)
        launch(args.arguments, spread, threads)
    else:
        with (
            held(folder) if processes.is_first() else contextlib.nullcontext(),
            listening() as told,
            processes.letting_the_first_speak(),
        ):
            take_gpus(spread.processes)
            _train(args, folder, threads, told)
            processes.by_the_first(lambda: _write_sums(args))


def _write_sums(args: argparse.Namespace) -> None:
    if args.sums:
        with whole(args.sums) as part:
            part.write_text(policy_sums(args.output), encoding="utf-8")


def _train(args: argparse.Namespace, folder: Path, threads: int | None, told: Told) -> None:
    """Be one of the processes that train, or the only one."""
    base, arm = options(args, Policy), union_options(args, TrainedArm)
    method = importlib.import_module(f"dipr1.training.{arm.method}")
    frames = read_policy_frames(base.model, base.frame, base.bounds)
    check_bounds(base.bounds, args.prompts, args.crops_file)
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # TRL 1.16 still uses the old name of an argument that transformers 5.23 has renamed
    warnings.filterwarnings("ignore", ".*gradient_checkpointing.*", FutureWarning)
    lessons, aside = _lessons(method, args, arm, base, fixed=frames.fixed is not None)
    made = _made(args, arm, base)
    processes.join()
    identity = made.identity(*without_effect(arm))
    processes.by_the_first(lambda: claim(folder, identity, "checkpoint-*"))
    if processes.any_of_all((result := finished(folder, _kind(arm))) is not None):
        processes.by_the_first(lambda: give_again(result, args.output))
        return
    processes.by_the_first(lambda: make_way(folder, arm.updates, arm.keep_best))
    newest = newest_checkpoint(folder)
    policy = _policy(arm, base, threads)
    trainer = method.trainer(arm, policy, lessons, args.seed, folder, frames)
    if arm.lora_rank:
        settle(trainer, base.model)
    if is_adapter(policy_folder(base.model)):
        refer_to_start(trainer)
    _watch(trainer, args.arm)
    if aside is not None:
        evaluate_between(trainer, arm, policy, aside, frames.fixed is not None, args.arm)
    _guard(trainer)
    leave_when_told(trainer, told, updates_of_same_responses(arm))
    with ended(trainer, folder):
        train_from(newest, trainer, updates_per_pass(arm, len(lessons)))
        processes.wait_for_all()  # who leaves first ends the others
    if told.left:
        raise ToBeContinued(
            f"{args.arm}: left after update {trainer.state.global_step} of {arm.updates}, as"
            f" {told.name or 'another process'} says; the same command goes on from {folder}"
        )
    with ended(trainer, folder):
        if arm.keep_best:
            take_best(trainer, args.arm)
        weights = gathered(trainer)
        processes.by_the_first(
            lambda: _publish(args, arm, base, policy, trainer, weights, made, folder)
        )
    say(f"{args.arm}: {trainer.state.global_step} updates, saved in {args.output}")


def _kind(arm) -> str:
    """Ends the name of a finished policy: a longer training goes on in the same folder."""
    return f"-{arm.updates}"


def _lessons(
    method: ModuleType, args: argparse.Namespace, arm, base: Policy, *, fixed: bool
) -> tuple[Any, Any]:
    """What is taught, and what is set aside to evaluate on between updates, if anything.

    Args:
        method: the module of the arm's method.
        fixed: the policy's frame is the same for all images.
    """
    aside, *given = set_aside(arm, PROMPTS.read(args.prompts), _crops(args, arm))
    prompts, variance, crops = kept(
        arm, VARIANCE.read(args.variance) if args.variance else None, *given
    )
    lessons = method.lessons(
        arm,
        prompts,
        variance,
        crops=crops,
        fixed=fixed,
        seed=args.seed,
        begun=_begun(base.model, prompts),
    )
    check_enough(len(lessons), arm.prompts_per_update, generated_together(arm))
    return lessons, aside


def _policy(arm, base: Policy, threads: int | None) -> Any:
    """The policy that training begins with, what is frozen of it frozen."""
    policy = load_policy(
        base.model,
        base_dtype(arm, base.dtype),
        threads,
        base.bounds,
        four_bit=arm.quantisation == "4bit",
    )
    if freeze(policy.model, arm.freeze_vision, arm.freeze_projector):
        share_repeated_images(policy.model)
    return policy


def _guard(trainer) -> None:
    """Keep a training from ends that nobody would notice."""
    stop_where_not_finite(trainer)
    generate_together(trainer)
    mark_what_all_wrote(trainer)


def _publish(
    args: argparse.Namespace,
    arm,
    base: Policy,
    policy: Any,
    trainer: Any,
    weights: Any,
    made: Made,
    folder: Path,
) -> None:
    """Write the policy's folder, whole or not at all, and clear what it was made from."""
    with whole(args.output) as part:
        save(trainer, weights, None if arm.lora_rank else base.dtype, part)
        greedily(policy.model, longest_answer(arm.model_dump())).save_pretrained(part)
        save_processor(policy.processor, part)
        log = log_table(trainer.state.log_history)
        TRAINING_LOG.write(log, part / "training_log.parquet", made)
        write_completions(folder, part, made)
        write_made(part, "policy", made)
        write_card(part)
        keep_logs(arm, folder, part)
    if not arm.keep_checkpoints:
        finish(folder, args.output, keep=args.checkpoints is not None, kind=_kind(arm))


def _made(args: argparse.Namespace, arm, base: Policy) -> Made:
    """What the policy says of itself."""
    return made_by(
        "train",
        arm.model_dump(include={*arm.flagged()} - ON_THE_WAY)
        | base.model_dump(exclude={"model"}, exclude_none=True)
        | {"seed": args.seed}
        | ({"processes": processes.count()} if processes.count() > 1 else {}),
        [args.prompts, args.variance, args.crops_file, policy_input(base.model)],
        code=code_of_training(arm),
        arm=args.arm,
        seed=args.seed,
    )


def _watch(trainer, name: str) -> None:
    """Let a training say how it goes."""
    tell_progress(trainer, name)
    tell_shares(trainer, name)
    tell_changed_weights(trainer, name)
    tell_symptoms(trainer, name)


def _begun(policy: str, prompts: pa.Table) -> str:
    """What of every response stands in the prompt; all prompts end alike."""
    if not prompts.num_rows:
        return ""
    return begun_response(load_processor(policy), prompts["prompt"][0].as_py())


def _crops(args: argparse.Namespace, arm) -> pa.Table | None:
    """The crops that the arm is trained on besides, if any."""
    if bool(args.crops_file) != bool(arm.crops):
        raise UserError(
            "--crops-file and --crops N belong together; give both (`dipr1 crop` makes the file) or"
            " neither"
        )
    return first_crops(CROPS.read(args.crops_file), arm.crops) if arm.crops else None
