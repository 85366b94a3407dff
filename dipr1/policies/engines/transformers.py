"""Let a policy respond to prompts, and tell how likely it thought each box."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from dipr1.policies.load import load_image

if TYPE_CHECKING:
    from dipr1.policies.load import Policy

NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
FLAT_ARRAY = re.compile(r"\[[^\[\]{}]*\]")


@dataclass(frozen=True)
class Generated:
    """One response as it came out of the policy."""

    text: str
    num_tokens: int
    token_ends: np.ndarray  # (T,) position in `text` where each token ends
    token_probabilities: np.ndarray  # (T,) of the token that was chosen


def respond(
    policy: Policy,
    rows: list[dict],
    *,
    num_samples: int,
    temperature: float,
    max_new_tokens: int,
    seed: int,
) -> list[list[Generated]]:
    """Generate `num_samples` responses for each of `rows`, in one batch.

    Args:
        policy: the model and its processor.
        rows: prompts-artifact rows (image, frame, frame_width, frame_height, prompt).
        num_samples: responses per row.
        temperature: 0 is greedy.
        max_new_tokens: longest response.
        seed: of the sampling; the same seed and rows give the same responses.

    Returns:
        For each row its responses.
    """
    import torch
    from transformers import LogitsProcessorList

    inputs = _inputs(policy, rows)
    recorder = _chosen_probabilities()
    sampling = (
        {"do_sample": True, "temperature": temperature, "top_k": 0, "top_p": 1.0}
        if temperature > 0
        else {"do_sample": False}
    )
    torch.manual_seed(seed)
    with torch.inference_mode():
        output = policy.model.generate(
            **inputs,
            **sampling,
            num_return_sequences=num_samples,
            max_new_tokens=max_new_tokens,
            logits_processor=LogitsProcessorList([recorder]),
        )
    completions = output[:, inputs["input_ids"].shape[1] :]
    probabilities = recorder.finish(completions)
    tokenizer = policy.processor.tokenizer
    responses = [
        _one_response(tokenizer, tokens, row)
        for tokens, row in zip(completions.tolist(), probabilities, strict=True)
    ]
    return [responses[k : k + num_samples] for k in range(0, len(responses), num_samples)]


def _inputs(policy: Policy, rows: list[dict]):
    texts, images = [], []
    for row in rows:
        messages = [
            {
                "role": turn["role"],
                "content": [{"type": "image"}] * (k == 0)
                + [{"type": "text", "text": turn["content"]}],
            }
            for k, turn in enumerate(row["prompt"])
        ]
        texts.append(
            policy.processor.apply_chat_template(
                messages, add_generation_prompt=True, tokenize=False
            )
        )
        images.append(
            load_image(row["image"], row["frame"], row["frame_width"], row["frame_height"])
        )
    return policy.processor(
        text=texts, images=images, padding=True, padding_side="left", return_tensors="pt"
    ).to(policy.model.device)


def _chosen_probabilities():
    """A logits processor that remembers the probability of each token that gets chosen.

    Keeping the scores of every step instead would take (steps x batch x vocabulary) floats,
    77 GB for a real vocabulary and long responses.
    """
    import torch
    from transformers import LogitsProcessor

    class ChosenProbabilities(LogitsProcessor):
        def __init__(self):
            self.last = None
            self.chosen = []

        def __call__(self, input_ids, scores):
            self._take(input_ids[:, -1])
            self.last = torch.softmax(scores.float(), dim=-1)
            return scores

        def _take(self, tokens):
            if self.last is not None:
                self.chosen.append(self.last.gather(1, tokens[:, None])[:, 0])

        def finish(self, completions) -> np.ndarray:
            """(B, T) probabilities of the tokens of `completions`."""
            self._take(completions[:, -1])
            return torch.stack(self.chosen, dim=1).cpu().numpy()

    return ChosenProbabilities()


def _one_response(tokenizer, tokens: list[int], probabilities: np.ndarray) -> Generated:
    """Cut at the end of the turn and find where each token's text ends."""
    stop = next((k for k, t in enumerate(tokens) if t == tokenizer.eos_token_id), len(tokens))
    kept = tokens[:stop]
    pieces = tokenizer.batch_decode([[token] for token in kept], skip_special_tokens=True)
    text = tokenizer.decode(kept, skip_special_tokens=True)
    ends = np.cumsum([len(piece) for piece in pieces], dtype=np.int64)
    if "".join(pieces) != text:
        # a letter spread over several tokens: its length shows only when they are joined
        ends = np.array(
            [len(tokenizer.decode(kept[: k + 1], skip_special_tokens=True)) for k in range(stop)]
        )
    return Generated(text, len(kept) + (stop < len(tokens)), ends, probabilities[:stop])


def box_confidence(response: Generated, num_boxes: int) -> np.ndarray:
    """Mean probability of the tokens of each answer box's four numbers.

    This is the `confidence` score (:mod:`dipr1.evaluation.scoring`): MLLMs print none, and average
    precision needs a ranking. Where the numbers cannot be told apart (the answer needed repair),
    every box gets the mean over the whole response.

    Returns:
        (num_boxes,) float32.
    """
    sums, tokens = _sums_over_numbers(response, num_boxes, response.token_probabilities)
    return (sums / tokens).mean(axis=1).astype(np.float32)


def box_log_likelihood(response: Generated, num_boxes: int) -> np.ndarray:
    """Mean log-probability of the tokens of each answer box's four numbers.

    Its exponential is the `likelihood` score: one token that the policy thought unlikely weighs
    more than in :func:`box_confidence`, and a number of many tokens more than one of few.

    Returns:
        (num_boxes,) float32, at most 0.
    """
    smallest = np.finfo(np.float32).tiny  # a probability that rounds to 0 has no logarithm
    logarithms = np.log(np.maximum(response.token_probabilities, smallest, dtype=np.float64))
    sums, tokens = _sums_over_numbers(response, num_boxes, logarithms)
    return (sums.sum(axis=1) / tokens.sum(axis=1)).astype(np.float32)


def _sums_over_numbers(
    response: Generated, num_boxes: int, values: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Sums of the tokens' values over each number of each box, and how many tokens it has.

    Args:
        response: its text and where its tokens end.
        num_boxes: boxes of the answer.
        values: (T,) one per token.

    Returns:
        Two arrays (num_boxes, 4); those of the whole response where its numbers cannot be told
        apart.
    """
    if not num_boxes:
        return np.zeros((0, 4)), np.ones((0, 4))
    answer = max(response.text.rfind("<answer>"), 0)
    spans = [
        number.span()
        for array in FLAT_ARRAY.finditer(response.text, answer)
        if len(numbers := list(NUMBER.finditer(response.text, *array.span()))) == 4
        for number in numbers
    ]
    if len(spans) != 4 * num_boxes:
        shape = (num_boxes, 4)
        return np.full(shape, values.sum(dtype=np.float64)), np.full(shape, len(values))
    begins, ends = np.array(spans).T
    first = np.searchsorted(response.token_ends, begins, side="right")
    last = np.searchsorted(response.token_ends, ends, side="left")
    cumulative = np.concatenate([[0.0], np.cumsum(values, dtype=np.float64)])
    sums = cumulative[last + 1] - cumulative[first]
    return sums.reshape(num_boxes, 4), (last + 1 - first).reshape(num_boxes, 4)
