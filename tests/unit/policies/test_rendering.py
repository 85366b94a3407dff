"""Prompts by the chat template, and what it makes of the answers that a policy is taught."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.policies.load import load_processor
from dipr1.policies.rendering import begun_response, check_taught, prompt_text
from tests.unit.thinking import BEGUN, make_thinking

pytest.importorskip("transformers")

PROMPT = [{"role": "user", "content": "Find every person."}]
RESPONSE = "<think> One. </think>\n<look> [] </look>\n<answer> [] </answer>"


def test_the_image_stands_before_the_question():
    text = prompt_text(load_processor("tiny"), PROMPT)
    assert "<|image_pad|><|vision_end|>Find every person.<|im_end|>" in text
    assert text.endswith("<|im_start|>assistant\n")


def test_what_a_thinking_template_begins(tmp_path):
    assert begun_response(load_processor("tiny"), PROMPT) == ""
    assert begun_response(load_processor(str(make_thinking(tmp_path / "a"))), PROMPT) == BEGUN


@pytest.mark.parametrize("answers", ["as they are", "set anew"])
def test_templates_that_keep_the_thinking_are_taught_with(tmp_path, answers):
    processor = load_processor(str(make_thinking(tmp_path / "a", answers)))
    check_taught(processor, PROMPT, BEGUN + RESPONSE.removeprefix("<think>"))
    check_taught(load_processor("tiny"), PROMPT, RESPONSE)


@pytest.mark.parametrize(
    ("answers", "made"),
    [("without thinking", r"'\\n<look> \[\]"), ("begun twice", r"'<think>\\n<think>")],
)
def test_templates_that_do_not_are_told(tmp_path, answers, made):
    processor = load_processor(str(make_thinking(tmp_path / "a", answers)))
    with pytest.raises(UserError, match=f"the policy's chat template makes {made}.*chat_template"):
        check_taught(processor, PROMPT, BEGUN + RESPONSE.removeprefix("<think>"))
