"""Prompts: what the policy is asked, in whose frame, and what a perfect answer looks like."""

from __future__ import annotations

import json
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from dipr1.frames import Frame
from dipr1.responses import Form

# A policy with a fixed frame was pretrained on the template itself and needs no explanation.
TINY_PROMPT = "Find every {labels}."
TINY_ANSWER_PROMPT = "Find every {labels}. Boxes only."

# Ways to ask: the first is the usual one, the others are for training sets that vary it.
REQUESTS = (
    "Find every {labels} in the image.",
    "Locate each {labels} that can be seen in the image.",
    "Where is every {labels} in this picture?",
    "Detect all instances of {labels} in the photo.",
)

QUESTION = """\
{request} Coordinates are {coordinates}; a box is [x1, y1, x2, y2], the left, \
upper, right and lower border of the whole object, its hidden part included."""
STEPS = """\
Answer in three steps, in exactly this form and with nothing else:
<think> what the scene is and what makes it hard </think>
<look> [{{"bbox_2d": [x1, y1, x2, y2], "why": "what is uncertain there"}}, ...] </look>
<answer> [{{"bbox_2d": [x1, y1, x2, y2], "label": "{first_label}"}}, ...] </answer>
In <look> list the regions that need a closer look, such as overlapping or half-hidden objects; \
in <answer> list every object once, with one of the labels {quoted_labels}. Both are JSON lists \
and may be empty: []."""
ANSWER = """\
Answer in exactly this form and with nothing else:
<answer> [{{"bbox_2d": [x1, y1, x2, y2], "label": "{first_label}"}}, ...] </answer>
List every object once, with one of the labels {quoted_labels}. It is a JSON list and may be \
empty: []."""


def build_prompt(
    labels: Sequence[str], frame: Frame, wording: int = 0, form: Form = "steps"
) -> list[dict[str, str]]:
    """The conversation that asks for every object of `labels`, in the coordinates of `frame`.

    Args:
        labels: what is asked for.
        frame: of the image; a policy with a fixed frame knows one wording only.
        wording: which of `REQUESTS` it begins with.
        form: of the response: think, look and answer, or the answer alone.

    Returns:
        One user message with plain text; trainers and processors put the image before it.

    >>> build_prompt(["person"], Frame.absolute(192, 144, 128, 128, fixed=True))[0]["content"]
    'Find every person.'
    """
    named = " and ".join(labels)
    if frame.fixed:
        brief = TINY_PROMPT if form == "steps" else TINY_ANSWER_PROMPT
        return [{"role": "user", "content": brief.format(labels=named)}]
    text = f"{QUESTION}\n{STEPS if form == 'steps' else ANSWER}".format(
        request=REQUESTS[wording].format(labels=named),
        coordinates=_coordinates(frame),
        first_label=labels[0],
        quoted_labels=", ".join(json.dumps(label, ensure_ascii=False) for label in labels),
    )
    return [{"role": "user", "content": text}]


def reframed(prompt: list[dict[str, str]], before: Frame, after: Frame) -> list[dict[str, str]]:
    """The same question about an image in another frame, whatever else its text says.

    >>> whole, part = Frame.absolute(64, 48, 56, 56), Frame.absolute(30, 20, 84, 56)
    >>> reframed(build_prompt(["person"], whole), whole, part) == build_prompt(["person"], part)
    True
    """
    old, new = _coordinates(before), _coordinates(after)
    return [turn | {"content": turn["content"].replace(old, new)} for turn in prompt]


def _coordinates(frame: Frame) -> str:
    if frame.kind == "thousandths":
        return "thousandths of the image's width and height, 0 to 1000"
    return f"pixels of the image, which is {frame.model_width:.0f} x {frame.model_height:.0f}"


def render_response(
    think: str,
    look_boxes: ArrayLike,
    answer_boxes: ArrayLike,
    labels: Sequence[str],
    whys: Sequence[str] | None = None,
    digits: int = 0,
    form: Form = "steps",
) -> str:
    """A well-formed response: what a teacher would answer.

    Args:
        think: text of the first section, not empty.
        look_boxes: (L, 4) xyxy, model frame.
        answer_boxes: (N, 4) xyxy, model frame.
        labels: N labels of the answer.
        whys: L texts for the look boxes, or None to leave them out.
        digits: decimals of the coordinates; 0 writes integers.
        form: `answer` leaves out what is thought and looked at.

    >>> print(render_response("One.", [], [[1, 2, 3.6, 4]], ["person"]))
    <think> One. </think>
    <look> [] </look>
    <answer> [{"bbox_2d": [1, 2, 4, 4], "label": "person"}] </answer>
    """
    answers = [
        {"bbox_2d": box, "label": label}
        for box, label in zip(_rounded(answer_boxes, digits), labels, strict=True)
    ]
    answer = f"<answer> {json.dumps(answers, ensure_ascii=False)} </answer>"
    if form == "answer":
        return answer
    looks = [{"bbox_2d": box} for box in _rounded(look_boxes, digits)]
    if whys is not None:
        looks = [look | {"why": why} for look, why in zip(looks, whys, strict=True)]
    look = json.dumps(looks, ensure_ascii=False)
    return f"<think> {think} </think>\n<look> {look} </look>\n{answer}"


def _rounded(boxes: ArrayLike, digits: int) -> list[list[int]] | list[list[float]]:
    rounded = np.asarray(boxes, np.float64).reshape(-1, 4).round(digits)
    return (rounded.astype(np.int64) if digits == 0 else rounded).tolist()
