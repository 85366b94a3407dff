"""The tiny policy as a thinking one: its chat template ends the prompt in `<think>`."""

from __future__ import annotations

import shutil
from pathlib import Path

from dipr1.provenance import CHECKPOINT

BEGUN = "<think>\n"

# What Qwen's thinking checkpoints make of the last answer, and DeepSeek's of every one.
_CONTENT = "{% set text = message['content'] | map(attribute='text') | join if"
_CONTENT += " message['role'] == 'assistant' else '' %}"
_REASONING = "text.split('</think>')[0].split('<think>')[-1].strip('\\n')"
ANSWERS = {
    "as they are": "{{ text }}",
    "set anew": f"<think>\n{{{{ {_REASONING} }}}}\n</think>\n\n"
    "{{ text.split('</think>')[-1].lstrip('\\n') }}",
    "without thinking": "{{ text.split('</think>')[-1] }}",
    "begun twice": "<think>\n{{ text }}",
}


def make_thinking(folder: Path, answers: str = "as they are") -> Path:
    """Copy the tiny checkpoint to `folder` and give it such a template."""
    shutil.copytree(CHECKPOINT, folder)
    path = folder / "chat_template.jinja"
    template = path.read_text()
    head, ask, tail = template.partition("{% if message['content'] is string %}")
    body, end, rest = (ask + tail).partition("<|im_end|>")
    begin, generation, close = rest.partition("<|im_start|>assistant\n")
    answer = f"{_CONTENT}{{% if text %}}{ANSWERS[answers]}{{% else %}}{body}{{% endif %}}"
    path.write_text(head + answer + end + begin + generation + BEGUN + close)
    return folder
