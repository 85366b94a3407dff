"""Image tokens of a prompt: one as it is written, many once it is known how large the image is.

Processors and vLLM both turn the one into the many. A prompt that went through both has too many:
the policy then sees its image with holes in it, answers badly, and nothing says so
(huggingface/trl#6294). Here runs are brought back to one token, and prompts compared.
"""

from __future__ import annotations

from collections.abc import Sequence

from dipr1.errors import UserError


def collapsed(tokens: Sequence[int], image_token: int) -> list[int]:
    """`tokens` with one image token for each run of them.

    >>> collapsed([1, 9, 9, 9, 2, 9, 3], image_token=9)
    [1, 9, 2, 9, 3]
    """
    kept: list[int] = []
    for token in tokens:
        if token != image_token or kept[-1:] != [image_token]:
            kept.append(token)
    return kept


def check_same_prompt(expected: Sequence[int], found: Sequence[int], image_token: int) -> None:
    """Check that vLLM sees the prompt that the policy's own processor makes.

    Args:
        expected: tokens by the processor.
        found: tokens that vLLM has seen.
        image_token: which of them stands for a part of an image.

    Raises:
        UserError: the image has other tokens, or the text has.
    """
    if list(expected) == list(found):
        return
    ours, theirs = (list(tokens).count(image_token) for tokens in (expected, found))
    what = f"{theirs} image tokens where the policy's processor makes {ours}"
    if ours == theirs:
        what = f"other tokens than the policy's processor makes ({len(found)}, not {len(expected)})"
    raise UserError(
        f"vllm: its prompt has {what}, so it would answer about another image or question; install"
        " the version that envs/vllm.yaml names, or use the engine transformers"
    )
