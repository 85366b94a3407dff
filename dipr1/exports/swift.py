"""ms-swift: a data set in JSON lines for GRPO, from prompts.

``swift rlhf --rlhf_type grpo --dataset FILE`` with the rewards of
:mod:`dipr1.rewards.adapters.for_swift`, whose columns each row has. ms-swift hands every column but
`images` on unchanged.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dipr1.exports.options import Exporting
from dipr1.exports.questions import Question, write_lines

READS = "prompts"


def write(source: str, output: Path, options: Exporting) -> str:
    """One row per prompt: messages, images and the columns of the rewards.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    return write_lines(source, output, options, _row)


def _row(question: Question) -> dict[str, Any]:
    return {"messages": question.messages, "images": [question.image]} | question.columns
