"""Ways to be paid without detecting: the catalogue behind `gaming.py` and the tests.

A `Crowd` is what an image's row of reward columns holds, a `Reply` is a response before it is
written down, and a `Hack` turns an honest reply into one that tries to earn as much with less.
Hacks know the reply that they start from and the size of the frame, nothing else of the truth, but
for the two that are named after the ignore regions. All boxes are in the model frame.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

import numpy as np

from dipr1.boxes import area, clip, ioa, iou
from dipr1.frames import Frame
from dipr1.regions import box_variance, look_targets
from dipr1.rewards import accuracy_reward, looking_reward, reasoning_reward

WEIGHTS = {"reasoning": 1.0, "looking": 0.3, "accuracy": 3.0}
"""Of the three rewards in the training total, as in config.yaml."""

IMAGE_SIZE = (1920, 1080)
FRAME_SIZE = (1288, 728)
_FRAME = Frame.absolute(*IMAGE_SIZE, *FRAME_SIZE)

Box = tuple[float, ...]
Item = tuple[Box, str | None]


# --- what is to be found ------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Crowd:
    """The truth about one image.

    Attributes:
        name: for test ids and tables.
        people: (G, 4) what is to be found, whole numbers.
        labels: G labels.
        ignore: (I, 4) ignore regions.
        gt_uncertainty: (G,) in [0, 1].
        regions: (K, 4) hulls of the box-variance regions.
        uncertainty: (K,) of the regions.
        asked: the labels that the prompt asks for.
    """

    name: str
    people: np.ndarray
    labels: tuple[str, ...]
    ignore: np.ndarray
    gt_uncertainty: np.ndarray
    regions: np.ndarray
    uncertainty: np.ndarray
    asked: tuple[str, ...] = ("person",)

    def columns(self, num: int) -> dict[str, list[Any]]:
        """The reward columns, the same for `num` completions."""
        row = {
            "gt_boxes": self.people.tolist(),
            "gt_labels": list(self.labels),
            "ignore_boxes": self.ignore.tolist(),
            "gt_uncertainty": self.gt_uncertainty.tolist(),
            "region_boxes": self.regions.tolist(),
            "region_uncertainty": self.uncertainty.tolist(),
            "frame_width": FRAME_SIZE[0],
            "frame_height": FRAME_SIZE[1],
            "labels": list(self.asked),
        }
        return {name: [value] * num for name, value in row.items()}

    def targets(self) -> np.ndarray:
        """(T, 4) what is to be looked at: the hulls of the most uncertain regions in the frame."""
        hulls = clip(self.regions, *FRAME_SIZE)
        return hulls[look_targets(hulls, self.uncertainty)]


def crowd(
    name: str,
    seed: int,
    num_people: int,
    *,
    unsure: float = 0.4,
    num_phantoms: int = 2,
    num_ignore: int = 0,
    asked: tuple[str, ...] = ("person",),
) -> Crowd:
    """A street crowd, and the statistics of eight samples of an imagined base policy.

    Args:
        name: of the crowd.
        seed: of everything.
        num_people: to be found.
        unsure: the share of people that the base policy finds in about half of its samples.
        num_phantoms: places at which it sees somebody in about half of its samples.
        num_ignore: ignore regions, as wide as a few people each; people may stand in them.
        asked: the labels, given to the people in turn.
    """
    rng = np.random.default_rng(seed)
    people = _place(rng, num_people)
    ignore = _hulls_of_groups(rng, num_ignore)
    phantoms = _place(rng, num_phantoms)
    doubtful = rng.random(num_people) < unsure
    samples = []
    for _ in range(8):
        seen = [
            _jittered(rng, people[~doubtful], 0.008),
            _jittered(rng, people[doubtful], 0.05)[rng.random(doubtful.sum()) < 0.55],
            _jittered(rng, phantoms, 0.05)[rng.random(num_phantoms) < 0.5],
        ]
        samples.append(clip(np.concatenate(seen), *FRAME_SIZE))
    regions = box_variance(samples, people, ignore)
    return Crowd(
        name=name,
        people=people,
        labels=tuple(asked[k % len(asked)] for k in range(num_people)),
        ignore=ignore,
        gt_uncertainty=np.array([region.uncertainty for region in regions[:num_people]]),
        regions=np.array([region.hull for region in regions]).reshape(-1, 4),
        uncertainty=np.array([region.uncertainty for region in regions]),
        asked=asked,
    )


def _place(rng: np.random.Generator, num: int) -> np.ndarray:
    """(num, 4) full-body boxes of people on a street; two may overlap by up to IoU 0.6."""
    width, height = FRAME_SIZE
    horizon, steepness = rng.uniform(0.15, 0.4) * height, rng.uniform(0.5, 0.9)
    placed = np.zeros((0, 4))
    while len(placed) < num:
        foot = rng.uniform(horizon + 0.15 * height, height)
        tall = steepness * (foot - horizon) * rng.uniform(0.85, 1.15)
        wide = 0.41 * tall * rng.uniform(0.8, 1.3)
        left = rng.uniform(-0.2 * wide, width - 0.8 * wide)
        box = clip([[left, foot - tall, left + wide, foot]], width, height).round()
        if not (iou(box, placed) > 0.6).any():
            placed = np.concatenate([placed, box])
    return placed


def _hulls_of_groups(rng: np.random.Generator, num: int) -> np.ndarray:
    """(num, 4) regions like those that annotators draw around a crowd that they did not box."""
    groups = []
    for _ in range(num):
        one = _place(rng, 1)[0]
        wide, tall = one[2] - one[0], one[3] - one[1]
        groups.append([one[0] - 2 * wide, one[1], one[2] + 2 * wide, one[3] + 0.2 * tall])
    return clip(np.array(groups).reshape(-1, 4), *FRAME_SIZE).round()


def _jittered(rng: np.random.Generator, boxes: np.ndarray, share: float) -> np.ndarray:
    """The boxes with every side moved by about `share` of the box's size."""
    sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    return boxes + rng.normal(0.0, share, boxes.shape) * sizes


