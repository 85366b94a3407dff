"""Look at regions of answered images a second time, enlarged, and merge what is seen."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import pyarrow as pa

from dipr1.artifacts.aligning import align
from dipr1.artifacts.finished import finish, finished, give_again
from dipr1.artifacts.made import made_by, read_made
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES, SHARD
from dipr1.artifacts.writing import output_file
from dipr1.options import add_options, options
from dipr1.policies.bounding import check_bounds
from dipr1.policies.engines import code_of_engine, engine_named, load_engine
from dipr1.policies.families import policy_input, read_policy_frames
from dipr1.policies.inspecting import images_of_a_block, inspect
from dipr1.policies.options import Answering, Generation, LookAgain
from dipr1.policies.sampling import parse_shard, rows_of_shard
from dipr1.progress import say
from dipr1.resuming import claim, held
from dipr1.verbs.sample import PARTS, add_shard_argument, in_form, shard_option, what_matters


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 inspect``."""
    parser.add_argument(
        "predictions", metavar="PREDICTIONS", type=Path, help="samples artifact: the first view"
    )
    parser.add_argument(
        "--prompts", required=True, type=Path, help="prompts artifact that was answered"
    )
    parser.add_argument(
        "--output", required=True, type=output_file, help="samples artifact to write"
    )
    parser.add_argument("--parts", type=Path, help=PARTS)
    add_shard_argument(parser)
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads (default all)")
    parser.add_argument(
        "--arm", help="name of the arm (default what PREDICTIONS say, with + and the source)"
    )
    parser.add_argument(
        "--seed", metavar="N", type=int, help="seed (default what PREDICTIONS say, or 0)"
    )
    add_options(parser, Answering)
    add_options(parser, Generation)
    add_options(parser, LookAgain)


def run(args: argparse.Namespace) -> None:
    """Answer the windows, merge the views and write one row per image.

    Raises:
        UserError: the files are not about the same images, or not one response per image.
    """
    folder = args.parts or args.output.with_suffix(".parts")
    with held(folder):
        _inspect(args, folder)


def _inspect(args: argparse.Namespace, folder: Path) -> None:
    policy, looking = options(args, Answering), options(args, LookAgain)
    generation, first = options(args, Generation), read_made(args.predictions)
    seed = next(seed for seed in (args.seed, first.seed, 0) if seed is not None)
    check_bounds(policy.bounds, args.prompts)
    rows, prompts, predictions = _read_shard(args, images_of_a_block(generation))
    form = _form(predictions)
    settings = generation.model_dump() | what_matters(policy)
    made = made_by(
        "inspect",
        settings | looking.model_dump() | shard_option(args.shard) | {"seed": seed},
        [args.predictions, args.prompts, policy_input(policy.model)],
        code=code_of_engine(policy.engine),
        arm=args.arm or (first.arm and f"{first.arm}+{looking.source}"),
        seed=seed,
    )
    claim(folder, made.identity(SHARD), "*.parquet")
    kind = f"-{args.shard.replace('/', '-')}"
    if result := finished(folder, kind):
        give_again(result, args.output)
        return
    frame = prompts["frame"][0].as_py() if prompts.num_rows else None
    began = time.monotonic()
    table = inspect(
        in_form(prompts, policy, form),
        predictions,
        lambda: load_engine(policy, args.threads),
        read_policy_frames(policy.model, frame, policy.bounds),
        generation,
        looking,
        seed=seed,
        folder=folder,
        first=rows.start,
        engine=engine_named(policy.engine),
    )
    SAMPLES.write(table, args.output, made)
    finish(folder, args.output, keep=args.parts is not None, kind=kind)
    count = max(table.num_rows, 1)
    say(
        f"{args.output}: {table.num_rows} images,"
        f" {sum(table['num_crops'].to_pylist()) / count:.2f} windows and"
        f" {sum(table['num_tokens'].to_pylist()) / count:.0f} tokens an image,"
        f" in {time.monotonic() - began:.1f} s"
    )


def _read_shard(args: argparse.Namespace, together: int) -> tuple[range, pa.Table, pa.Table]:
    """Which prompts are asked about, these, and the first views of their images."""
    asked = PROMPTS.read(args.prompts, ["image_id"])
    answered = SAMPLES.read(args.predictions, ["image_id"])
    answered = answered.append_column("row", pa.array(range(answered.num_rows), pa.int64()))
    aligned = align(asked, answered, str(args.prompts), str(args.predictions))
    rows = rows_of_shard(asked.num_rows, together, parse_shard(args.shard))
    places = aligned["row"].slice(rows.start, len(rows)).to_numpy()
    # answers mostly lie in the order of the prompts, and those of a shard together
    begin, end = (int(places.min()), int(places.max()) + 1) if len(rows) else (0, 0)
    near = SAMPLES.read(args.predictions, rows=range(begin, end))
    return rows, PROMPTS.read(args.prompts, rows=rows), near.take(pa.array(places - begin))


def _form(predictions):
    """The form of response that was asked for."""
    there = "form" in predictions.column_names and predictions.num_rows
    return (predictions["form"][0].as_py() if there else None) or "steps"
