"""Prompts whose image tokens are as many as the image has, once."""

from __future__ import annotations

import pytest

from dipr1.errors import UserError
from dipr1.policies.image_tokens import check_same_prompt, collapsed

IMAGE = 9


def test_no_tokens():
    assert collapsed([], IMAGE) == []
    check_same_prompt([], [], IMAGE)


def test_a_run_is_one_image():
    assert collapsed([9, 9, 1, 2, 2, 9, 9, 9, 9, 3, 9], IMAGE) == [9, 1, 2, 2, 9, 3, 9]


def test_more_image_tokens_are_refused():
    with pytest.raises(UserError, match=r"5 image tokens .* makes 3, .*envs/vllm\.yaml"):
        check_same_prompt([1, 9, 9, 9, 2], [1, 9, 9, 9, 9, 9, 2], IMAGE)


def test_another_text_is_refused():
    with pytest.raises(UserError, match=r"other tokens .* \(4, not 3\)"):
        check_same_prompt([1, 9, 2], [7, 1, 9, 2], IMAGE)
