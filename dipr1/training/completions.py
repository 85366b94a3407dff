"""Keep what a policy answers in its training: figures alone do not show what goes wrong."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from dipr1.artifacts.completions import COMPLETIONS
from dipr1.artifacts.made import Made
from dipr1.artifacts.prompts import frame_of
from dipr1.policies.load import IMAGE_COLUMNS
from dipr1.responses import parse_response
from dipr1.rewards.completions import PROMPT_END
from dipr1.training.options import GrpoArm
from dipr1.training.order import generated_together

if TYPE_CHECKING:
    from dipr1.policies.load import LoadedPolicy

PICTURE = "picture"  # the column of lessons that says what was shown
FOLDER, FILE = "completions", "completions.parquet"
_SHOWN = (*IMAGE_COLUMNS, "width", "height")


def pictures(prompts: pa.Table) -> list[dict[str, Any]]:
    """What each prompt shows: its image, window and frame."""
    return prompts.select([name for name in _SHOWN if name in prompts.column_names]).to_pylist()


class Keeper:
    """Writes the responses of every so many updates, and of the first, beside the checkpoints.

    One file per update, so that a run that goes on from a checkpoint writes them again.
    """

    def __init__(self, arm: GrpoArm, policy: LoadedPolicy, folder: Path) -> None:
        self._every, self._policy, self._folder = arm.show_every, policy, folder / FOLDER
        self._together = arm.iterations * generated_together(arm)

    def keep(self, trainer, inputs: list[dict[str, Any]], scored: dict[str, Any]) -> None:
        """Keep responses if those of this update are wanted; in several processes, the first's.

        Args:
            trainer: TRL's, which has just rewarded them.
            inputs: B rows of the lessons.
            scored: what the trainer makes of the B responses.
        """
        done = trainer.state.global_step
        if -done % self._every >= self._together or not trainer.accelerator.is_main_process:
            return
        columns = {name: trainer._logs["rewards"][name] for name in trainer.reward_func_names}
        rewards = [list(values)[: len(inputs)] for values in columns.values()]
        weights = trainer.reward_weights.tolist()
        group = trainer.num_generations
        rows = [
            {
                "step": done + 1,
                "image_id": row["image_id"],
                "sample": k % group,
                "num_tokens": int(mask.sum()),
                "reward": _total(values, weights),
                "advantage": float(advantage),
                "rewards": [
                    {"name": name.removesuffix("_reward"), "value": _known(value)}
                    for name, value in zip(columns, values, strict=True)
                ],
            }
            | _answer(row, self._policy.text(tokens.tolist()))
            for k, (row, tokens, mask, advantage, *values) in enumerate(
                zip(
                    inputs,
                    scored["completion_ids"],
                    scored["completion_mask"],
                    scored["advantages"],
                    *rewards,
                    strict=True,
                )
            )
        ]
        schema = COMPLETIONS.schema_with(rows[0])
        self._folder.mkdir(parents=True, exist_ok=True)
        table = pa.Table.from_pylist(rows, schema)
        COMPLETIONS.write(table, self._folder / f"{done + 1:08d}.parquet")


def _answer(row: dict[str, Any], text: str) -> dict[str, Any]:
    """What was shown and answered, boxes in the frame of the picture."""
    picture = row[PICTURE]
    frame = frame_of(picture)
    text = (row.get(PROMPT_END) or "") + text
    response = parse_response(text, row["labels"])
    of_answer = {
        "boxes": None if response.answer is None else response.answer.boxes,
        "look_boxes": None if response.look is None else response.look.boxes,
        "gt_boxes": row["gt_boxes"],
        "ignore_boxes": row["ignore_boxes"],
    }
    boxes = {
        name: None if value is None else frame.to_image(value).tolist()
        for name, value in of_answer.items()
    }
    shown = {name: value for name, value in picture.items() if not name.startswith("frame")}
    return {"text": text, "labels": row["labels"]} | shown | boxes


def _total(values: list[float], weights: list[float]) -> float | None:
    """The weighted sum of what could be judged."""
    known = [w * v for w, v in zip(weights, values, strict=True) if not math.isnan(v)]
    return sum(known) if known else None


def _known(value: float) -> float | None:
    return None if math.isnan(value) else value


def write_completions(folder: Path, output: Path, made: Made) -> None:
    """Join what was kept beside the checkpoints into one artifact in `output`, if anything was."""
    files = sorted((folder / FOLDER).glob("*.parquet"))
    if files:
        tables = [COMPLETIONS.read(file) for file in files]
        COMPLETIONS.write(pa.concat_tables(tables, promote_options="default"), output / FILE, made)
