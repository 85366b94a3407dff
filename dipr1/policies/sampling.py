"""Responses to a prompts artifact, batch by batch: a killed job goes on after its last batch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
import pyarrow as pa

from dipr1.artifacts.prompts import frame_of
from dipr1.artifacts.samples import SAMPLES
from dipr1.errors import UserError
from dipr1.policies.engines import transformers
from dipr1.policies.generated import Generated, box_confidence, box_log_likelihood
from dipr1.policies.load import LoadedPolicy
from dipr1.policies.options import Sample
from dipr1.progress import progress, say
from dipr1.responses import parse_response


def parse_shard(text: str) -> tuple[int, int]:
    """``"1/4"`` -> ``(1, 4)``.

    >>> parse_shard("1/4")
    (1, 4)
    """
    parts = text.split("/")
    if len(parts) == 2 and all(part.isdigit() for part in parts) and int(parts[0]) < int(parts[1]):
        return int(parts[0]), int(parts[1])
    raise UserError(f"--shard: found {text!r}; expected K/N with K < N, e.g. 0/4")


def rows_of_shard(num_rows: int, together: int, shard: tuple[int, int]) -> range:
    """The rows of a shard, which begins where a batch begins: so batches are those of the whole.

    Args:
        num_rows: of the whole.
        together: rows that are in one batch, or in several that depend on each other.
        shard: (k, n): part k of n.

    >>> [rows_of_shard(10, 4, (part, 2)) for part in range(2)]
    [range(0, 4), range(4, 10)]
    """
    part, parts = shard
    count = -(-num_rows // together)
    begin, end = (count * k // parts * together for k in (part, part + 1))
    return range(begin, min(end, num_rows))


def images_together(options: Sample) -> int:
    """Images whose responses are generated in one batch."""
    return max(1, options.batch_size // options.num_samples)


@dataclass(frozen=True)
class Batch:
    """Rows that are answered together.

    Attributes:
        name: of the file in which the answers are kept.
        rows: of the prompts artifact.
        seed: of the sampling, or one for each row.
    """

    name: str
    rows: list[dict]
    seed: int | list[int] = 0


def batches_of(rows: list[dict], size: int) -> list[list[dict]]:
    """The rows cut into batches of `size`, and of what is left.

    >>> batches_of([1, 2, 3, 4, 5], 2)
    [[1, 2], [3, 4], [5]]
    """
    return [rows[begin : begin + size] for begin in range(0, len(rows), size)]


def sample(
    prompts: pa.Table,
    load: Callable[[], LoadedPolicy],
    options: Sample,
    *,
    seed: int,
    folder: Path,
    first: int = 0,
    engine: ModuleType = transformers,
) -> pa.Table:
    """The samples artifact of some prompts.

    The random numbers of a batch depend on the seed and its place among all of the whole only, so
    that an interrupted job ends with the same responses as an undisturbed one, and any number of
    shards with the same as one.

    Args:
        prompts: the prompts artifact, or a shard of it (:func:`rows_of_shard`).
        load: gives the policy; not called where every batch is there.
        options: how many responses, and how they are generated.
        seed: of the sampling.
        folder: where each batch that is done is kept as a file.
        first: the place of the first prompt in the whole artifact.
        engine: what generates them, one of :mod:`dipr1.policies.engines`.
    """
    size = images_together(options)
    batches = [
        Batch(f"{number:06d}", rows, seed_from(seed, number))
        for number, rows in enumerate(batches_of(prompts.to_pylist(), size), first // size)
    ]
    return answered(batches, load, options, folder, engine)


def seed_from(*numbers: int) -> int:
    """A seed of whole numbers that are not negative; others give another one."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def answered(
    batches: Sequence[Batch],
    load: Callable[[], LoadedPolicy],
    options: Sample,
    folder: Path,
    engine: ModuleType = transformers,
) -> pa.Table:
    """The samples artifact of some batches, `num_samples` rows for each of theirs.

    Args:
        batches: what is asked.
        load: gives the policy; not called where every batch is there.
        options: how many responses, and how they are generated.
        folder: where each batch that is done is kept as a file.
        engine: what generates them, one of :mod:`dipr1.policies.engines`.
    """
    files = [folder / f"{batch.name}.parquet" for batch in batches]
    if done := sum(file.exists() for file in files):
        say(f"going on after {done} of {len(batches)} batches")
    policy = None
    for batch, file in progress(list(zip(batches, files, strict=True)), desc="batches answered"):
        if not file.exists():
            policy = policy or load()
            SAMPLES.write(_responses(engine, policy, batch, options), file)
    return pa.concat_tables([SAMPLES.schema.empty_table(), *map(SAMPLES.read, files)])


def _responses(engine: ModuleType, policy: LoadedPolicy, batch: Batch, options: Sample) -> pa.Table:
    responses = engine.respond(
        policy,
        batch.rows,
        num_samples=options.num_samples,
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        seed=batch.seed,
    )
    rows = [
        sample_row(prompt, number, response)
        for prompt, answers in zip(batch.rows, responses, strict=True)
        for number, response in enumerate(answers)
    ]
    return pa.Table.from_pylist(rows, SAMPLES.schema)


def sample_row(prompt: dict, number: int, response: Generated) -> dict:
    """A response as a row of the samples artifact, its boxes in the image frame.

    Args:
        prompt: the row of the prompts artifact that was answered.
        number: of the response among those to this prompt.
        response: as it was generated.
    """
    parsed = parse_response(response.text, labels=prompt["labels"])
    frame = frame_of(prompt)
    answer, look = parsed.answer, parsed.look
    num_boxes = 0 if answer is None else len(answer.boxes)
    return {
        "image_id": prompt["image_id"],
        "sample": number,
        "text": response.text,
        "num_tokens": response.num_tokens,
        "problems": list(parsed.problems),
        "boxes": None if answer is None else list(frame.to_image(answer.boxes)),
        "look_boxes": None if look is None else list(frame.to_image(look.boxes)),
        "confidence": list(box_confidence(response, num_boxes)),
        "log_likelihood": list(box_log_likelihood(response, num_boxes)),
    }