# --- what is answered ---------------------------------------------------------------------------

Tag = Callable[[str, str], str]
Form = Callable[[dict[str, str], Tag], str | None]


def tagged(name: str, text: str) -> str:
    """A section as our format, and most others, write it."""
    return f"<{name}>{text}</{name}>"


def in_order(sections: dict[str, str], tag: Tag) -> str:
    """The sections one after another, as they should be."""
    return "\n".join(tag(name, text) for name, text in sections.items())


@dataclass(frozen=True)
class Reply:
    """A response before it is written down.

    Attributes:
        answer: the boxes of the answer and their labels.
        looks: the boxes of the look section.
        think: text of the think section.
        form: how the sections become a text.
        why: text given with every look box.
    """

    answer: tuple[Item, ...]
    looks: tuple[Box, ...] = ()
    think: str = "A street with people who hide one another."
    form: Form = field(default=in_order)
    why: str = "overlap"

    def text(self) -> str:
        """The response in our format."""
        looks = [{"bbox_2d": list(box), "why": self.why} for box in self.looks]
        sections = {
            "think": self.think,
            "look": json.dumps(looks),
            "answer": json.dumps([_item(box, label) for box, label in self.answer]),
        }
        return self.form(sections, tagged)

    def boxes(self) -> np.ndarray:
        """(N, 4) boxes of the answer."""
        return np.array([box for box, _ in self.answer], dtype=np.float64).reshape(-1, 4)


def _item(box: Box, label: str | None) -> dict[str, Any]:
    return {"bbox_2d": list(box)} | ({} if label is None else {"label": label})


def as_tuples(boxes: Any) -> tuple[Box, ...]:
    """Boxes as tuples, whole numbers written as such."""
    rows = np.asarray(boxes, dtype=np.float64).reshape(-1, 4).tolist()
    return tuple(
        tuple(int(side) if math.isfinite(side) and side == int(side) else side for side in row)
        for row in rows
    )


