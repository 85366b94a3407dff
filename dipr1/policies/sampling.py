"""Responses to a prompts artifact, batch by batch: a killed job goes on after its last batch."""

from __future__ import annotations

from collections.abc import Callable
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


def sample(
    prompts: pa.Table,
    load: Callable[[], LoadedPolicy],
    options: Sample,
    *,
    shard: tuple[int, int],
    seed: int,
    folder: Path,
    engine: ModuleType = transformers,
) -> pa.Table:
    """The samples artifact of a shard's prompts.

    The random numbers of a batch depend on the seed and its place only, so that an interrupted job
    ends with the same responses as an undisturbed one.

    Args:
        prompts: the prompts artifact.
        load: gives the policy; not called where every batch is there.
        options: how many responses, and how they are generated.
        shard: (k, n): part k of n.
        seed: of the sampling.
        folder: where each batch that is done is kept as a file.
        engine: what generates them, one of :mod:`dipr1.policies.engines`.
    """
    part, parts = shard
    rows = prompts.to_pylist()
    rows = rows[len(rows) * part // parts : len(rows) * (part + 1) // parts]

    def seed_of(number: int, batch: list[dict]) -> int:
        return seed_from(seed, part, number)

    return answered(rows, load, options, seed_of, folder, engine=engine)


def seed_from(*numbers: int) -> int:
    """A seed of whole numbers that are not negative; others give another one."""
    return int(np.random.SeedSequence(numbers).generate_state(1)[0])


def answered(
    rows: list[dict],
    load: Callable[[], LoadedPolicy],
    options: Sample,
    seed_of: Callable[[int, list[dict]], int | list[int]],
    folder: Path,
    name: str = "",
    engine: ModuleType = transformers,
) -> pa.Table:
    """The samples artifact of some rows of the prompts artifact, `num_samples` of each.

    Args:
        rows: what is asked.
        load: gives the policy; not called where every batch is there.
        options: how many responses, and how they are generated.
        seed_of: the seed of a batch, or those of its rows, by its number and its rows.
        folder: where each batch that is done is kept as a file.
        name: what the names of these files begin with.
        engine: what generates them, one of :mod:`dipr1.policies.engines`.

    Returns:
        Its rows are in the order of `rows`, in whatever order the engine has them answered.
    """
    images = max(1, options.batch_size // options.num_samples)
    order = engine.order(rows)
    rows = [rows[place] for place in order]
    batches = [rows[k : k + images] for k in range(0, len(rows), images)]
    files = [folder / f"{name}{number:06d}.parquet" for number in range(len(batches))]
    if done := sum(file.exists() for file in files):
        say(f"going on after {done} of {len(batches)} batches")
    policy = None
    for number, batch in progress(list(enumerate(batches)), desc="batches answered"):
        if not files[number].exists():
            policy = policy or load()
            responses = _responses(engine, policy, batch, options, seed_of(number, batch))
            SAMPLES.write(responses, files[number])
    table = pa.concat_tables([SAMPLES.schema.empty_table(), *map(SAMPLES.read, files)])
    return _in_place(table, order, options.num_samples)


def _in_place(answers: pa.Table, order: list[int], num_samples: int) -> pa.Table:
    """Answers to rows that were asked in some order, in the order of the rows."""
    if order == sorted(order):
        return answers
    first = np.argsort(order) * num_samples
    return answers.take((first[:, None] + np.arange(num_samples)).ravel())


def _responses(
    engine: ModuleType,
    policy: LoadedPolicy,
    batch: list[dict],
    options: Sample,
    seed: int | list[int],
) -> pa.Table:
    responses = engine.respond(
        policy,
        batch,
        num_samples=options.num_samples,
        temperature=options.temperature,
        max_new_tokens=options.max_new_tokens,
        seed=seed,
    )
    rows = [
        sample_row(prompt, number, response)
        for prompt, answers in zip(batch, responses, strict=True)
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
