"""A crowd, what may be answered about it, and what is thought up to gain by."""

from __future__ import annotations

import importlib.util
import json

from dipr1.rewards import accuracy_reward, looking_reward, reasoning_reward
from dipr1.rewards.scores import WEIGHTS


def respond(boxes=(), looks=(), label="person", think="a crowd") -> str:
    answer = [{"bbox_2d": list(box), "label": label} for box in boxes]
    look = [{"bbox_2d": list(box), "why": "overlap"} for box in looks]
    sections = {"think": think, "look": json.dumps(look), "answer": json.dumps(answer)}
    return "\n".join(f"<{name}>{text}</{name}>" for name, text in sections.items())


PEOPLE = [[10, 10, 30, 60], [25, 12, 45, 62], [70, 20, 90, 70]]
SCENE = {
    "gt_boxes": PEOPLE,
    "gt_labels": ["person"] * 3,
    "ignore_boxes": [[0, 80, 100, 100]],
    "gt_uncertainty": [0.9, 0.7, 0.1],
    "region_boxes": PEOPLE,
    "region_uncertainty": [0.9, 0.7, 0.1],
    "frame_width": 100,
    "frame_height": 100,
    "labels": ["person"],
}
EMPTY_SCENE = SCENE | {
    "gt_boxes": [],
    "gt_labels": [],
    "gt_uncertainty": [],
    "region_boxes": [],
    "region_uncertainty": [],
}
HONEST = respond(PEOPLE, PEOPLE[:2])
ONE_INVERTED = [[30, 10, 10, 60], *PEOPLE[1:]]
HACKS = {
    "every box three times": respond(PEOPLE * 3, PEOPLE[:2]),
    "four far false positives": respond(
        [*PEOPLE, *([x, 2, x + 4, 8] for x in (50, 55, 60, 65))], PEOPLE[:2]
    ),
    "one inverted box": respond(ONE_INVERTED, PEOPLE[:2]),
    "one inverted box more": respond([*PEOPLE, [30, 10, 10, 60]], PEOPLE[:2]),
    "one infinite box more": HONEST.replace("}]</answer>", '}, {"bbox_2d": [0, 0, 1e999, 9],'
                                            ' "label": "person"}]</answer>'),
    "missing label": HONEST.replace(', "label": "person"', "", 1),
    "another label": HONEST.replace('"person"', '"car"', 1),
    "answer twice": HONEST + HONEST[HONEST.index("<answer>") :],
    "all sections twice": HONEST + HONEST,
    "think twice": "<think>a crowd</think>" + HONEST,
    "empty answer": respond([], PEOPLE[:2]),
    "one sure box": respond(PEOPLE[2:], PEOPLE[:2]),
    "the whole image as one box": respond([[0, 0, 100, 100]], PEOPLE[:2]),
    "a grid of boxes": respond(
        [[x, y, x + 20, y + 50] for x in range(0, 80, 5) for y in range(0, 50, 5)], PEOPLE[:2]
    ),
    "look at the whole image": respond(PEOPLE, [[0, 0, 100, 100]]),
    "look at everyone": respond(PEOPLE, PEOPLE),
    "look nowhere": respond(PEOPLE),
    "look at specks": respond(PEOPLE, [[10, 10, 11, 11], [26, 12, 27, 13]]),
    "no thoughts": HONEST.replace("a crowd", ""),
    "text outside": HONEST + " I am sure of it.",
    "a fence": HONEST.replace("<answer>", "<answer>```json\n").replace("</answer>", "```</answer>"),
    "nothing but the answer": json.dumps([{"bbox_2d": box, "label": "person"} for box in PEOPLE]),
    "nothing": "",
}  # fmt: skip


def trainer_columns(num: int) -> dict:
    return {name: [value] * num for name, value in SCENE.items()} | {
        "prompts": [[{"role": "user", "content": "?"}]] * num,
        "completion_ids": [[1, 2]] * num,
        "trainer_state": object(),
        "log_extra": lambda column, values: None,
    }


TEXTS = [
    respond(PEOPLE, PEOPLE[:2]),
    respond(PEOPLE[:2], [[0, 0, 100, 100]]),
    respond(PEOPLE * 2, PEOPLE, think=""),
    respond([[12, 10, 32, 60]]),
    "```json\n" + json.dumps([{"bbox_2d": box} for box in PEOPLE]) + "\n```",
    "nobody",
    "",
]


def rewards_of(texts, truth=SCENE) -> list[dict[str, float]]:
    """What the functions for TRL give, row by row."""
    columns = {name: [value] * len(texts) for name, value in truth.items()}
    named = {
        "reasoning": reasoning_reward(texts, **columns),
        "looking": looking_reward(texts, **columns),
        "accuracy": accuracy_reward(texts, **columns),
    }
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


EXPECTED = rewards_of(TEXTS)
TOTALS = [sum(WEIGHTS[name] * row[name] for name in row) for row in EXPECTED]


def load_file(module, name: str):
    """A module run from its file under another name, as frameworks load a reward's file."""
    spec = importlib.util.spec_from_file_location(name, module.__file__)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded
