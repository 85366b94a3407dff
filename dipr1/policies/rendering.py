"""Prompts as a policy is given them: by its chat template, up to where it goes on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from os.path import commonprefix
from typing import TYPE_CHECKING

from dipr1.errors import UserError
from dipr1.responses import begun_in

if TYPE_CHECKING:
    from transformers import ProcessorMixin

Prompt = Sequence[Mapping[str, str]]


def prompt_text(processor: ProcessorMixin, prompt: Prompt) -> str:
    """A conversation by the chat template, with the image before its first turn's text."""
    return processor.apply_chat_template(_turns(prompt), add_generation_prompt=True, tokenize=False)


def begun_response(processor: ProcessorMixin, prompt: Prompt) -> str:
    """What of the response stands in the prompt: `<think>` where a thinking policy's template ends.

    It goes before what the policy writes, or into the column `prompt_end` of the rewards.
    """
    return begun_in(prompt_text(processor, prompt))


def check_taught(processor: ProcessorMixin, prompt: Prompt, response: str) -> None:
    """Check that a teacher's response is taught as it is, whatever the template makes of answers.

    Templates of thinking policies may take the thinking out of an answer, or begin it twice.

    Raises:
        UserError: the template does so.
    """
    asked = prompt_text(processor, prompt)
    answered = [*_turns(prompt), {"role": "assistant", "content": _text(response)}]
    whole = processor.apply_chat_template(answered, tokenize=False)
    asked = asked.removesuffix(begun_in(asked))
    taught = whole.removeprefix(commonprefix([asked, whole]))
    tags = ("<think>", "</think>")
    kept = all(taught.count(tag) == response.count(tag) for tag in tags)
    if not kept or not whole.startswith(asked):
        raise UserError(
            f"the policy's chat template makes {taught[:40]!r} of a response that begins"
            f" {response[:20]!r}, so another form would be taught; give its folder a"
            " chat_template.jinja that leaves responses as they are, or train with --method grpo"
        )


def _turns(prompt: Prompt) -> list[dict]:
    turns = [{"role": turn["role"], "content": _text(turn["content"])} for turn in prompt]
    turns[0]["content"].insert(0, {"type": "image"})
    return turns


def _text(text: str) -> list[dict[str, str]]:
    return [{"type": "text", "text": text}]
