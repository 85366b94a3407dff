"""What happens around a trainer: progress, checkpoints, the log."""

from __future__ import annotations

import functools
import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import NoReturn

import pyarrow as pa

from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.resuming import MARK, set_aside
from dipr1.training import processes
from dipr1.training.completions import FOLDER as COMPLETIONS
from dipr1.training.precision import own_part
from dipr1.training.timing import seconds_of

ALL_WROTE = "all_processes_wrote"
"""The file of a checkpoint of several processes that is written when all have written theirs."""

# Wall-clock figures, and counts since the last start: they differ between runs that are otherwise
# the same.
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


def check_shared(prompts_per_update: int, together: int) -> None:
    """Check that each of so many processes has as many prompts of an update, with all responses.

    Raises:
        UserError: it has not.
    """
    if prompts_per_update % together:
        raise UserError(
            f"--prompts-per-update {prompts_per_update}: cannot be shared by {together} processes;"
            " make it a multiple of them"
        )


def check_enough(lessons: int, prompts_per_update: int, together: int = 1) -> None:
    """Check that there are prompts for one update, or for those that are generated together.

    Raises:
        UserError: there are not.
    """
    if lessons < prompts_per_update * together:
        times = f" x --updates-per-generation {together}" if together > 1 else ""
        raise UserError(
            f"--prompts: {lessons} prompts are too few for --prompts-per-update"
            f" {prompts_per_update}{times}; give more images or lower it"
        )


def tell_progress(trainer, arm: str) -> None:
    """Print one short line per update, in place of the dictionaries that trainers print."""
    from transformers import PrinterCallback, TrainerCallback

    class Teller(TrainerCallback):
        def on_train_begin(self, args, state, control, **kwargs):
            state.save_steps = args.save_steps  # a checkpoint brings the number it was made with

        def on_log(self, args, state, control, logs=None, **kwargs):
            shown = {
                name.removeprefix("rewards/").removesuffix("_reward/mean"): value
                for name, value in (logs or {}).items()
                if name == "loss" or (name.startswith("reward") and not name.endswith("std"))
                if value is not None  # a reward that could judge no response of the update
            }
            if "loss" in shown:
                figures = ", ".join(f"{name} {float(value):.3f}" for name, value in shown.items())
                seconds = sum(seconds_of(logs).values())
                took = f", {seconds:.1f} s" if seconds else ""
                say(f"{arm}: update {state.global_step} of {state.max_steps}: {figures}{took}")

    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(Teller)


def mark_what_all_wrote(trainer) -> None:
    """Mark a checkpoint of several processes when all have written what is theirs."""
    from transformers import TrainerCallback

    class Marker(TrainerCallback):
        def on_save(self, args, state, control, **kwargs):
            if processes.count() > 1:
                path = Path(args.output_dir) / f"checkpoint-{state.global_step}" / ALL_WROTE
                processes.wait_for_all()
                processes.by_the_first(path.touch)

    trainer.add_callback(Marker)


def stop_where_not_finite(trainer) -> None:
    """Stop at an update that leaves the policy, or its loss, without finite numbers."""
    import torch
    from transformers import TrainerCallback

    def stop(what: str) -> NoReturn:
        raise UserError(
            f"update {trainer.state.global_step}: the {what} no longer finite; nothing was saved;"
            f" take a learning rate below {trainer.args.learning_rate:g}"
        )

    class Watch(TrainerCallback):
        def on_step_end(self, args, state, control, model=None, **kwargs):
            learned = (weights.detach() for weights in model.parameters() if weights.requires_grad)
            parts = map(own_part, learned)
            norms = [torch.linalg.vector_norm(part, dtype=torch.float32) for part in parts]
            if not torch.stack(norms).isfinite().all():
                stop("weights are")

        def on_log(self, args, state, control, logs=None, **kwargs):
            if not math.isfinite(float((logs or {}).get("loss", 0))):
                stop("loss is")

    def look_at(module, inputs, output):
        logits = getattr(output, "logits", None)  # TRL's fused losses give none
        # the last place alone: the whole would take as much memory again
        if logits is not None and not logits[:, -1].float().logsumexp(-1).isfinite().all():
            stop("policy's probabilities are")

    trainer.add_callback(Watch)
    trainer.model.register_forward_hook(look_at)


