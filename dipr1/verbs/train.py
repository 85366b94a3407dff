"""Train one arm."""

from __future__ import annotations

import argparse
import os
import shutil
import warnings
from pathlib import Path

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.artifacts.variance import VARIANCE
from dipr1.artifacts.writing import whole
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.training.options import Arm, Training
from dipr1.training.running import (
    _trainer,
    freeze_vision,
    log_table,
    newest_checkpoint,
    tell_progress,
)
from dipr1.training.tower import share_repeated_images


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 train``."""
    from dipr1.options import add_options

    parser.add_argument("--arm", required=True, help="name of the arm, for the log")
    parser.add_argument("--prompts", required=True, type=Path, help="prompts artifact")
    parser.add_argument("--variance", type=Path, default=None, help="variance artifact")
    parser.add_argument("--policy", default="tiny", help="`tiny` or a checkpoint folder")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--output", required=True, type=Path, help="folder of the trained policy")
    parser.add_argument(
        "--checkpoints",
        type=Path,
        default=None,
        help="folder to resume from (default OUTPUT.parts)",
    )
    add_options(parser, Training)
    add_options(parser, Arm)


def run(args: argparse.Namespace) -> None:
    """Train until the last update, from the newest checkpoint of the same run where there is one.

    Raises:
        UserError: the method is `none`, or looking is rewarded without statistics.
    """
    from dipr1.options import options
    from dipr1.policies.load import fingerprint, load_policy, policy_folder
    from dipr1.policies.sampling import claim

    training, arm = options(args, Training), options(args, Arm)
    if arm.method == "none":
        raise UserError("--method none: there is nothing to train; use the base policy itself")
    if arm.rewards.get("looking") and arm.looking_source == "precomputed" and not args.variance:
        raise UserError(
            "--rewards: looking is rewarded, so --variance FILE is needed,"
            " or --looking-source group"
        )
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # TRL 1.16 still uses the old name of an argument that transformers 5.23 has renamed
    warnings.filterwarnings("ignore", ".*gradient_checkpointing.*", FutureWarning)
    settings = training.model_dump() | arm.model_dump() | {"seed": args.seed, "dtype": args.dtype}
    sources = [args.prompts, policy_folder(args.policy)]
    sources += [args.variance] if args.variance else []
    folder = args.checkpoints or args.output.with_suffix(".parts")
    claim(folder, fingerprint(settings, sources))
    prompts = PROMPTS.read(args.prompts)
    variance = VARIANCE.read(args.variance) if args.variance else None
    policy = load_policy(args.policy, args.dtype, args.threads)
    if training.freeze_vision:
        freeze_vision(policy.model)
        share_repeated_images(policy.model)
    trainer = _trainer(arm, training, policy, prompts, variance, args.seed, folder)
    tell_progress(trainer, args.arm)
    newest = newest_checkpoint(folder)
    if newest:
        say(f"resuming from {newest.name}")
    trainer.train(resume_from_checkpoint=str(newest) if newest else None)
    with whole(args.output) as part:
        trainer.model.config.use_cache = True
        trainer.model.save_pretrained(part)
        policy.processor.save_pretrained(part)
        TRAINING_LOG.write(log_table(trainer.state.log_history), part / "training_log.parquet")
        shutil.copytree(folder / "tensorboard", part / "tensorboard", dirs_exist_ok=True)
    shutil.rmtree(folder)
    say(f"{args.arm}: {trainer.state.global_step} updates, saved in {args.output}")
