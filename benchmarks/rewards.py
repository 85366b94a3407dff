"""Time of the three rewards for one completion, parsing included, beside the peers' rewards.

    python benchmarks/rewards.py [--sizes 20 100 300] [--looks 4 27 300]

One thread, N predictions and N people who stand in a crowd, every completion a new text. The
peers' rewards are those of benchmarks/peers.py: their rules, restated, so that what is compared is
the rule and its way of computing, not the original's every line.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import itertools
import platform
import time
from collections.abc import Callable

import numpy as np
import scipy
from hacks import FRAME_SIZE, Reply, as_tuples, crowd, imperfect
from peers import PEERS
from scipy.optimize import linear_sum_assignment

from dipr1.boxes import clip
from dipr1.rewards import accuracy_reward, looking_reward, reasoning_reward

NUM_TEXTS, ROUNDS = 24, 15
# Completions of a call. A training hands over 16 prompts of 8 responses each, unless it is told
# otherwise: 5 times 24 are about as many.
CALLS = (1, NUM_TEXTS, 5 * NUM_TEXTS)


def best(
    works: dict[str, Callable[[], object]], num_texts: dict[str, int] | None = None
) -> dict[str, float]:
    """Least milliseconds of CPU time per text; taken in turn, so that drifts meet all alike.

    Args:
        works: what is measured.
        num_texts: how many texts a work reads, where they are not `NUM_TEXTS`.
    """
    times: dict[str, list[float]] = {name: [] for name in works}
    for _ in range(ROUNDS):
        for name, work in works.items():
            work()  # the one before has left its own in the caches
            begin = time.process_time()
            work()
            times[name].append(time.process_time() - begin)
    counts = dict.fromkeys(works, NUM_TEXTS) | (num_texts or {})
    return {name: min(taken) / counts[name] * 1e3 for name, taken in times.items()}


# One count for all, so that no text comes twice.
_ROUND = itertools.count()


def fresh(texts: list[str], round_number: int) -> list[str]:
    """The same responses as texts never seen before: what is remembered does not count."""
    return [text.replace("<think>", f"<think>{round_number} ") for text in texts]


def of_ours(texts: list[str], columns: list[dict], in_a_call: int) -> Callable[[], None]:
    """The three rewards of all texts, so many in a call; several times over where it holds more."""
    copies = max(1, in_a_call // len(texts))
    rows = {name: [row[name][0] for row in columns] * copies for name in columns[0]}
    num = len(texts) * copies
    parts = [slice(first, first + in_a_call) for first in range(0, num, in_a_call)]
    given = [{name: column[part] for name, column in rows.items()} for part in parts]

    def work() -> None:
        new = [text for _ in range(copies) for text in fresh(texts, next(_ROUND))]
        for part, columns_of_call in zip(parts, given, strict=True):
            for reward in (reasoning_reward, looking_reward, accuracy_reward):
                reward(new[part], **columns_of_call)

    return work


def milliseconds(num_people: int) -> dict[str, float]:
    """CPU time per completion by what takes it."""
    crowds = [crowd("bench", seed, num_people, num_ignore=2) for seed in range(NUM_TEXTS)]
    replies = [imperfect(scene, seed=k, share=1.0) for k, scene in enumerate(crowds)]
    texts = [reply.text() for reply in replies]
    columns = [scene.columns(1) for scene in crowds]
    names = {ours(num): num for num in CALLS}
    works: dict[str, Callable[[], object]] = {
        name: of_ours(texts, columns, num) for name, num in names.items()
    }
    for peer in PEERS:
        pairs = [(peer.write(reply), scene) for reply, scene in zip(replies, crowds, strict=True)]
        works[peer.name] = lambda p=peer, q=pairs: [p.reward(t, s) for t, s in q]
    costs = [np.random.default_rng(k).random((num_people, num_people)) for k in range(NUM_TEXTS)]
    works["linear_sum_assignment"] = lambda: [linear_sum_assignment(c) for c in costs]
    return best(works, {name: max(num, NUM_TEXTS) for name, num in names.items()})


def ours(in_a_call: int) -> str:
    """The name of our row."""
    return f"three rewards, {in_a_call} in a call"


def milliseconds_of_looks(num_looks: int) -> float:
    """CPU time of the looking reward per completion of so many looks, which are all read anew."""
    rng = np.random.default_rng(0)
    crowds = [crowd("bench", seed, 20) for seed in range(NUM_TEXTS)]
    texts, columns = [], [scene.columns(1) for scene in crowds]
    for scene in crowds:
        around = scene.regions[rng.integers(len(scene.regions), size=num_looks)]
        looks = clip(around + rng.normal(0.0, 20.0, around.shape), *FRAME_SIZE).round()
        texts.append(Reply((), as_tuples(looks)).text())

    def work() -> None:
        for text, row in zip(fresh(texts, next(_ROUND)), columns, strict=True):
            looking_reward([text], **row)

    return best({"looking": work})["looking"]


def main() -> None:
    """Print one row per reward, one column per size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--sizes", nargs="+", type=int, default=[20, 100, 300], help="of the crowd")
    parser.add_argument("--looks", nargs="*", type=int, default=[4, 27, 300], help="of a response")
    args = parser.parse_args()
    sizes = args.sizes
    versions = (
        f"Python {platform.python_version()}, numpy {np.__version__}, scipy {scipy.__version__}"
    )
    print(f"{os.cpu_count()} cores, one thread; {versions}; milliseconds of CPU per completion\n")
    times = [milliseconds(size) for size in sizes]
    print("| | " + " | ".join(f"N = {size}" for size in sizes) + " |")
    print("|---" * (len(sizes) + 1) + "|")
    for name in times[0]:
        print(f"| {name} | " + " | ".join(f"{column[name]:.3g}" for column in times) + " |")
    for name in map(ours, CALLS):
        ratios = [column[name] / column["linear_sum_assignment"] for column in times]
        print(f"| {name} / assignment | " + " | ".join(f"{ratio:.2f}" for ratio in ratios) + " |")
    for num in args.looks:
        print(f"\nlooking reward, {num} looks: {milliseconds_of_looks(num):.3g}")


if __name__ == "__main__":
    main()