def make_way(folder: Path, updates: int, keep_best: bool) -> None:
    """Set a longer training of the same kind aside; its checkpoints up to `updates` stay.

    With `keep_best` none stays: the weights of what was best until then are gone.
    """
    if all(_updates(path) <= updates for path in folder.glob("checkpoint-*")):
        return
    aside = set_aside(folder, f"its checkpoints are beyond --updates {updates}")
    folder.mkdir()
    shutil.copy(aside / MARK, folder)
    for path in () if keep_best else [*aside.glob("checkpoint-*")]:
        if _updates(path) <= updates:
            path.rename(folder / path.name)
    for file in aside.glob(f"{COMPLETIONS}/*.parquet"):
        if int(file.stem) <= updates:
            (folder / COMPLETIONS).mkdir(exist_ok=True)
            shutil.copy(file, folder / COMPLETIONS)


def newest_checkpoint(folder: Path) -> Path | None:
    """The whole checkpoint with the most updates; None without one.

    A trainer writes its state last, so a checkpoint that was cut short lacks it.
    """
    paths = sorted(folder.glob("checkpoint-*"), key=_updates, reverse=True)
    for path in paths:
        if is_whole(path):
            return path
        say(f"{path}: its trainer_state.json is missing or damaged; passed over")
    return None


def _updates(checkpoint: Path) -> int:
    return int(checkpoint.name.removeprefix("checkpoint-"))


def is_whole(checkpoint: Path) -> bool:
    """Whether a checkpoint was written to its end, by all processes."""
    if any(checkpoint.glob("rng_state_*.pth")) and not (checkpoint / ALL_WROTE).is_file():
        return False
    try:
        state = json.loads((checkpoint / "trainer_state.json").read_text(encoding="utf-8"))
        return state["global_step"] == _updates(checkpoint)
    except (OSError, ValueError, KeyError, TypeError):
        return False


def train_from(checkpoint: Path | None, trainer, updates_per_pass: int) -> None:
    """Train until the last update, from a checkpoint where there is one.

    Args:
        checkpoint: to go on from.
        trainer: of one of the methods.
        updates_per_pass: after which all prompts have been seen.

    Raises:
        UserError: a file of the checkpoint is missing or damaged.
    """
    if checkpoint is not None:
        _tell_what_cannot_be_loaded(trainer, checkpoint)
    if checkpoint is None:
        trainer.train()
    elif _updates(checkpoint) < trainer.args.max_steps:
        say(f"resuming from {checkpoint.name}")
        trainer.passes_done = _updates(checkpoint) // updates_per_pass
        trainer.train(resume_from_checkpoint=str(checkpoint))
    else:  # a trainer would do one more update
        say(f"{checkpoint.name} is the last")
        trainer._load_from_checkpoint(str(checkpoint))
        trainer.state = type(trainer.state).load_from_json(checkpoint / "trainer_state.json")


def _parts(trainer) -> dict[str, str]:
    """How a trainer loads each part of a checkpoint, and the file it lies in, as a pattern."""
    state = f"rng_state_{processes.number()}.pth" if processes.count() > 1 else "rng_state.pth"
    parts = {
        "_load_from_checkpoint": "*.safetensors",  # where weights lie differs
        "_load_optimizer_and_scheduler": "optimizer.pt",
        "_load_rng_state": state,
    }
    if trainer.is_fsdp_enabled:
        parts["_load_optimizer_and_scheduler"] = "optimizer.bin"
    if trainer.is_deepspeed_enabled:  # in files of its own, with the optimiser
        parts = {"_load_rng_state": state}
    return parts


def _tell_what_cannot_be_loaded(trainer, checkpoint: Path) -> None:
    """Have a trainer say in one line which part of a checkpoint it cannot load.

    Raises:
        UserError: one is missing. A trainer would go on without its optimiser, and say nothing.
    """
    parts = _parts(trainer)
    for file in (*parts.values(), *([] if trainer.is_deepspeed_enabled else ["scheduler.pt"])):
        if not any(checkpoint.glob(file)):
            raise _damaged(checkpoint, file, "missing")
    for method, file in parts.items():
        setattr(trainer, method, _telling(getattr(trainer, method), checkpoint, file))


def _telling(load: Callable, checkpoint: Path, file: str) -> Callable:
    @functools.wraps(load)
    def told(*given, **named):
        try:
            return load(*given, **named)
        except Exception as error:  # what broken bytes lead to has many classes
            raise _damaged(checkpoint, file, str(error) or type(error).__name__) from None

    return told


def _damaged(checkpoint: Path, file: str, why: str) -> UserError:
    return UserError(
        f"{checkpoint / file}: cannot be loaded ({why.splitlines()[0]:.120}); if it is damaged,"
        f" delete {checkpoint}: training then goes on from the checkpoint before it, or begins anew"
    )


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
    return pa.Table.from_pylist(rows, TRAINING_LOG.schema)
