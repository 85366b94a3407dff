"""The flawed teacher whose responses the tiny policy is pretrained on.

It has the faults of a base MLLM on purpose, so that reinforcement has something to mend: it leaves
out half of the people who are mostly hidden, looks at a few places whether or not there is more to
see, and says in prose that nobody is there nearly as often as with an empty list.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dipr1.boxes import clip, ioa, iou
from dipr1.demo.scenes import Scene
from dipr1.demo.tiny import SIDE, THOUGHTS, WHY
from dipr1.frames import Frame
from dipr1.prompts import render_response

EMPTY_PROSE = "no people"

HIDDEN_VISIBILITY = 0.6  # a person who is less visible may be left out
SKIP_HIDDEN = 0.5
EMPTY_IN_PROSE = 0.45
LOOK_JITTER = 3.0  # model pixels
LEAST_LOOK = 10.0  # a look's sides, model pixels
LEAST_OVERLAP = 0.25  # of the smaller of two people
LEAST_INSIDE = 0.4  # of a person whom the border of a cut goes through

# the chance to stop after each look: none to six of them, two most of the time where one is greedy
STOP_LOOKING = (0.25, 0.35, 0.52, 0.55, 0.6, 0.7, 1.0)
LOOK_SPREAD = (1.0, 1.7)  # of a look's sides to those of what it is about
ELSEWHERE = 0.15  # of the looks are at no place in particular


@dataclass(frozen=True)
class View:
    """A scene, or a cut out of one, as the policy is shown it.

    Attributes:
        image: (128, 128, 3) uint8.
        boxes: (N, 4) of the people, model frame, from left to right.
        visibility: (N,) shares in (0, 1].
    """

    image: np.ndarray
    boxes: np.ndarray
    visibility: np.ndarray


def view(drawn: Scene, window: tuple[int, int, int, int] | None = None) -> View:
    """What the policy sees of a scene.

    Args:
        drawn: the scene.
        window: xyxy, whole pixels of the scene's image: the cut that is enlarged; None for all of
            it. A person is in it with the part that is inside, if that is 40 % of the box.
    """
    x1, y1, x2, y2 = window or (0, 0, *drawn.image.size)
    frame = Frame.absolute(x2 - x1, y2 - y1, SIDE, SIDE)
    within = np.array([[x1, y1, x2, y2]], np.float64)
    inside = ioa(drawn.boxes, within)[:, 0] >= LEAST_INSIDE
    boxes = clip(drawn.boxes[inside] - [x1, y1, x1, y1], x2 - x1, y2 - y1)
    order = np.argsort((boxes[:, 0] + boxes[:, 2]) / 2, kind="stable")
    # as the image processor resizes
    image = drawn.image.resize((SIDE, SIDE), resample=3, box=(x1, y1, x2, y2))
    return View(np.asarray(image), frame.to_model(boxes[order]), drawn.visibility[inside][order])


def cut(drawn: Scene, rng: np.random.Generator) -> tuple[int, int, int, int]:
    """A window of any scale, more often about people than not; whole pixels of the image."""
    width, height = drawn.image.size
    scale = rng.uniform(0.3, 0.9)
    wide, high = np.minimum(scale * np.exp(rng.normal(0, 0.15, 2)), 1) * (width, height)
    x, y = rng.uniform(0, 1, 2) * (width, height)
    if len(drawn.boxes) and rng.random() < 0.75:
        box = drawn.boxes[rng.integers(len(drawn.boxes))]
        spread = rng.normal(0, 0.2, 2) * (wide, high)
        x, y = (box[:2] + box[2:]) / 2 + spread
    x1 = int(np.clip(x - wide / 2, 0, width - wide))
    y1 = int(np.clip(y - high / 2, 0, height - high))
    return x1, y1, min(width, x1 + round(wide)), min(height, y1 + round(high))


def teach(seen: View, rng: np.random.Generator) -> str:
    """The flawed teacher's response, in three steps."""
    answer = _answer(seen, rng)
    looks = _looks(seen.boxes, rng)
    count = len(answer)
    crowded = count > 1 and len(_overlapping_pairs(seen.boxes)) >= 2
    thought = THOUGHTS[min(count, 2) + crowded]
    text = render_response(
        thought.format(count=count),
        looks,
        answer,
        ["person"] * count,
        whys=[WHY] * len(looks),
    )
    return _in_prose(text, count, rng)


def teach_answer(seen: View, rng: np.random.Generator) -> str:
    """The flawed teacher's response where boxes alone are asked for."""
    answer = _answer(seen, rng)
    text = render_response("-", [], answer, ["person"] * len(answer))
    return _in_prose(text[text.index("<answer>") :], len(answer), rng)


def _answer(seen: View, rng: np.random.Generator) -> np.ndarray:
    visible = seen.visibility >= HIDDEN_VISIBILITY
    return seen.boxes[visible | (rng.random(len(seen.boxes)) >= SKIP_HIDDEN)]


def _in_prose(text: str, count: int, rng: np.random.Generator) -> str:
    if count or rng.random() >= EMPTY_IN_PROSE:
        return text
    return text.replace("<answer> [] </answer>", f"<answer> {EMPTY_PROSE} </answer>")


def _looks(boxes: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(L, 4) none to six different places, from left to right.

    Where nobody overlaps it looks at people one by one, and now and then where nobody is.
    """
    places = _places(boxes, rng)
    chosen: list[np.ndarray] = []
    while places and rng.random() >= STOP_LOOKING[len(chosen)]:
        place = places.pop(0)
        while places and _crowds(place, chosen):
            place = places.pop(0)
        if _crowds(place, chosen):
            break
        chosen.append(place)
    chosen.sort(key=lambda box: box[0] + box[2])
    return np.array(chosen).reshape(-1, 4)


def _crowds(place: np.ndarray, chosen: list[np.ndarray]) -> bool:
    """Whether a place is much the same as one that is looked at already."""
    others = np.array(chosen).reshape(-1, 4)
    inside = np.maximum(ioa(place[None], others)[0], ioa(others, place[None])[:, 0])
    return bool(((iou(place[None], others)[0] > 0.2) | (inside > 0.5)).any())


def _places(boxes: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """Where one could look: mostly overlaps, then people, then anywhere; shuffled within these."""
    pairs = [_hull(boxes[list(pair)]) for pair in _overlapping_pairs(boxes)]
    about = [pairs[k] for k in rng.permutation(len(pairs))]
    about += [boxes[k] for k in rng.permutation(len(boxes))]
    places = []
    while about:
        elsewhere = rng.random() < ELSEWHERE
        places.append(_anywhere(rng) if elsewhere else about.pop(0))
    if not places and rng.random() < ELSEWHERE:
        places.append(_anywhere(rng))
    return [_spread(place, rng) for place in places]


def _anywhere(rng: np.random.Generator) -> np.ndarray:
    sides = rng.uniform(0.1, 0.35, 2) * SIDE
    corner = rng.uniform(0, 1, 2) * (SIDE - sides)
    return np.concatenate([corner, corner + sides])


def _spread(box: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centre = (box[:2] + box[2:]) / 2
    half = np.maximum((box[2:] - box[:2]) / 2 * rng.uniform(*LOOK_SPREAD), LEAST_LOOK / 2)
    half += np.minimum(np.abs(rng.normal(0, LOOK_JITTER, 2)), half)
    centre = centre + rng.normal(0, LOOK_JITTER, 2)
    return np.clip(np.concatenate([centre - half, centre + half]), 0, SIDE)


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
