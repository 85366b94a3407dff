"""Can the rewards be gamed? A table of known hacks, and a search for new ones.

    python benchmarks/gaming.py --table                            # docs/rewards.md has its output
    python benchmarks/gaming.py --search --minutes 60 --seed 0 --output finds.jsonl
    python benchmarks/gaming.py --summary --output finds.jsonl

The search mutates responses (boxes, labels, looks, the order of the sections, raw text) and keeps
what earns more. It plays three adversaries in turn:

- blind: knows nothing of the image. One response for every image; what counts is its mean total.
- informed: knows the truth and has to earn the honest total, or more, with another detection set.
- partial: knows some of the people, as a detector finds them, and adds boxes by a rule of its own.

Every round is one line of the output. A search that is started again goes on after the last line,
unless the code of the rewards has changed since.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from hacks import (
    CROWDS,
    FORMS,
    FRAME_SIZE,
    HACKS,
    WEIGHTS,
    Crowd,
    Hack,
    Reply,
    as_tuples,
    boxes_in_ignore,
    crowd,
    grid_boxes,
    hedge,
    honest,
    imperfect,
    repeat,
    score,
)
from peers import PEERS, Peer

from dipr1.boxes import ioa
from dipr1.rewards import AccuracyReward, accuracy_reward, looking_reward, reasoning_reward

BEST_TOTAL = sum(WEIGHTS.values())


def main() -> None:
    """Print the tables, search, or sum up what a search has found."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--table", action="store_true", help="print the tables of docs/rewards.md")
    what.add_argument("--search", action="store_true", help="look for new hacks")
    what.add_argument("--summary", action="store_true", help="print what --output holds")
    parser.add_argument("--minutes", type=float, default=1.0, help="length of the search")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", type=Path, help="JSON lines, one per round")
    args = parser.parse_args()
    if (args.search or args.summary) and args.output is None:
        parser.error("--search and --summary need --output")
    if args.table:
        print_tables()
    elif args.search:
        search(args.output, args.minutes, args.seed)
    else:
        print_summary(args.output)


# --- scores -------------------------------------------------------------------------------------


def totals(texts: Sequence[str], crowds: Sequence[Crowd]) -> np.ndarray:
    """(N,) training totals of text n on crowd n."""
    rows = [one.columns(1) for one in crowds]
    columns = {name: [row[name][0] for row in rows] for name in rows[0]}
    rewards = {
        "reasoning": reasoning_reward(texts, **columns),
        "looking": looking_reward(texts, **columns),
        "accuracy": accuracy_reward(texts, **columns),
    }
    return sum(WEIGHTS[name] * np.array(values) for name, values in rewards.items())


def random_crowd(rng: np.random.Generator) -> Crowd:
    """An image as a mixed data set has them: one in ten is empty, the others hold 1 to 100."""
    num_people = 0 if rng.random() < 0.1 else int(round(np.exp(rng.uniform(0, np.log(100)))))
    return crowd(
        "random",
        int(rng.integers(2**31)),
        num_people,
        unsure=rng.uniform(0.0, 0.6),
        num_phantoms=int(rng.integers(0, 4)),
        num_ignore=int(rng.integers(0, 4)),
    )


def crowds_of(seed: int, num: int) -> list[Crowd]:
    """`num` random crowds."""
    rng = np.random.default_rng(seed)
    return [random_crowd(rng) for _ in range(num)]


# --- what is searched over ----------------------------------------------------------------------

SPLICES = (
    *(f"<{slash}{name}>" for name in ("think", "look", "answer") for slash in ("", "/")),
    "[]", "[", "]", "{", "}", ",", '"', "'", "\\", "```json", "```", "NaN", "1e999", "-0", "null",
    "<|box_start|>(1,2),(300,400)<|box_end|>", '{"bbox_2d": [0, 0, 1288, 728]}',
    '"bbox_2d": [0, 0, 1288, 728],', '"label": "person",', '"why": "</look>",', "\n", "\u00a0",
)  # fmt: skip
"""Raw text that may confuse a reader."""

LABELS = ("person", "Person", "car", "", None)


@dataclass(frozen=True)
class Genome:
    """A reply, the name of its form, and raw text spliced into it.

    Attributes:
        reply: whose form is not used.
        form: a name of `FORMS`.
        splices: (place as a share of the text, what is put there).
    """

    reply: Reply
    form: str = "in order"
    splices: tuple[tuple[float, str], ...] = ()

    def text(self) -> str:
        """The response."""
        text = replace(self.reply, form=FORMS[self.form]).text()
        for place, raw in self.splices:
            at = int(place * len(text))
            text = text[:at] + raw + text[at:]
        return text

    def record(self) -> dict[str, Any]:
        """As JSON."""
        reply = {"answer": self.reply.answer, "looks": self.reply.looks, "think": self.reply.think}
        return reply | {"form": self.form, "splices": self.splices}

    @classmethod
    def of(cls, record: dict[str, Any]) -> Genome:
        """The genome of a record."""
        answer = tuple((tuple(box), label) for box, label in record["answer"])
        looks = tuple(tuple(box) for box in record["looks"])
        splices = tuple((place, raw) for place, raw in record["splices"])
        return cls(Reply(answer, looks, record["think"]), record["form"], splices)