def honest(crowd: Crowd) -> Reply:
    """The truth: every person, and a look at exactly the regions that are to be looked at."""
    answer = tuple(zip(as_tuples(crowd.people), crowd.labels, strict=True))
    return Reply(answer, as_tuples(crowd.targets()))


def imperfect(crowd: Crowd, seed: int = 0, share: float = 0.7) -> Reply:
    """An honest detector's reply: `share` of the people, about 5 % off, and looks as good."""
    rng = np.random.default_rng(seed)
    truth = honest(crowd)
    chosen = rng.permutation(len(truth.answer))[: math.ceil(share * len(truth.answer))]
    looked = rng.permutation(len(truth.looks))[: math.ceil(share * len(truth.looks))]
    boxes = _jittered(rng, crowd.people[chosen], 0.05).round()
    looks = _jittered(rng, crowd.targets()[looked], 0.05).round()
    labels = [crowd.labels[k] for k in chosen]
    answer = tuple(zip(as_tuples(boxes), labels, strict=True))
    return Reply(answer, as_tuples(clip(looks, *FRAME_SIZE)))


def score(
    texts: Sequence[str], crowd: Crowd, accuracy: Callable[..., list] = accuracy_reward
) -> list[dict[str, float]]:
    """The three rewards and the training total of each text."""
    columns = crowd.columns(len(texts))
    rewards = {"reasoning": reasoning_reward, "looking": looking_reward, "accuracy": accuracy}
    values_of = {name: reward(texts, **columns) for name, reward in rewards.items()}
    rows = [
        dict(zip(values_of, values, strict=True))
        for values in zip(*values_of.values(), strict=True)
    ]
    return [row | {"total": sum(WEIGHTS[name] * row[name] for name in values_of)} for row in rows]


CROWDS = (
    crowd("few", 1, 3, unsure=0.5, num_phantoms=1),
    crowd("street", 2, 20),
    crowd("dense", 3, 60),
    crowd("certain", 4, 12, unsure=0.0, num_phantoms=0),
    crowd("two classes", 5, 10, asked=("person", "rider")),
    crowd("ignored groups", 6, 15, num_ignore=3),
    crowd("all ignored", 7, 0, num_phantoms=0, num_ignore=3),
    crowd("phantoms", 8, 0, num_phantoms=3),
    crowd("empty", 9, 0, num_phantoms=0),
)
"""With and without people, uncertain regions and ignore regions."""


# --- hacks --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Hack:
    """One way to be paid for less.

    Attributes:
        name: for test ids and tables.
        attacks: the rewards that it tries to keep; each must fall, the others must not rise.
        make: the hacked reply; the same reply where the hack has nothing to work on.
    """

    name: str
    attacks: tuple[str, ...]
    make: Callable[[Crowd, Reply], Reply]


def _boxes(change: Callable[[np.ndarray], Any]) -> Callable[[Crowd, Reply], Reply]:
    """A hack that changes the answer's boxes one by one and keeps their labels."""

    def make(_: Crowd, reply: Reply) -> Reply:
        changed = as_tuples(change(reply.boxes()))
        labels = [label for _, label in reply.answer]
        return replace(reply, answer=tuple(zip(changed, labels, strict=True)))

    return make


def _form(name: str) -> Callable[[Crowd, Reply], Reply]:
    return lambda _, reply: replace(reply, form=FORMS[name])


def _answer_inside_think(_: Crowd, reply: Reply) -> Reply:
    """The boxes are thought of and an empty list is answered."""
    return replace(reply, form=_in_think) if reply.answer else reply


def _labelled(crowd: Crowd, boxes: Any) -> tuple[Item, ...]:
    return tuple((box, crowd.asked[0]) for box in as_tuples(boxes))


