"""ms-swift: a data set in JSON lines for GRPO, from prompts.

``swift rlhf --rlhf_type grpo --dataset FILE`` with the rewards of
:mod:`dipr1.rewards.adapters.for_swift`, whose columns each row has. ms-swift hands every column but
`images` on unchanged.
"""

from __future__ import annotations

from pathlib import Path

from dipr1.exports.options import Exporting
from dipr1.exports.questions import questions, read, write_lines

READS = "prompts"


def write(source: str, output: Path, options: Exporting) -> str:
    """One row per prompt: messages, images and the columns of the rewards.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    prompts, columns = read(source, options)
    rows = (
        {"messages": one.messages, "images": [one.image]} | one.columns
        for one in questions(prompts, columns, options)
    )
    return f"{write_lines(output, rows)} questions"
