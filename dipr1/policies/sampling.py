"""Sample responses of a policy in shards that restart where they stopped (verb ``sample``)."""

from __future__ import annotations

import argparse
import shutil
from pathlib import Path

import pyarrow as pa

from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.writing import whole
from dipr1.errors import UserError
from dipr1.policies.options import Sample
from dipr1.progress import progress, say


def add_policy_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags that every verb has that lets a policy respond."""
    parser.add_argument("prompts", type=Path, help="prompts artifact")
    parser.add_argument("--policy", default="tiny", help="`tiny` or a checkpoint folder")
    parser.add_argument("--dtype", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--threads", type=int, default=None, help="CPU threads")
    parser.add_argument("--output", required=True, type=Path, help="samples artifact to write")
    parser.add_argument(
        "--parts", type=Path, default=None, help="folder of finished batches (default OUTPUT.parts)"
    )


def parse_shard(text: str) -> tuple[int, int]:
    """``"1/4"`` -> ``(1, 4)``.

    >>> parse_shard("1/4")
    (1, 4)
    """
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[0]) < int(parts[1]):
        return int(parts[0]), int(parts[1])
    raise UserError(f"--shard: found {text!r}; expected K/N with K < N, e.g. 0/4")


def sample_to_file(
    args: argparse.Namespace, options: Sample, shard: tuple[int, int], seed: int
) -> None:
    """Respond to a shard's prompts batch by batch, then join the batches to the artifact.

    Each batch is kept as a file of its own until the end, so a killed job goes on where it was;
    its random numbers depend on the seed and its place only, so the result is the same.
    """
    from dipr1.policies.load import fingerprint, load_policy, policy_folder

    rows = PROMPTS.read(args.prompts).to_pylist()
    part, parts = shard
    rows = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]
    images = max(1, options.batch_size // options.num_samples)
    batches = [rows[k : k + images] for k in range(0, len(rows), images)]
    folder = args.parts or args.output.with_suffix(".parts")
    settings = options.model_dump() | {"shard": shard, "seed": seed, "dtype": args.dtype}
    done = claim(folder, fingerprint(settings, [args.prompts, policy_folder(args.policy)]))
    if done:
        say(f"going on after {done} of {len(batches)} batches")
    policy = None
    for number, batch in progress(list(enumerate(batches)), desc="batches answered"):
        path = folder / f"{number:06d}.parquet"
        if path.exists():
            continue
        policy = policy or load_policy(args.policy, args.dtype, args.threads)
        SAMPLES.write(_answer(policy, batch, options, seed, part, number), path)
    tables = [SAMPLES.read(folder / f"{k:06d}.parquet") for k in range(len(batches))]
    table = pa.concat_tables(tables) if tables else SAMPLES.schema.empty_table()
    SAMPLES.write(table, args.output)
    shutil.rmtree(folder)
    failed = table["boxes"].null_count
    say(f"{len(rows)} images in, {len(table)} responses out, {failed} with no readable answer")


def claim(folder: Path, mark: str) -> int:
    """Make `folder` the place of work marked `mark`; work under another mark is removed.

    Returns:
        How many finished files it holds.
    """
    stamp = folder / "fingerprint"
    if folder.is_dir() and not (stamp.is_file() and stamp.read_text() == mark):
        shutil.rmtree(folder)
    folder.mkdir(parents=True, exist_ok=True)
    if not stamp.exists():
        with whole(stamp) as new:
            new.write_text(mark)
    return len(list(folder.glob("[0-9]*.parquet")))


def _answer(policy, batch: list[dict], options: Sample, seed: int, shard: int, number: int):
    import numpy as np

    from dipr1.policies.engines.transformers import respond

    responses = respond(
        policy,
        batch,
        num_samples=options.num_samples,
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        seed=int(np.random.SeedSequence([seed, shard, number]).generate_state(1)[0]),
    )
    records = [
        record(row, sample, response)
        for row, answers in zip(batch, responses, strict=True)
        for sample, response in enumerate(answers)
    ]
    return pa.Table.from_pylist(records, SAMPLES.schema)


def record(row: dict, sample: int, response) -> dict:
    """A response as a row of the samples artifact, its boxes in the image frame."""
    from dipr1.frames import Frame
    from dipr1.policies.engines.transformers import box_confidence, box_log_likelihood
    from dipr1.responses import parse_response

    parsed = parse_response(response.text, labels=row["labels"])
    sizes = (row[name] for name in ("width", "height", "frame_width", "frame_height"))
    frame = Frame(row["frame"], *sizes)
    answer, look = parsed.answer, parsed.look
    num_boxes = 0 if answer is None else len(answer.boxes)
    return {
        "image_id": row["image_id"],
        "sample": sample,
        "text": response.text,
        "num_tokens": response.num_tokens,
        "problems": list(parsed.problems),
        "boxes": None if answer is None else list(frame.to_image(answer.boxes)),
        "look_boxes": None if look is None else list(frame.to_image(look.boxes)),
        "confidence": list(box_confidence(response, num_boxes)),
        "log_likelihood": list(box_log_likelihood(response, num_boxes)),
    }