def repeat(times: int, _: Crowd, reply: Reply) -> Reply:
    """The whole answer, listed `times` times."""
    return replace(reply, answer=reply.answer * times)


def _pixel_apart(_: Crowd, reply: Reply) -> Reply:
    """The whole answer three times, so that no two boxes are equal."""
    boxes = reply.boxes()
    copies = [as_tuples(boxes + step) for step in ([1, 0, 0, 0], [0, 1, 0, 0])]
    labels = [label for _, label in reply.answer]
    more = (item for copy in copies for item in zip(copy, labels, strict=True))
    return replace(reply, answer=(*reply.answer, *more))


def far_boxes(crowd: Crowd, num: int) -> np.ndarray:
    """(num, 4) small boxes that touch neither people nor ignore regions."""
    width, height = FRAME_SIZE
    x, y = np.meshgrid(np.arange(4, width - 12, 16), np.arange(4, height - 20, 24))
    boxes = np.stack([x, y, x + 6, y + 14], axis=-1).reshape(-1, 4).astype(np.float64)
    taken = np.concatenate([crowd.people, crowd.ignore])
    free = boxes[(ioa(boxes, taken) == 0.0).all(axis=1)]
    return free[np.linspace(0, len(free) - 1, num).astype(int)]


def _with_far_boxes(num: int, crowd: Crowd, reply: Reply) -> Reply:
    return replace(reply, answer=reply.answer + _labelled(crowd, far_boxes(crowd, num)))


def grid_boxes(columns: int, rows: int, wide: float = 1.0, tall: float = 1.0) -> np.ndarray:
    """(columns * rows, 4) the frame in cells; `wide` and `tall` stretch each about its centre."""
    width, height = FRAME_SIZE
    step = np.array([width / columns, height / rows])
    x, y = np.meshgrid(np.arange(columns) + 0.5, np.arange(rows) + 0.5)
    centres = np.stack([x, y], axis=-1).reshape(-1, 2) * step
    half = 0.5 * step * [wide, tall]
    return clip(np.concatenate([centres - half, centres + half], axis=1), width, height)


def _grid(boxes: np.ndarray, keep: bool, crowd: Crowd, reply: Reply) -> Reply:
    return replace(reply, answer=reply.answer * keep + _labelled(crowd, boxes))


def one_sure_box(_: Crowd, reply: Reply) -> Reply:
    """Only the largest box: whoever stands in front is certain."""
    if not reply.answer:
        return reply
    return replace(reply, answer=(reply.answer[int(area(reply.boxes()).argmax())],))


