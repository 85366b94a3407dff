"""Sample responses of the base policy."""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa

from dipr1.artifacts.finished import finish, finished, give_again
from dipr1.artifacts.made import made_by
from dipr1.artifacts.prompts import PROMPTS, reworded
from dipr1.artifacts.samples import SAMPLES, SHARD
from dipr1.artifacts.writing import output_file
from dipr1.options import add_options, options
from dipr1.policies.bounding import check_bounds
from dipr1.policies.engines import code_of_engine, engine_named, load_engine
from dipr1.policies.families import policy_input, read_policy_frames
from dipr1.policies.options import Answering, Asked, Checkpoint, Sample
from dipr1.policies.sampling import images_together, parse_shard, rows_of_shard, sample
from dipr1.progress import say
from dipr1.responses import Form
from dipr1.resuming import claim, held

PARTS = "folder of finished batches, then of the result (default OUTPUT with .parts, removed)"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 sample``."""
    add_file_arguments(parser)
    parser.add_argument("--seed", metavar="N", type=int, default=0, help="seed (default 0)")
    add_options(parser, Sample)


def add_file_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that ``dipr1 predict`` has too: who answers what, and where the responses go."""
    parser.add_argument("prompts", metavar="PROMPTS", type=Path, help="prompts artifact")
    parser.add_argument(
        "--output", required=True, type=output_file, help="samples artifact to write"
    )
    parser.add_argument("--parts", type=Path, help=PARTS)
    add_shard_argument(parser)
    parser.add_argument("--threads", metavar="N", type=int, help="CPU threads (default all)")
    add_options(parser, Answering)
    add_options(parser, Asked)


def add_shard_argument(parser: argparse.ArgumentParser) -> None:
    """The flag that ``dipr1 inspect`` has too."""
    parser.add_argument(
        "--shard",
        metavar="K/N",
        default="0/1",
        help="part K of N of the images, e.g. 0/4 (default all); `dipr1 join` puts them together",
    )


def run(args: argparse.Namespace) -> None:
    """Sample.

    Raises:
        UserError: the shard is not of the form K/N with K < N.
    """
    sampling = options(args, Sample)
    write_samples("sample", args, sampling, seed=args.seed, about={"seed": args.seed})


def write_samples(
    verb: str,
    args: argparse.Namespace,
    sampling: Sample,
    *,
    seed: int,
    about: Mapping[str, Any],
) -> None:
    """Let the policy respond, and remove the finished batches once the artifact is written.

    `about` is the arm and seed that the artifact says it is of.
    """
    folder = args.parts or args.output.with_suffix(".parts")
    with held(folder):
        _write_samples(verb, args, sampling, folder, seed=seed, about=about)


def _write_samples(
    verb: str,
    args: argparse.Namespace,
    sampling: Sample,
    folder: Path,
    *,
    seed: int,
    about: Mapping[str, Any],
) -> None:
    policy, form = options(args, Answering), options(args, Asked).form
    settings = sampling.model_dump() | what_matters(policy) | shard_option(args.shard)
    settings |= {"seed": seed, "form": form}
    check_bounds(policy.bounds, args.prompts)
    num_prompts = PROMPTS.read(args.prompts, ["image_id"]).num_rows
    rows = rows_of_shard(num_prompts, images_together(sampling), parse_shard(args.shard))
    prompts = in_form(PROMPTS.read(args.prompts, rows=rows), policy, form)
    made = made_by(
        verb,
        settings,
        [args.prompts, policy_input(policy.model)],
        code=code_of_engine(policy.engine),
        **about,
    )
    # batches are those of the whole, whoever makes them
    claim(folder, made.identity(SHARD), "*.parquet")
    kind = f"-{args.shard.replace('/', '-')}"
    if result := finished(folder, kind):
        give_again(result, args.output)
        return
    samples = sample(
        prompts,
        lambda: load_engine(policy, args.threads),
        sampling,
        seed=seed,
        folder=folder,
        first=rows.start,
        engine=engine_named(policy.engine),
    )
    if form != "steps":
        samples = samples.append_column("form", pa.array([form] * len(samples), pa.string()))
    SAMPLES.write(samples, args.output, made)
    finish(folder, args.output, keep=args.parts is not None, kind=kind)
    num_readable = len(samples) - samples["boxes"].null_count
    say(
        f"{args.output}: {len(samples)} responses to {len(set(samples['image_id'].to_pylist()))}"
        f" images, {num_readable} of them readable ({num_readable / max(len(samples), 1):.1%})"
    )


def shard_option(shard: str) -> dict[str, list[int]]:
    """The option that says which shard an artifact is; none where it is the whole."""
    return {} if parse_shard(shard)[1] == 1 else {SHARD: [*parse_shard(shard)]}


def what_matters(policy: Answering) -> dict[str, Any]:
    """The options of what answers that can change an answer, but for the policy itself."""
    settings = policy.model_dump(include={*Checkpoint.model_fields} - {"model"}, exclude_none=True)
    return settings | code_of_engine(policy.engine)


def in_form(prompts: pa.Table, policy: Checkpoint, form: Form) -> pa.Table:
    """The prompts, asking for another form of response where it is not the usual one."""
    if form == "steps" or not prompts.num_rows:
        return prompts
    frames = read_policy_frames(policy.model, prompts["frame"][0].as_py())
    return reworded(prompts, frames.fixed is not None, form=form)