def mutated(rng: np.random.Generator, genome: Genome) -> Genome:
    """The genome with one to three changes."""
    for _ in range(rng.integers(1, 4)):
        roll = rng.random()
        if roll < 0.5:
            genome = replace(genome, reply=_change_answer(rng, genome.reply))
        elif roll < 0.8:
            boxes = _change_boxes(rng, _rows(genome.reply.looks), _answer_boxes(genome.reply))
            genome = replace(genome, reply=replace(genome.reply, looks=as_tuples(boxes[:64])))
        elif roll < 0.84:
            genome = replace(genome, form=str(rng.choice(list(FORMS))))
        elif roll < 0.92:
            raw = SPLICES[rng.integers(len(SPLICES))]
            genome = replace(genome, splices=(*genome.splices, (float(rng.random()), raw))[-4:])
        elif roll < 0.97:
            genome = replace(genome, splices=genome.splices[1:])
        else:
            think = str(rng.choice([".", "", "[]", "{}", "So many people. " * 9, "a < b"]))
            genome = replace(genome, reply=replace(genome.reply, think=think))
    return genome


def _rows(boxes: Sequence) -> np.ndarray:
    return np.array(boxes, dtype=np.float64).reshape(-1, 4)


def _answer_boxes(reply: Reply) -> np.ndarray:
    return _rows([box for box, _ in reply.answer])


def _change_answer(rng: np.random.Generator, reply: Reply) -> Reply:
    labels = [label for _, label in reply.answer]
    if labels and rng.random() < 0.06:
        labels[rng.integers(len(labels))] = LABELS[rng.integers(len(LABELS))]
        return replace(reply, answer=tuple(zip((b for b, _ in reply.answer), labels, strict=True)))
    order = np.arange(len(labels))
    boxes, order = _changed(rng, _answer_boxes(reply), _rows(reply.looks), order)
    named = [labels[k] if k >= 0 else "person" for k in order[:400]]
    return replace(reply, answer=tuple(zip(as_tuples(boxes[:400]), named, strict=True)))


def _change_boxes(rng: np.random.Generator, boxes: np.ndarray, pool: np.ndarray) -> np.ndarray:
    return _changed(rng, boxes, pool, np.arange(len(boxes)))[0]


