"""Train one arm and save its policy with its training log (verb ``train``)."""

from __future__ import annotations

import argparse
import os
import shutil
import warnings
from pathlib import Path

import pyarrow as pa

from dipr1.config import Arm, Training
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.tables import TRAINING_LOG, read_table, whole, write_table
from dipr1.training.tower import share_repeated_images

# Wall-clock figures, and counts since the last start: they differ between two runs that are the
# same in everything else.
LEFT_OUT = (
    "runtime",
    "per_second",
    "step_time",
    "time/",
    "epoch",
    "total_flos",
    "train_loss",
    "num_tokens",
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 train``."""
    from dipr1.cli import add_options

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
    from dipr1.cli import options
    from dipr1.policies.load import fingerprint, load_policy, policy_folder
    from dipr1.policies.sample import claim

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
    prompts = read_table(args.prompts, "prompts")
    variance = read_table(args.variance, "variance") if args.variance else None
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
        write_table(
            log_table(trainer.state.log_history), part / "training_log.parquet", "training_log"
        )
        shutil.copytree(folder / "tensorboard", part / "tensorboard", dirs_exist_ok=True)
    shutil.rmtree(folder)
    say(f"{args.arm}: {trainer.state.global_step} updates, saved in {args.output}")


def _trainer(arm: Arm, training: Training, policy, prompts, variance, seed: int, folder: Path):
    if arm.method == "sft":
        from dipr1.training.sft import sft_trainer

        return sft_trainer(training, policy, prompts, variance, seed, folder)
    from dipr1.training.grpo import grpo_trainer

    return grpo_trainer(arm, training, policy, prompts, variance, seed, folder)


def shared_arguments(training: Training, seed: int, folder: Path) -> dict:
    """What both trainers are told alike (`transformers.TrainingArguments`)."""
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(folder / "tensorboard")
    return {
        "output_dir": str(folder),
        "max_steps": training.updates,
        "lr_scheduler_type": "constant",
        "warmup_steps": 0,
        "max_grad_norm": training.max_grad_norm,
        "weight_decay": 0.0,
        "logging_steps": 1,
        "save_steps": training.save_every,
        "save_total_limit": 2,
        "report_to": ["tensorboard"],
        "seed": seed,
        "data_seed": seed,
        "bf16": False,
        "fp16": False,
        "gradient_checkpointing": training.gradient_checkpointing,
        "disable_tqdm": True,
        "remove_unused_columns": False,
        "dataloader_pin_memory": False,
    }


def variety(training: Training, seed: int) -> dict:
    """How both trainers vary the questions (`dipr1.training.questions.variations`)."""
    return {
        "wordings": training.wordings,
        "ask": training.ask,
        "absent_labels": training.absent_labels,
        "seed": seed,
    }


def freeze_vision(model) -> None:
    """Let only the language model learn.

    Raises:
        UserError: the model has no part called `visual` or `vision_tower`.
    """
    towers = [
        module
        for name, module in model.named_modules()
        if name.split(".")[-1] in ("visual", "vision_tower", "vision_model")
    ]
    if not towers:
        raise UserError(
            f"freeze_vision: {type(model).__name__} has no part called visual, vision_tower or"
            " vision_model; set training.freeze_vision to false"
        )
    for tower in towers:
        tower.requires_grad_(False)


def tell_progress(trainer, arm: str) -> None:
    """Have one short line said per update, in place of the trainer's dictionaries."""
    from transformers import PrinterCallback, TrainerCallback

    class Teller(TrainerCallback):
        def on_log(self, args, state, control, logs=None, **kwargs):
            shown = {
                name.removeprefix("rewards/").removesuffix("_reward/mean"): value
                for name, value in (logs or {}).items()
                if name == "loss" or (name.startswith("reward") and not name.endswith("std"))
            }
            if "loss" in shown:
                figures = ", ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
                say(f"{arm}: update {state.global_step} of {state.max_steps}: {figures}")

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Teller)


def newest_checkpoint(folder: Path) -> Path | None:
    """The checkpoint with the most updates that was written whole; None without one.

    The trainer's state is what a checkpoint gets last, so a killed one lacks it.
    """
    whole_ones = [p for p in folder.glob("checkpoint-*") if (p / "trainer_state.json").is_file()]
    return max(whole_ones, key=lambda p: int(p.name.split("-")[1]), default=None)


def log_table(history: list[dict]) -> pa.Table:
    """The trainer's log as rows (step, name, value), without what differs from run to run."""
    rows = [
        {"step": entry["step"], "name": name, "value": float(value)}
        for entry in history
        for name, value in sorted(entry.items())
        if name != "step"
        and isinstance(value, int | float)
        and not any(part in name for part in LEFT_OUT)
    ]
    return pa.Table.from_pylist(rows, TRAINING_LOG)
