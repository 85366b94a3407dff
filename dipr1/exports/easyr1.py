"""EasyR1: a data set in JSON lines, from prompts.

``data.train_files=FILE data.prompt_key=problem data.answer_key=answer data.image_key=images`` with
the rewards of :mod:`dipr1.rewards.adapters.for_easyr1`. EasyR1 resizes pictures to bounds of its
own: with ``--shown`` those to set are said, else set the checkpoint's. It asks the user's message
alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dipr1.exports.options import Exporting
from dipr1.exports.questions import Question, write_lines

READS = "prompts"
BOUNDS = "data.min_pixels={} data.max_pixels={}"


def write(source: str, output: Path, options: Exporting) -> str:
    """One row per prompt: problem, images and answer, which is JSON of the ground truth.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    return write_lines(source, output, options, _row, BOUNDS)


def _row(question: Question) -> dict[str, Any]:
    return {
        "problem": question.text,
        "images": [question.image],
        "answer": question.ground_truth,
    }
