"""LLaMA-Factory: a folder with a data set for supervised fine-tuning, from prompts.

``dataset_dir: FOLDER`` and ``dataset: dipr1``. The teacher's answers are those of the arm `sft`:
all objects from left to right and, with ``--variance``, looks at what is uncertain. LLaMA-Factory
makes pictures of more than 768 x 768 pixels smaller: with ``--shown`` the bounds to set are said,
else set the checkpoint's.
"""

from __future__ import annotations

import json
from pathlib import Path

from dipr1.exports.options import Exporting
from dipr1.exports.questions import questions, read, said
from dipr1.training.lessons import teacher_response

READS = "prompts"
FOLDER = True
BOUNDS = "image_min_pixels: {}, image_max_pixels: {}"
TAGS = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "system_tag": "system",
}


def write(source: str, output: Path, options: Exporting) -> str:
    """`dipr1.json`, one row per prompt with its answer, and `dataset_info.json`, which names it.

    Raises:
        UserError: as :func:`dipr1.exports.questions.questions`.
    """
    prompts, columns = read(source, options)
    found = list(questions(prompts, columns, options))
    rows = [
        {
            "messages": [
                *one.messages,
                {
                    "role": "assistant",
                    "content": teacher_response(columns, number, options.think, options.why),
                },
            ],
            "images": [one.image],
        }
        for number, one in enumerate(found)
    ]
    about = {
        "dipr1": {
            "file_name": "dipr1.json",
            "formatting": "sharegpt",
            "columns": {"messages": "messages", "images": "images"},
            "tags": TAGS,
        }
    }
    output.mkdir()
    for name, content in (("dipr1.json", rows), ("dataset_info.json", about)):
        text = json.dumps(content, ensure_ascii=False, indent=1)
        (output / name).write_text(f"{text}\n", encoding="utf-8")
    return said(found, "questions with answers", BOUNDS)
