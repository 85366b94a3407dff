"""EasyR1: a data set in JSON lines, from prompts.

``data.train_files=FILE data.prompt_key=problem data.answer_key=answer data.image_key=images`` with
the rewards of :mod:`dipr1.rewards.adapters.for_easyr1`, whose docstring says which bounds of pixels
to set. EasyR1 asks the user's message alone.
"""

from __future__ import annotations

from pathlib import Path

from dipr1.exports.options import Exporting
from dipr1.exports.questions import questions, read, write_lines

READS = "prompts"


def write(source: str, output: Path, options: Exporting) -> str:
    """One row per prompt: problem, images and answer, which is JSON of the ground truth.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    prompts, columns = read(source, options)
    rows = (
        {"problem": one.text, "images": [one.image], "answer": one.ground_truth}
        for one in questions(prompts, columns, options)
    )
    return f"{write_lines(output, rows)} questions"