def _changed(
    rng: np.random.Generator, boxes: np.ndarray, pool: np.ndarray, order: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Boxes after one change, and of each which one it was, -1 for a new one."""
    roll = rng.integers(12)
    if roll <= 2 or not len(boxes):
        new = [_random_boxes, _grid, lambda r: pool[r.random(len(pool)) < 0.5]][roll % 3](rng)
        return np.concatenate([boxes, new]), np.append(order, np.full(len(new), -1))
    chosen = rng.random(len(boxes)) < rng.choice([0.05, 0.3, 1.0])
    chosen[rng.integers(len(boxes))] = True
    if roll == 3:
        return np.concatenate([boxes, boxes[chosen]]), np.append(order, order[chosen])
    if roll == 4:
        return boxes[~chosen], order[~chosen]
    if roll == 5:
        shuffled = rng.permutation(len(boxes))
        return boxes[shuffled], order[shuffled]
    changed = boxes.copy()
    with np.errstate(invalid="ignore"):  # a seed holds an infinite box
        sizes = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    amount = rng.choice([0.02, 0.1, 0.5])
    if roll <= 7:
        changed[chosen] += (rng.normal(0, amount, 2)[[0, 1, 0, 1]] * sizes)[chosen]
    elif roll == 8:
        changed[chosen] += (amount * rng.normal() * np.array([-1, -1, 1, 1]) * sizes)[chosen]
    elif roll == 9:
        changed[chosen] += (rng.normal(0, amount, boxes.shape) * sizes)[chosen]
    elif roll == 10:
        aside = boxes[chosen] + (rng.normal(0, amount, 2)[[0, 1, 0, 1]] * sizes)[chosen]
        return np.concatenate([boxes, aside.round(1)]), np.append(order, order[chosen])
    else:
        changed[chosen] = changed[chosen][:, rng.permutation(4)]
    return changed.round(1), order


def _random_boxes(rng: np.random.Generator) -> np.ndarray:
    num = rng.integers(1, 5)
    tall = rng.uniform(0.05, 1.0, num) * FRAME_SIZE[1]
    wide = tall * rng.uniform(0.2, 1.5, num)
    x, y = rng.uniform(-50, FRAME_SIZE[0], num), rng.uniform(-50, FRAME_SIZE[1], num)
    return np.stack([x, y, x + wide, y + tall], axis=1).round()


def _grid(rng: np.random.Generator) -> np.ndarray:
    columns, rows = rng.integers(1, 16, 2)
    return grid_boxes(columns, rows, rng.uniform(0.3, 2.0), rng.uniform(0.3, 3.0)).round()


def evolve(
    rng: np.random.Generator,
    seeds: Sequence[Any],
    fitness: Callable[[list], np.ndarray],
    change: Callable[[np.random.Generator, Any], Any],
    generations: int,
    size: int = 24,
) -> tuple[Any, float]:
    """The fittest of `generations` x `size` changes: parents compete with their children."""
    pool, values = list(seeds), fitness(list(seeds))
    for _ in range(generations):
        parents = rng.integers(len(pool), size=(size, 2))
        better = np.where(values[parents[:, 0]] > values[parents[:, 1]], *parents.T)
        children = [change(rng, pool[k]) for k in better]
        pool, values = pool + children, np.append(values, fitness(children))
        kept = np.argsort(-values, kind="stable")[:size]
        pool, values = [pool[k] for k in kept], values[kept]
    return pool[0], float(values[0])


# --- the adversaries ----------------------------------------------------------------------------


@lru_cache
def _held_out() -> list[Crowd]:
    """Crowds on which nothing is evolved."""
    return crowds_of(987_654, 400)


def _blind_seeds() -> list[Genome]:
    looks = [(), as_tuples(grid_boxes(1, 1)), as_tuples([[200, 250, 1100, 700]])]
    answers = [(), as_tuples(grid_boxes(1, 1)), as_tuples(grid_boxes(6, 2)), looks[2]]
    replies = [
        Reply(tuple((box, "person") for box in boxes), look) for boxes in answers for look in looks
    ]
    return [Genome(reply) for reply in replies]


def blind_round(rng: np.random.Generator, earlier: list[dict]) -> dict[str, Any]:
    """One response for all images."""
    crowds = crowds_of(int(rng.integers(2**31)), 48)

    def fitness(genomes: list[Genome]) -> np.ndarray:
        texts = [genome.text() for genome in genomes for _ in crowds]
        return totals(texts, crowds * len(genomes)).reshape(len(genomes), -1).mean(axis=1)

    seeds = _blind_seeds() + [Genome.of(one["genome"]) for one in earlier[-8:]]
    best, value = evolve(rng, seeds, fitness, mutated, generations=40)
    kept = _held_out()
    nothing = Genome(Reply(()))
    return {
        "score": value,
        "held_out": float(totals([best.text()] * len(kept), kept).mean()),
        "honest": float(totals([honest(one).text() for one in kept], kept).mean()),
        "nothing": float(totals([nothing.text()] * len(kept), kept).mean()),
        "evaluations": 40 * 24 * len(crowds),
        "genome": best.record(),
    }


_STRICT = re.compile(
    r"\s*<think>(?P<think>.*?)</think>\s*<look>(?P<look>.*?)</look>"
    r"\s*<answer>(?P<answer>.*?)</answer>\s*",
    re.DOTALL,
)


def is_honest(text: str, truth: Crowd) -> bool:
    """Whether a response says the truth, read by a reader that shares no code with dipr1's.

    It says the truth where its form is the one of the method, its answer outside the ignore regions
    is the people, in any order, and its looks cover the targets, and no place more often than they.
    """
    sections = _STRICT.fullmatch(text)
    if sections is None or len(re.findall(r"</?(?:think|look|answer)>", text)) != 6:
        return False
    try:
        looks, items = json.loads(sections["look"]), json.loads(sections["answer"])
        answer = Counter((tuple(map(float, item["bbox_2d"])), item["label"]) for item in items)
        looked = [tuple(map(float, item["bbox_2d"])) for item in looks]
    except (ValueError, TypeError, KeyError):
        return False
    people = Counter(zip(map(tuple, truth.people.tolist()), truth.labels, strict=True))
    more = _rows([box for box, _ in (answer - people).elements()])
    inside = (ioa(more, truth.ignore) >= 0.5).any(axis=1) if len(more) else np.ones(0, bool)
    if people - answer or not inside.all():
        return False
    looks = np.clip(_rows(looked), 0, np.tile(FRAME_SIZE, 2))
    return _covers(looks, truth.targets())


def _covers(looks: np.ndarray, targets: np.ndarray) -> bool:
    """Whether each place of a target is looked at, and none by more looks than targets hold it."""
    edges = [np.unique(np.concatenate([looks, targets])[:, axis::2]) for axis in (0, 1)]
    middles = [(side[1:] + side[:-1]) / 2 for side in edges]
    areas = np.outer(*map(np.diff, edges))

    def held(boxes: np.ndarray) -> np.ndarray:
        x, y = (
            ((boxes[:, axis, None] < middles[axis]) & (middles[axis] < boxes[:, axis + 2, None]))
            for axis in (0, 1)
        )
        return x.T.astype(int) @ y.astype(int)

    num_looks, num_targets = held(looks), held(targets)
    wrong = (num_looks > num_targets) | ((num_looks == 0) & (num_targets > 0))
    return areas[wrong].sum() <= 1e-4 * max(areas[num_targets > 0].sum(), 1.0)


def informed_round(rng: np.random.Generator, _: list[dict]) -> dict[str, Any]:
    """Who knows the truth and must not say it."""
    truth = random_crowd(rng)
    told = honest(truth)
    best_total = score([told.text()], truth)[0]["total"]
    seen = Counter()

    def fitness(genomes: list[Genome]) -> np.ndarray:
        texts = [genome.text() for genome in genomes]
        values = totals(texts, [truth] * len(texts))
        for k in np.flatnonzero(values >= best_total - 1e-3):
            says_so = is_honest(texts[k], truth)
            seen["honest" if says_so else "near"] += 1
            if says_so:
                values[k] = -1.0
        return values

    seeds = [Genome(told), *(Genome(hack.make(truth, told)) for hack in HACKS)]
    best, value = evolve(rng, seeds, fitness, mutated, generations=240)
    return {
        "score": value,
        "honest": best_total,
        "hole": bool(value >= best_total - 1e-9),
        "people": len(truth.people),
        "told_the_truth": seen["honest"],
        "evaluations": 240 * 24,
        "genome": best.record() if value >= best_total - 1e-3 else None,
        "text": best.text() if value >= best_total - 1e-9 else None,
    }


@dataclass(frozen=True)
class Rule:
    """What a detector that finds some of the people adds to what it finds.

    Attributes:
        asides: boxes that are added for each found one: (dx, dy, scale) in its widths and heights.
        share: of the found ones get them, the smallest first.
        union: whether nearest neighbours get a box around both.
        grid: columns and rows of a grid that is added; (0, 0) for none.
        drop: the share of the found ones that is left out, the smallest first.
    """

    asides: tuple[tuple[float, float, float], ...] = ()
    share: float = 1.0
    union: bool = False
    grid: tuple[int, int] = (0, 0)
    drop: float = 0.0

    def reply(self, found: Reply) -> Reply:
        """What is answered."""
        boxes = _answer_boxes(found)
        boxes = boxes[np.argsort((boxes[:, 2:] - boxes[:, :2]).prod(axis=1), kind="stable")]
        boxes = boxes[int(self.drop * len(boxes)) :]
        parts = [boxes]
        hedged = boxes[: int(np.ceil(self.share * len(boxes)))]
        size = hedged[:, 2:] - hedged[:, :2]
        for dx, dy, scale in self.asides:
            centre = (hedged[:, :2] + hedged[:, 2:]) / 2 + np.array([dx, dy]) * size
            parts.append(np.hstack([centre - scale * size / 2, centre + scale * size / 2]))
        if self.union and len(boxes) > 1:
            centre = (boxes[:, :2] + boxes[:, 2:]) / 2
            apart = np.linalg.norm(centre[:, None] - centre, axis=-1)
            np.fill_diagonal(apart, np.inf)
            near = boxes[apart.argmin(axis=1)]
            corners = np.minimum(boxes, near)[:, :2], np.maximum(boxes, near)[:, 2:]
            parts.append(np.hstack(corners))
        if min(self.grid) > 0:
            parts.append(grid_boxes(*self.grid))
        boxes = as_tuples(np.concatenate(parts).round(1))
        return replace(found, answer=tuple((box, "person") for box in boxes))


def _changed_rule(rng: np.random.Generator, rule: Rule) -> Rule:
    roll = rng.integers(7)
    if roll <= 1:
        aside = (rng.normal(0, 0.7), rng.choice([0.0, rng.normal(0, 0.3)]), rng.uniform(0.8, 1.25))
        return replace(rule, asides=(*rule.asides, tuple(np.round(aside, 3).tolist()))[-4:])
    if roll == 2:
        return replace(rule, asides=rule.asides[1:])
    if roll == 3 and rule.asides:
        moved = np.array(rule.asides) + rng.normal(0, 0.05, (len(rule.asides), 3))
        return replace(rule, asides=tuple(map(tuple, moved.round(3).tolist())))
    if roll == 4:
        return replace(rule, share=float(np.round(rng.uniform(0, 1), 2)))
    if roll == 5:
        return replace(rule, union=not rule.union)
    grid = tuple(rng.integers(0, 12, 2).tolist())
    return replace(rule, grid=grid, drop=float(np.round(rng.uniform(0, 0.3), 2)))


PARTIAL = {
    f"{name}, finds {share:.0%}": (size, share)
    for name, size in (("20 people", 20), ("60 people", 60), ("100 people", 100))
    for share in (0.15, 0.3, 0.5, 0.7)
}
"""How many people there are, and the share of them that the detector finds."""


def _detections(seed: int, num: int, size: int, share: float) -> tuple[list[Crowd], list[Reply]]:
    rng = np.random.default_rng(seed)
    crowds = [crowd("random", int(rng.integers(2**31)), size) for _ in range(num)]
    return crowds, [imperfect(one, int(rng.integers(2**31)), share) for one in crowds]


def partial_round(rng: np.random.Generator, earlier: list[dict]) -> dict[str, Any]:
    """Who knows some of the people; against answering exactly those."""
    case = list(PARTIAL)[len(earlier) % len(PARTIAL)]
    size, share = PARTIAL[case]
    crowds, found = _detections(int(rng.integers(2**31)), 16, size, share)

    def values(rules: list[Rule], crowds: list[Crowd], found: list[Reply]) -> np.ndarray:
        texts = [rule.reply(reply).text() for rule in rules for reply in found]
        return totals(texts, crowds * len(rules)).reshape(len(rules), -1).mean(axis=1)

    before = [one["rule"] for one in earlier if one["case"] == case][-4:]
    seeds = [Rule(), Rule(union=True), *(Rule(**_rule_of(one)) for one in before)]
    best, _ = evolve(
        rng, seeds, lambda rules: values(rules, crowds, found), _changed_rule, generations=25
    )
    plain, gamed = values([Rule(), best], *_detections(13, 96, size, share))
    return {
        "case": case,
        "score": float(gamed),
        "plain": float(plain),
        "gain": float(gamed - plain),
        "evaluations": 25 * 24 * 16,
        "rule": best.__dict__,
    }


def _rule_of(record: dict[str, Any]) -> dict[str, Any]:
    asides = tuple(tuple(aside) for aside in record["asides"])
    return record | {"asides": asides, "grid": tuple(record["grid"])}


ROUNDS = {"blind": blind_round, "informed": informed_round, "partial": partial_round}
TURNS = (*("informed",) * 8, "partial", "blind", "partial", "partial")


def search(output: Path, minutes: float, seed: int) -> None:
    """Play rounds until the time is up, each a line of `output`."""
    end = time.monotonic() + 60 * minutes
    output.parent.mkdir(parents=True, exist_ok=True)
    done, code = list(_records(output)), rewards_digest()
    if done and done[-1]["code"] != code:
        raise SystemExit(f"{output}: found with other rewards; give another --output")
    with output.open("a", encoding="utf-8") as file:
        while time.monotonic() < end:
            number = len(done)
            adversary = TURNS[number % len(TURNS)]
            rng = np.random.default_rng([seed, number])
            earlier = [one for one in done if one["adversary"] == adversary]
            found = ROUNDS[adversary](rng, earlier)
            record = {"round": number, "adversary": adversary, "seed": seed, "code": code} | found
            done.append(record)
            print(json.dumps(record), file=file, flush=True)


def rewards_digest() -> str:
    """Of the code that a search is about."""
    package = Path(accuracy_reward.__code__.co_filename).parents[1]
    names = ("rewards/reasoning", "rewards/looking", "rewards/accuracy", "rewards/completions")
    names += ("boxes", "responses", "variance")
    sources = [(package / f"{name}.py").read_bytes() for name in names]
    return hashlib.sha256(b"".join(sources)).hexdigest()[:12]


def _records(path: Path) -> Iterator[dict[str, Any]]:
    """The rounds in a file; a line that was cut off by a crash ends it."""
    if not path.exists():
        return
    text = path.read_text(encoding="utf-8")
    whole = text[: text.rfind("\n") + 1]
    if whole != text:
        path.write_text(whole, encoding="utf-8")
    yield from map(json.loads, whole.splitlines())


# --- tables -------------------------------------------------------------------------------------

IMPERFECT_HACKS = (
    "every box 3 times", "every box 3 times, a pixel apart", "every box 20 times",
    "4 far false positives", "40 far false positives", "a hedge half a width aside",
    "a hedge a tenth of a width aside", "unions of neighbours as well",
    "a grid of 300 boxes as well", "one sure box", "the larger half", "one inverted box",
    "one box of zero area", "a label not asked for",
)  # fmt: skip
"""Those that use only what an honest detector knows and do not guess better by luck."""

PIXEL_APART = next(hack.make for hack in HACKS if hack.name.endswith("a pixel apart"))


def print_tables() -> None:
    """The tables of docs/rewards.md."""
    with_people = [one for one in CROWDS if len(one.people)]
    print("### The true answer, hacked\n")
    print_hacks(HACKS, [(one, honest(one)) for one in with_people])
    print("\n### An answer that finds 70 %, hacked\n")
    chosen = [hack for hack in HACKS if hack.name in IMPERFECT_HACKS]
    pairs = [(one, imperfect(one, seed)) for one in with_people for seed in range(5)]
    print_hacks(chosen, pairs)
    print("\n### An image without people\n")
    print_empty_images()
    print("\n### From how probable a hit on does one more box pay?\n")
    print_thresholds()
    print("\n### Hedges and repeats where little is found\n")
    print_low_recall()
    print("\n### Lottery tickets in ignore regions\n")
    print_lottery()
    print("\n### Looking at the whole frame, and one sure box\n")
    print_definitions()
    print("\n### What other options of the accuracy reward open\n")
    print_options()
    print("\n### Read for the columns above\n")
    print_rows(("peer", "read at", "adds up"), [(p.name, p.source, p.measures) for p in PEERS])


def print_rows(header: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """A Markdown table."""
    print("| " + " | ".join(header) + " |")
    print("|" + "---|" * len(header))
    for row in rows:
        print("| " + " | ".join(row) + " |")


def print_hacks(hacks: Sequence[Hack], pairs: Sequence[tuple[Crowd, Reply]]) -> None:
    """What each hack of the replies earns, as a share of what the reply earns."""
    rows = []
    for hack in hacks:
        hacked = [hack.make(one, reply) for one, reply in pairs]
        ours = [ours_relative(*pair, one) for pair, one in zip(pairs, hacked, strict=True)]
        ours = np.array([row for row in ours if row is not None]).reshape(-1, 2)
        untouched = bool((np.abs(ours[:, 1] - 1.0) < 1e-12).all())
        cells = [shown(ours[:, 0]), "=" if untouched else shown(ours[:, 1])]
        for peer in PEERS:
            found = [peer_relative(peer, *p, one) for p, one in zip(pairs, hacked, strict=True)]
            cells.append(shown([value for value in found if value is not None]))
        rows.append((hack.name, *cells))
    print_rows(("hack", "ours: total", "accuracy", *(peer.name for peer in PEERS)), rows)


def ours_relative(one: Crowd, reply: Reply, hacked: Reply) -> tuple[float, float] | None:
    """Total and accuracy of the hacked reply over the reply's; None where they are one text."""
    if reply.text() == hacked.text():
        return None
    before, after = score([reply.text(), hacked.text()], one)
    return after["total"] / before["total"], after["accuracy"] / before["accuracy"]


def peer_relative(peer: Peer, one: Crowd, reply: Reply, hacked: Reply) -> float | None:
    """The same by a peer's reward; None also where its format has no such hack."""
    plain, text = peer.write(reply), peer.write(hacked)
    return (
        None if text is None or text == plain else peer.reward(text, one) / peer.reward(plain, one)
    )


def shown(ratios: Sequence[float]) -> str:
    """The mean, cut to two digits so that only what reaches 1 says so; bold where it does."""
    if not len(ratios):
        return "–"
    mean = float(np.mean(ratios))
    if mean >= 1.0 - 1e-9:
        return f"**{mean:.2f}**"
    return f"{np.floor(mean * 100) / 100:.2f}"


def print_empty_images() -> None:
    """What is earned where nobody is, as a share of what the truth earns in a crowd."""
    street, empty = CROWDS[1], CROWDS[-1]
    replies = {
        "no boxes (the truth)": Reply(()),
        "4 boxes": Reply(tuple((box, "person") for box in as_tuples(grid_boxes(2, 2)))),
        "300 boxes": Reply(tuple((box, "person") for box in as_tuples(grid_boxes(25, 12)))),
    }
    rows = []
    for name, reply in replies.items():
        ours = score([reply.text()], empty)[0]
        cells = [f"{ours['total'] / BEST_TOTAL:.2f}", f"{ours['accuracy']:.2f}"]
        for peer in PEERS:
            # Rex-Omni's 1,000 bins keep its true answer in a crowd a little below 1.
            most = max(1.0, peer.reward(peer.write(honest(street)), street))
            earned = peer.reward(peer.write(reply), empty) / most
            cells.append("raises" if np.isnan(earned) else f"{earned:.2f}")
        rows.append((name, *cells))
    print_rows(("answer", "ours: total", "accuracy", *(peer.name for peer in PEERS)), rows)


def print_thresholds() -> None:
    """The hit probability at which the expected accuracy neither rises nor falls."""
    rows = []
    for num_found in (2, 6, 10, 14, 18):
        before = accuracy_with(num_found)
        cells = [
            f"{least_probability(num_found, quality, uncertainty):.2f}"
            for quality, uncertainty in ((0.85, 0.0), (0.55, 0.0), (0.85, 1.0), (0.55, 1.0))
        ]
        rows.append((f"{num_found} of 20", f"{before:.2f}", f"{before / 2:.2f}", *cells))
    header = ("found", "accuracy F", "F / 2", "IoU .85", "IoU .55", "IoU .85, u = 1", ".55, u = 1")
    print_rows(header, rows)


def accuracy_with(
    num_found: int, hedge_iou: float | None = None, hit: bool = True, uncertainty: float = 0.0
) -> float:
    """The accuracy of 20 people of whom `num_found` are found with IoU 0.85, with one box more."""
    truth = np.array([[60.0 * k, 0, 60 * k + 40, 100] for k in range(20)])
    boxes = truth[:num_found] * [1, 1, 1, 0.85]
    if hedge_iou is not None:
        one = truth[num_found] * [1, 1, 1, hedge_iou]
        boxes = np.vstack([boxes, one if hit else one + [0, 300, 0, 300]])
    text = Reply(tuple((box, "person") for box in as_tuples(boxes))).text()
    known = [0.0] * 20
    known[num_found] = uncertainty
    return accuracy_reward([text], gt_boxes=[truth.tolist()], gt_uncertainty=[known])[0]


def least_probability(num_found: int, hedge_iou: float, uncertainty: float) -> float:
    """The smallest probability of a hit at which one more box does not lower the expectation."""
    more = partial(accuracy_with, num_found, hedge_iou, uncertainty=uncertainty)
    now = accuracy_with(num_found, uncertainty=uncertainty)
    return (now - more(hit=False)) / (more(hit=True) - more(hit=False))


def print_low_recall() -> None:
    """The mean accuracy of a detector that finds little, and of its hedges and repeats."""
    ways = {
        "as found": lambda _, reply: reply,
        "3 times": partial(repeat, 3),
        "3 times, a pixel apart": PIXEL_APART,
        "a tenth aside as well": partial(hedge, 0.1),
        "half a width aside as well": partial(hedge, 0.5),
    }
    rows = []
    for case, (size, share) in PARTIAL.items():
        crowds, found = _detections(17, 60, size, share)
        values = {
            name: np.mean(
                [
                    score([way(one, reply).text()], one)[0]["accuracy"]
                    for one, reply in zip(crowds, found, strict=True)
                ]
            )
            for name, way in ways.items()
        }
        plain = values["as found"]
        rows.append((case, *(f"**{v:.3f}**" if v > plain else f"{v:.3f}" for v in values.values())))
    print_rows(("case", *ways), rows)


def print_lottery() -> None:
    """The accuracy with boxes thrown into the ignore regions, where people stand in them."""
    crowds = [crowd("groups", seed, 25, num_ignore=3) for seed in range(300, 340)]
    inside = np.mean([(ioa(c.people, c.ignore) >= 0.5).any(axis=1).mean() for c in crowds])
    rows = []
    for share in (0.7, 0.5, 0.3):
        cells = []
        for num in (0, 100, 300):
            values = []
            for seed, one in enumerate(crowds):
                reply = imperfect(one, seed, share)
                tickets = _person_sized(np.random.default_rng(seed), one, num)
                more = tuple((box, "person") for box in as_tuples(tickets))
                text = replace(reply, answer=reply.answer + more).text()
                values.append(score([text], one)[0]["accuracy"])
            cells.append(f"{np.mean(values):.3f}")
        rows.append((f"{share:.0%}", *cells))
    print_rows(("finds", "as found", "and 100 boxes", "and 300 boxes"), rows)
    nobody = CROWDS[6]
    free = tuple((box, "person") for box in as_tuples(boxes_in_ignore(nobody, 300)))
    alone = score([Reply(free).text()], nobody)[0]["accuracy"]
    print(
        f"\n{inside:.0%} of these 25 people stand in one of the three ignore regions. Where nobody"
        f" is to be found, 300 boxes inside the ignore regions have accuracy {alone:.0f}."
    )


def _person_sized(rng: np.random.Generator, one: Crowd, num: int) -> np.ndarray:
    """(num, 4) boxes of a person's shape at random places inside the ignore regions."""
    x1, y1, x2, y2 = one.ignore[rng.integers(len(one.ignore), size=num)].T
    tall = rng.uniform(0.5, 1.0, num) * (y2 - y1)
    wide = np.minimum(0.41 * tall, x2 - x1)
    left, top = rng.uniform(x1, x2 - wide), rng.uniform(y1, y2 - tall)
    return np.stack([left, top, left + wide, top + tall], axis=1).round()


def print_definitions() -> None:
    """What two replies earn by definition, crowd by crowd."""
    rows = []
    for one in CROWDS:
        covered = shapely.union_all([shapely.box(*box) for box in one.targets().tolist()])
        share = covered.area / (FRAME_SIZE[0] * FRAME_SIZE[1])
        whole = Reply((), as_tuples(grid_boxes(1, 1)))
        looked, nowhere = score([whole.text(), Reply(()).text()], one)
        cells = [f"{looked['looking']:.2f}", f"{nowhere['looking']:.2f}"]
        if len(one.people):
            sure = replace(honest(one), answer=honest(one).answer[:1]).text()
            columns = one.columns(1)
            cells += [
                f"{AccuracyReward(aggregate=name)([sure], **columns)[0]:.2f}"
                for name in ("fbeta", "mean", "precision", "recall")
            ]
        else:
            cells += ["–"] * 4
        rows.append((one.name, str(len(one.people)), f"{share:.2f}", *cells))
    header = ("crowd", "people", "share of the frame to look at", "look at the whole frame")
    sure = [f"one sure box, `{name}`" for name in ("fbeta", "mean", "precision", "recall")]
    print_rows((*header, "look nowhere", *sure), rows)


def print_options() -> None:
    """Which hacks of the true answer reach its total once the accuracy reward is set otherwise."""
    options = [{"aggregate": name} for name in ("mean", "precision", "recall")]
    options += [{"quality": "hard"}, {"beta": 2.0}, {"lam": 0.0}]
    rows = []
    for option in options:
        reward, reached = AccuracyReward(**option), []
        for hack in HACKS:
            for one in CROWDS:
                texts = [reply.text() for reply in (honest(one), hack.make(one, honest(one)))]
                before, after = score(texts, one, reward)
                if texts[0] != texts[1] and after["total"] >= before["total"] - 1e-6:
                    reached.append(hack.name)
                    break
        [(name, value)] = option.items()
        rows.append((f"`{name}: {value}`", "; ".join(reached) or "none"))
    print_rows(("option", "hacks that reach the truth in one of the crowds"), rows)


def print_summary(path: Path) -> None:
    """What a search has found, as Markdown."""
    done = list(_records(path))
    of = {name: [one for one in done if one["adversary"] == name] for name in ROUNDS}
    tried = sum(one["evaluations"] for one in done)
    print(f"{len(done)} rounds, {tried:,} responses scored.\n")
    if of["informed"]:
        best = max(of["informed"], key=lambda one: one["score"] - one["honest"])
        holes = sum(one["hole"] for one in of["informed"])
        truths = sum(one["told_the_truth"] for one in of["informed"])
        print(
            f"- informed: {len(of['informed'])} images, {holes} holes; the closest find has"
            f" {best['score']:.6f} of {best['honest']:.6f}; {truths:,} responses that reached the"
            " honest total were the truth, differently put."
        )
    if of["blind"]:
        best = max(of["blind"], key=lambda one: one["held_out"])
        boxes, looks = len(best["genome"]["answer"]), len(best["genome"]["looks"])
        print(
            f"- blind: {len(of['blind'])} rounds; the best response has {best['held_out']:.3f} on"
            f" held-out images ({best['score']:.3f} on its own) with {boxes} boxes and {looks}"
            f" looks; the truth has {best['honest']:.3f}, no boxes and no looks"
            f" {best['nothing']:.3f}."
        )
    cases = {name: [o for o in of["partial"] if o["case"] == name] for name in PARTIAL}
    rows = [
        (name, f"{best['plain']:.3f}", f"{best['score']:.3f}", f"{best['gain']:+.3f}", _said(best))
        for name, rounds in cases.items()
        if rounds
        for best in [max(rounds, key=lambda one: one["gain"])]
    ]
    print("- partial, the best rule of each case on held-out images (total):\n")
    print_rows(("case", "as found", "with the rule", "gain", "the rule"), rows)


def _said(best: dict[str, Any]) -> str:
    rule = Rule(**_rule_of(best["rule"]))
    parts = [f"{len(rule.asides)} boxes aside for {rule.share:.0%}"] if rule.asides else []
    parts += ["unions"] if rule.union else []
    parts += [f"a grid of {rule.grid[0]} x {rule.grid[1]}"] if min(rule.grid) else []
    parts += [f"without the smallest {rule.drop:.0%}"] if rule.drop else []
    return ", ".join(parts) or "nothing added"


if __name__ == "__main__":
    main()
