"""What the rewards share: a completion's text, its columns, the means that are logged."""

from __future__ import annotations

import pytest

from dipr1.rewards.completions import completion_text


@pytest.mark.parametrize(
    "completion",
    [
        "hello",
        [{"role": "assistant", "content": "hello"}],
        [{"role": "assistant", "content": [{"type": "text", "text": "hello"}]}],
        [{"role": "assistant", "content": [{"type": "text", "text": t} for t in ("hel", "lo")]}],
    ],
)
def test_text_of_a_completion(completion):
    assert completion_text(completion) == "hello"


@pytest.mark.parametrize("completion", ["", [], [{"role": "assistant", "content": None}]])
def test_text_of_an_empty_completion(completion):
    assert completion_text(completion) == ""
