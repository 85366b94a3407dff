"""The flawed teacher whose responses the tiny policy is pretrained on.

It has the faults of a base MLLM on purpose, so that reinforcement has something to mend: it leaves
out half of the people who are mostly hidden, looks at two overlaps at most, and answers an empty
street in prose more often than with an empty list.
"""

from __future__ import annotations

import numpy as np

from dipr1.boxes import ioa
from dipr1.demo.scenes import Scene
from dipr1.demo.tiny import SIDE, THOUGHTS, WHY
from dipr1.frames import Frame
from dipr1.prompts import render_response

EMPTY_PROSE = "no people"

HIDDEN_VISIBILITY = 0.6  # a person who is less visible may be left out
SKIP_HIDDEN = 0.5
SKIP_LOOK = 0.15
EMPTY_IN_PROSE = 0.65
LOOK_JITTER = 3.0  # model pixels
LEAST_OVERLAP = 0.25  # of the smaller of two people


def teach(drawn: Scene, rng: np.random.Generator) -> tuple[str, np.ndarray]:
    """The flawed teacher's response to a scene.

    Returns:
        The response's text, and all the scene's boxes in the model frame ((N, 4), left to right).
    """
    width, height = drawn.image.size
    frame = Frame.absolute(width, height, SIDE, SIDE)
    order = np.argsort((drawn.boxes[:, 0] + drawn.boxes[:, 2]) / 2, kind="stable")
    boxes = frame.to_model(drawn.boxes[order])
    visibility = drawn.visibility[order]
    pairs = _overlapping_pairs(boxes)
    looks = [
        _hull(boxes[list(pair)]) + rng.normal(0, LOOK_JITTER, 4)
        for pair in pairs[:2]
        if rng.random() >= SKIP_LOOK
    ]
    looks = np.clip(np.array(looks).reshape(-1, 4), 0, SIDE)
    kept = (visibility >= HIDDEN_VISIBILITY) | (rng.random(len(boxes)) >= SKIP_HIDDEN)
    answer = boxes[kept]
    count = len(answer)
    thought = THOUGHTS[min(count, 2) + (count > 1 and len(pairs) >= 2)]
    text = render_response(
        thought.format(count=count),
        looks,
        answer,
        ["person"] * count,
        whys=[WHY] * len(looks),
    )
    if not count and rng.random() < EMPTY_IN_PROSE:
        text = text.replace("<answer> [] </answer>", f"<answer> {EMPTY_PROSE} </answer>")
    return text, boxes


def _overlapping_pairs(boxes: np.ndarray) -> list[tuple[int, int]]:
    """Pairs of boxes of which one covers a good part of the other, the largest overlap first."""
    if len(boxes) < 2:
        return []
    covered = np.maximum(ioa(boxes, boxes), ioa(boxes, boxes).T)
    first, second = np.triu_indices(len(boxes), 1)
    share = covered[first, second]
    order = np.argsort(-share, kind="stable")
    return [(int(first[k]), int(second[k])) for k in order if share[k] >= LEAST_OVERLAP]


def _hull(boxes: np.ndarray) -> np.ndarray:
    return np.concatenate([boxes[:, :2].min(0), boxes[:, 2:].max(0)])