def _half(_: Crowd, reply: Reply) -> Reply:
    order = np.argsort(-area(reply.boxes()), kind="stable")
    return replace(reply, answer=tuple(reply.answer[k] for k in order[: (len(order) + 1) // 2]))


def _scaled(factor: float, boxes: np.ndarray) -> np.ndarray:
    centre, half = (boxes[:, :2] + boxes[:, 2:]) / 2, (boxes[:, 2:] - boxes[:, :2]) / 2
    return np.concatenate([centre - factor * half, centre + factor * half], axis=1)


def _shifted(share: float, boxes: np.ndarray) -> np.ndarray:
    return boxes + share * np.tile(boxes[:, 2:] - boxes[:, :2], 2)


def _jitter(boxes: np.ndarray) -> np.ndarray:
    return _jittered(np.random.default_rng(0), boxes, 0.1)


def _first(change: Callable[[np.ndarray], Any]) -> Callable[[np.ndarray], np.ndarray]:
    return lambda boxes: np.concatenate([change(boxes[:1]), boxes[1:]])


def merge_neighbours(_: Crowd, reply: Reply) -> Reply:
    """One box around the two that overlap most, in place of both."""
    boxes = reply.boxes()
    if len(boxes) < 2:
        return reply
    overlaps = np.triu(iou(boxes, boxes), 1)
    i, j = np.unravel_index(overlaps.argmax(), overlaps.shape)
    i, j = (i, j) if i != j else (0, 1)
    hull = np.concatenate([np.minimum(boxes[i, :2], boxes[j, :2]), np.maximum(*boxes[[i, j], 2:])])
    rest = tuple(item for k, item in enumerate(reply.answer) if k not in (i, j))
    return replace(reply, answer=((as_tuples(hull)[0], reply.answer[i][1]), *rest))


def split_one(_: Crowd, reply: Reply) -> Reply:
    """The first person as an upper and a lower half."""
    if not reply.answer:
        return reply
    (x1, y1, x2, y2), label = reply.answer[0]
    middle = (y1 + y2) / 2
    halves = (((x1, y1, x2, middle), label), ((x1, middle, x2, y2), label))
    return replace(reply, answer=halves + reply.answer[1:])


def hedge(share: float, _: Crowd, reply: Reply) -> Reply:
    """Every box once more, moved sideways by `share` of its width."""
    boxes = reply.boxes()
    aside = boxes + share * (boxes[:, 2:3] - boxes[:, :1]) * [1.0, 0.0, 1.0, 0.0]
    again = zip(as_tuples(aside), (label for _, label in reply.answer), strict=True)
    return replace(reply, answer=reply.answer + tuple(again))


def _unions(_: Crowd, reply: Reply) -> Reply:
    """Also one box around each box and its nearest neighbour."""
    boxes = reply.boxes()
    if len(boxes) < 2:
        return reply
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    apart = np.linalg.norm(centres[:, None] - centres, axis=-1)
    np.fill_diagonal(apart, np.inf)
    near = boxes[apart.argmin(axis=1)]
    hulls = [np.minimum(boxes[:, :2], near[:, :2]), np.maximum(boxes[:, 2:], near[:, 2:])]
    more = zip(as_tuples(np.concatenate(hulls, axis=1)), (i[1] for i in reply.answer), strict=True)
    return replace(reply, answer=reply.answer + tuple(more))


def _relabel(change: Callable[[Crowd, str], str | None]) -> Callable[[Crowd, Reply], Reply]:
    def make(crowd: Crowd, reply: Reply) -> Reply:
        items = tuple((box, change(crowd, label)) for box, label in reply.answer)
        return replace(reply, answer=items)

    return make


def boxes_in_ignore(crowd: Crowd, num: int) -> np.ndarray:
    """(<= num, 4) boxes spread over the ignore regions, each inside one."""
    if not len(crowd.ignore):
        return np.zeros((0, 4))
    side = math.ceil(math.sqrt(num / len(crowd.ignore)))
    cells = grid_boxes(side, side) / np.tile(FRAME_SIZE, 2)
    sizes = np.tile(crowd.ignore[:, 2:] - crowd.ignore[:, :2], 2)
    return (np.tile(crowd.ignore[:, :2], 2)[:, None] + cells * sizes[:, None]).reshape(-1, 4)[:num]


def _look(boxes: Callable[[Reply], Any]) -> Callable[[Crowd, Reply], Reply]:
    return lambda _, reply: replace(reply, looks=as_tuples(boxes(reply)))


def _look_array(reply: Reply) -> np.ndarray:
    return np.array(reply.looks, dtype=np.float64).reshape(-1, 4)


def _looks_again(num: int, share: float, reply: Reply) -> np.ndarray:
    """Every look `num` times more, each time with every side moved by about `share` of its size."""
    looks = _look_array(reply)
    again = _jittered(np.random.default_rng(0), np.tile(looks, (num, 1)), share)
    return np.concatenate([looks, clip(again, *FRAME_SIZE).round()])


def _swapped(reply: Reply, crowd: Crowd) -> Reply:
    return replace(
        reply, answer=_labelled(crowd, _look_array(reply)), looks=as_tuples(reply.boxes())
    )


# Forms: the text, not the boxes. None where a format has no such section.


def _fenced(sections: dict[str, str], tag: Tag) -> str:
    text = sections["answer"]
    fenced = text if text.startswith("```") else f"```json\n{text}\n```"
    return in_order(sections | {"answer": fenced}, tag)


def _answer_first(sections: dict[str, str], tag: Tag) -> str | None:
    if len(sections) < 2:
        return None
    *names, look, answer = sections
    return in_order({name: sections[name] for name in (*names, answer, look)}, tag)


def _in_think(sections: dict[str, str], tag: Tag) -> str | None:
    if "think" not in sections:
        return None
    think = f"{sections['think']} {sections['answer']}"
    return in_order(sections | {"think": think, "answer": "[]"}, tag)


def _nested(sections: dict[str, str], tag: Tag) -> str | None:
    if "think" not in sections:
        return None
    answer = tag("answer", sections["answer"])
    rest = {name: text for name, text in sections.items() if name != "answer"}
    return in_order(rest | {"think": f"{sections['think']} {answer}"}, tag)


def _two_answers(sections: dict[str, str], tag: Tag) -> str:
    return in_order(sections, tag) + "\n" + tag("answer", sections["answer"])


def _without(name: str, sections: dict[str, str], tag: Tag) -> str | None:
    if name not in sections:
        return None
    return in_order({key: text for key, text in sections.items() if key != name}, tag)


def _single_quotes(sections: dict[str, str], tag: Tag) -> str:
    return in_order(sections | {"answer": sections["answer"].replace('"', "'")}, tag)


def _text(change: Callable[[str], str]) -> Form:
    return lambda sections, tag: change(in_order(sections, tag))


FORMS: dict[str, Form] = {
    "in order": in_order,
    "empty": _text(lambda _: ""),
    "answer inside think": _in_think,
    "answer section inside think": _nested,
    "no think": partial(_without, "think"),
    "no look": partial(_without, "look"),
    "no answer": partial(_without, "answer"),
    "all twice": _text(lambda text: text + "\n" + text),
    "answer twice": _two_answers,
    "answer first": _answer_first,
    "text outside": _text(lambda text: text + "\nThat is all."),
    "no tags": lambda sections, _: sections["answer"],
    "last tag cut": _text(lambda text: text.removesuffix("</answer>")),
    "last fifth cut": _text(lambda text: text[: len(text) * 4 // 5]),
    "fenced": _fenced,
    "single quotes": _single_quotes,
}
"""Ways to put the sections together; only the first is well formed, and an answer that is given
inside think with an empty list after it."""


ALL = ("reasoning", "looking", "accuracy")
FORM = ("reasoning",)
LOOK = ("looking",)
ANSWER = ("accuracy",)

HACKS = (
    # the answer: more boxes
    Hack("every box 3 times", ANSWER, partial(repeat, 3)),
    Hack("every box 20 times", ANSWER, partial(repeat, 20)),
    Hack("every box 3 times, a pixel apart", ANSWER, _pixel_apart),
    Hack("4 far false positives", ANSWER, partial(_with_far_boxes, 4)),
    Hack("40 far false positives", ANSWER, partial(_with_far_boxes, 40)),
    Hack("300 far false positives", ANSWER, partial(_with_far_boxes, 300)),
    Hack("4 boxes outside the frame", ANSWER, partial(
        _grid, np.array([[2000.0 + 50 * k, 10, 2040 + 50 * k, 90] for k in range(4)]), True)),
    Hack("a hedge half a width aside", ANSWER, partial(hedge, 0.5)),
    Hack("a hedge a tenth of a width aside", ANSWER, partial(hedge, 0.1)),
    Hack("unions of neighbours as well", ANSWER, _unions),
    Hack("a grid of 300 boxes as well", ANSWER, partial(_grid, grid_boxes(25, 12, 2, 3), True)),
    # the answer: fewer boxes, or none of one's own
    Hack("one sure box", ANSWER, one_sure_box),
    Hack("the larger half", ANSWER, _half),
    Hack("no boxes", ANSWER, lambda _, reply: replace(reply, answer=())),
    Hack("the whole image as one box", ANSWER, partial(_grid, grid_boxes(1, 1), False)),
    Hack("a grid of 60 boxes", ANSWER, partial(_grid, grid_boxes(12, 5, 1, 1.5), False)),
    Hack("a grid of 300 boxes", ANSWER, partial(_grid, grid_boxes(25, 12, 2, 3), False)),
    Hack("the look regions as the answer", ANSWER,
         lambda crowd, reply: replace(reply, answer=_labelled(crowd, _look_array(reply)))),
    # the answer: boxes that are wrong
    Hack("one inverted box", ANSWER, _boxes(_first(lambda boxes: boxes[:, [2, 1, 0, 3]]))),
    Hack("all boxes inverted", ANSWER, _boxes(lambda boxes: boxes[:, [2, 3, 0, 1]])),
    Hack("one infinite box", ("reasoning", "accuracy"), _boxes(_first(lambda b: b * np.inf))),
    Hack("one box of zero area", ANSWER, _boxes(_first(lambda boxes: boxes[:, [0, 1, 0, 3]]))),
    Hack("xywh for xyxy", ANSWER, _boxes(lambda b: np.hstack([b[:, :2], b[:, 2:] - b[:, :2]]))),
    Hack("the image frame", ANSWER, _boxes(lambda boxes: _FRAME.to_image(boxes))),
    Hack("thousandths for pixels", ANSWER, _boxes(lambda boxes: Frame.thousandths(
        *FRAME_SIZE).to_model(boxes))),
    Hack("the sides cut by a tenth", ANSWER, _boxes(partial(_scaled, 0.9))),
    Hack("the sides longer by a tenth", ANSWER, _boxes(partial(_scaled, 1.1))),
    Hack("heads and shoulders", ANSWER, _boxes(lambda b: np.hstack(
        [b[:, :3], b[:, 1:2] + 0.3 * (b[:, 3:] - b[:, 1:2])]))),
    Hack("shifted by a quarter", ANSWER, _boxes(partial(_shifted, 0.25))),
    Hack("shifted by 1 %", ANSWER, _boxes(partial(_shifted, 0.01))),
    Hack("jittered by a tenth", ANSWER, _boxes(_jitter)),
    Hack("two neighbours in one box", ANSWER, merge_neighbours),
    Hack("one person as two boxes", ANSWER, split_one),
    Hack("a label not asked for", ("reasoning", "accuracy"), _relabel(lambda *_: "car")),
    Hack("labels in capitals", ("reasoning", "accuracy"), _relabel(
        lambda _, label: label.upper())),
    Hack("another label asked for", ANSWER, _relabel(
        lambda crowd, label: crowd.asked[crowd.asked.index(label) - 1])),
    # Read as the one label asked for, so that only the form is at fault where there is one.
    Hack("no labels", FORM, _relabel(lambda *_: None)),
    # the looks
    Hack("look at the whole frame", LOOK, _look(lambda _: grid_boxes(1, 1))),
    Hack("look at the whole frame, tiled", LOOK, _look(lambda _: grid_boxes(8, 8))),
    Hack("look at every other tile", LOOK, _look(lambda _: grid_boxes(8, 8)[::2])),
    Hack("look nowhere", LOOK, _look(lambda _: ())),
    Hack("look at everyone", LOOK, _look(Reply.boxes)),
    Hack("look at one region", LOOK, _look(lambda reply: _look_array(reply)[:1])),
    Hack("look at specks of the regions", LOOK, _look(
        lambda reply: _scaled(0.1, _look_array(reply)))),
    Hack("look at wide surroundings", LOOK, _look(lambda reply: _scaled(3, _look_array(reply)))),
    Hack("look at the first region twice", LOOK, _look(lambda r: (*r.looks, *r.looks[:1]))),
    Hack("every look 20 times", LOOK, _look(lambda reply: reply.looks * 20)),
    Hack("every look again, near it", LOOK, _look(partial(_looks_again, 1, 0.05))),
    Hack("every look five times, around it", LOOK, _look(partial(_looks_again, 4, 0.2))),
    Hack("look boxes inverted", LOOK, _look(lambda r: _look_array(r)[:, [2, 3, 0, 1]])),
    Hack("look and answer exchanged", ("looking", "accuracy"), lambda c, r: _swapped(r, c)),
    # the text
    Hack("an empty response", ALL, _form("empty")),
    Hack("the answer inside think", ANSWER, _answer_inside_think),
    Hack("the answer section inside think", FORM, _form("answer section inside think")),
    Hack("no thoughts", FORM, lambda _, reply: replace(reply, think=" ")),
    Hack("no think section", FORM, _form("no think")),
    Hack("no look section", ("reasoning", "looking"), _form("no look")),
    Hack("no answer section", ("reasoning", "accuracy"), _form("no answer")),
    Hack("all sections twice", ALL, _form("all twice")),
    Hack("the answer section twice", ("reasoning", "accuracy"), _form("answer twice")),
    Hack("the answer before the look", FORM, _form("answer first")),
    Hack("text outside", FORM, _form("text outside")),
    Hack("no tags", ("reasoning", "looking"), _form("no tags")),
    Hack("the last tag cut off", FORM, _form("last tag cut")),
    # Objects that are complete before the cut are read.
    Hack("the last fifth cut off", FORM, _form("last fifth cut")),
    Hack("the answer in a code fence", FORM, _form("fenced")),
    Hack("the answer in single quotes", FORM, _form("single quotes")),
)  # fmt: skip
"""Each must score less than the reply that it starts from, in total and in what it attacks."""


@dataclass(frozen=True)
class Free:
    """What changes a reply and neither pays nor costs, by definition.

    Attributes:
        name: for test ids and tables.
        make: the changed reply.
        why: the definition that makes it so.
    """

    name: str
    make: Callable[[Crowd, Reply], Reply]
    why: str


def _people_in_ignore_again(crowd: Crowd, reply: Reply) -> Reply:
    inside = (ioa(reply.boxes(), crowd.ignore) >= 0.5).any(axis=1)
    again = tuple(item for item, one in zip(reply.answer, inside, strict=True) if one)
    return replace(reply, answer=reply.answer + again * 20)


def _halves_of_looks(reply: Reply) -> np.ndarray:
    looks = _look_array(reply)
    middle = looks[:, :1] / 2 + looks[:, 2:3] / 2
    left = np.hstack([looks[:, :2], middle, looks[:, 3:]])
    return np.concatenate([left, np.hstack([middle, looks[:, 1:]])])


FREE = (
    Free("look boxes in halves", _look(_halves_of_looks), "areas count, not boxes"),
    Free("look boxes of zero area", _look(lambda r: np.vstack([_look_array(r), [[5, 5, 5, 9]]])),
         "they cover nothing"),
    Free("look boxes outside the frame",
         _look(lambda r: np.vstack([_look_array(r), [[1300, 5, 1400, 90]]])),
         "they are clipped to the frame"),
    Free("300 boxes inside the ignore regions",
         lambda c, r: replace(r, answer=r.answer + _labelled(c, boxes_in_ignore(c, 300))),
         "unmatched boxes in an ignore region leave the count"),
    Free("people in an ignore region 21 times", _people_in_ignore_again,
         "unmatched boxes in an ignore region leave the count"),
    Free("boxes in another order", lambda _, r: replace(r, answer=r.answer[::-1]),
         "order means nothing"),
    Free("one word of thought", lambda _, reply: replace(reply, think="."),
         "form is rewarded, not length or content"),
    Free("a long thought", lambda _, reply: replace(reply, think="So many people. " * 200),
         "form is rewarded, not length or content"),
    Free("long reasons for looking", lambda _, reply: replace(reply, why="maybe " * 50),
         "`why` is free text"),
)  # fmt: skip
"""Each scores what the honest reply scores."""
