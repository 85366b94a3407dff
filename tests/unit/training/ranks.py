"""Real processes of one training, forked from a server that has imported torch and TRL once."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import signal
import socket
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np

from dipr1.cli import main

FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(
    ["trl.trainer.grpo_trainer", "trl.trainer.sft_trainer", "dipr1.verbs.train", __name__]
)


def train(
    words: list,
    folder: Path,
    count: int = 2,
    leave_after: int | None = None,
    prepare: Callable[[], None] | None = None,
    **environment,
):
    """Run ``dipr1`` with `words` in `count` processes.

    Args:
        words: the command line.
        folder: where each process writes what it says.
        count: of processes.
        leave_after: the last process is sent SIGTERM when it has logged this update.
        prepare: called in each process first; without it, responses are fixed ones.
        environment: variables of the processes.

    Returns:
        The exit codes, and what the first process said.
    """
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meet = {"MASTER_ADDR": "localhost", "MASTER_PORT": port, "WORLD_SIZE": count} | environment
    logs = [folder / f"{os.urandom(4).hex()}.{number}.log" for number in range(count)]
    processes = [
        FORKS.Process(target=_rank, args=(words, logs[number], meet, number, prepare, leave_after))
        for number in range(count)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    return [process.exitcode for process in processes], _said(logs[0])


def _said(log: Path) -> str:
    with contextlib.suppress(FileNotFoundError):
        return log.read_text(encoding="utf-8")
    return ""


def _rank(words: list, log: Path, meet: dict, number: int, prepare, leave_after) -> None:
    if meet["WORLD_SIZE"] > 1:
        meet |= {"RANK": number, "LOCAL_RANK": number, "LOCAL_WORLD_SIZE": meet["WORLD_SIZE"]}
        os.environ.update({name: str(value) for name, value in meet.items()})
    file = os.open(log, os.O_WRONLY | os.O_CREAT)
    os.dup2(file, 1)
    os.dup2(file, 2)
    (prepare or _fix_responses)()
    if leave_after is not None and number == meet["WORLD_SIZE"] - 1:
        _tell_to_leave(leave_after)
    sys.exit(main([str(word) for word in words]))


def _fix_responses() -> None:
    from trl import GRPOTrainer

    GRPOTrainer._generate_single_turn = fixed_responses


def _tell_to_leave(update: int) -> None:
    from transformers import Trainer

    log = Trainer.log

    def log_and_hear(trainer, *given) -> None:
        log(trainer, *given)
        if trainer.state.global_step == update:
            os.kill(os.getpid(), signal.SIGTERM)

    Trainer.log = log_and_hear


def fixed_responses(trainer, prompt_ids, images, *_, **__):
    """In place of generation: for the n-th copy of an image always the same response.

    Two processes draw other random responses than one does; what they learn from these can be
    compared.
    """
    marks = [zlib.crc32(image.tobytes()) for [image] in images]
    texts = [_written(mark, marks[:row].count(mark)) for row, mark in enumerate(marks)]
    return [trainer._tokenizer(text)["input_ids"] for text in texts], None


def _written(mark: int, copy: int) -> str:
    """One or more boxes; of the first two copies one is well-formed, and of the others some are."""
    rng = np.random.default_rng([mark, copy])
    corners = rng.integers(0, 500, (rng.integers(1, 4), 2))
    boxes = np.hstack([corners, corners + rng.integers(50, 400, corners.shape)]).tolist()
    answer = json.dumps([{"bbox_2d": box, "label": "person"} for box in boxes])
    begin = (
        "<think>a</think><look>[]</look>" if copy != 1 and rng.random() < 0.5 or not copy else ""
    )
    return f"{begin}<answer>{answer}</answer>"
