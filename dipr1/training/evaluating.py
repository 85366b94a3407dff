"""Evaluate in the middle of a training, on images that are set aside, and keep the best policy.

They are images of the training split, the same for every arm and seed: a checkpoint that is chosen
on the sets which the report is about would flatter them.
"""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.errors import UserError
from dipr1.progress import say
from dipr1.rewards import AccuracyReward
from dipr1.training.greedy import greedy_responses
from dipr1.training.lessons import asked
from dipr1.training.options import TrainedOptions

if TYPE_CHECKING:
    from dipr1.policies.load import LoadedPolicy

METRIC, READABLE = "eval/accuracy", "eval/readable"


def set_aside(
    options: TrainedOptions, prompts: pa.Table, crops: pa.Table | None
) -> tuple[pa.Table | None, pa.Table, pa.Table | None]:
    """The images to evaluate on, and the prompts and crops of the others.

    Returns:
        None for the first where there are to be none.

    Raises:
        UserError: no image would be left to train on.
    """
    count = options.eval_images
    if not count:
        return None, prompts, crops
    if count >= prompts.num_rows:
        raise UserError(
            f"--eval-images {count}: of {prompts.num_rows} images none would be left to train on"
        )
    drawn = np.random.default_rng(0).permutation(prompts.num_rows)[:count]
    aside = np.isin(np.arange(prompts.num_rows), drawn)
    chosen, others = prompts.filter(pa.array(aside)), prompts.filter(pa.array(~aside))
    if crops is not None:
        crops = crops.filter(pc.is_in(crops["crop_of"], others["image_id"].combine_chunks()))
    return chosen, others, crops


def evaluate_between(
    trainer, options: TrainedOptions, policy: LoadedPolicy, images: pa.Table, fixed: bool, arm: str
) -> None:
    """Ask about the images every `eval_every` updates, and log how well they are answered.

    `eval/accuracy` is the accuracy reward of greedy answers with all people weighing alike,
    whatever the arm is paid for; `eval/readable` the share that can be read. Neither the weights
    nor the random numbers of the training notice.

    Args:
        trainer: of one of the methods, whose checkpoints are in its `output_dir`.
        options: how often, and the form of what is asked.
        policy: that is trained.
        images: rows of the prompts artifact.
        fixed: the policy's frame is the same for every image.
        arm: its name.
    """
    from transformers import TrainerCallback

    questions, columns = asked(images, None, form=options.form, fixed=fixed)

    class Evaluator(TrainerCallback):
        def on_step_end(self, args, state, control, **kwargs):
            if state.global_step % options.eval_every:
                return
            answers = greedy_responses(
                policy,
                questions.to_pylist(),
                batch_size=options.micro_batch_size,
                max_new_tokens=options.eval_tokens,
            )
            figures = _figures([answer.text for answer in answers], columns)
            for name, value in figures.items():
                trainer._metrics["train"][name].append(value)  # both of TRL's trainers log it
            best = best_update(state.log_history)
            say(f"{arm}: update {state.global_step}: {METRIC} {figures[METRIC]:.3f}")
            if options.keep_best and (best is None or figures[METRIC] > best[1]):
                trainer.save_model(str(_folder(args.output_dir, state.global_step)))

        def on_save(self, args, state, control, **kwargs):
            """Leave only the best weights; now no run that goes on can want others."""
            if (best := best_update(state.log_history)) and state.is_world_process_zero:
                for folder in Path(args.output_dir).glob("best-*"):
                    if folder != _folder(args.output_dir, best[0]):
                        shutil.rmtree(folder)

    trainer.add_callback(Evaluator)


def _figures(texts: list[str], columns: dict[str, list[Any]]) -> dict[str, float]:
    logged: dict[str, float] = {}
    rewards = AccuracyReward(lam=0.0)(texts, **columns, log_metric=logged.__setitem__)
    readable = 1.0 - logged["answer/unreadable"]
    return {METRIC: sum(rewards) / len(rewards), READABLE: readable}


def best_update(history: list[dict[str, float]]) -> tuple[int, float] | None:
    """The update of a trainer's log with the best evaluation, the first of equal ones, and that.

    >>> best_update([{"step": k, METRIC: value} for k, value in ((2, 0.5), (4, 0.7), (6, 0.7))])
    (4, 0.7)
    """
    known = [(entry["step"], entry[METRIC]) for entry in history if METRIC in entry]
    return max(known, key=lambda one: one[1], default=None)


def take_best(trainer, arm: str) -> None:
    """Give the trained model the weights of its best evaluation."""
    from transformers.utils import logging

    best = best_update(trainer.state.log_history)
    say(f"{arm}: the policy is that of update {best[0]}, {METRIC} {best[1]:.3f}")
    level = logging.get_verbosity()
    logging.set_verbosity_error()  # else tied weights, which are in no file, are called missing
    trainer._load_from_checkpoint(str(_folder(trainer.args.output_dir, best[0])))
    logging.set_verbosity(level)


def _folder(output: str, update: int) -> Path:
    return Path(output) / f"best-{update}"
