"""Random boxes of every kind, and what exact references are compared by."""

from __future__ import annotations

from random import Random

from hypothesis import strategies as st

TOLERANCE = 1e-9
NAN, INF = float("nan"), float("inf")
UNUSABLE = [
    [NAN, 0, 4, 4],
    [NAN] * 4,
    [0, 0, INF, 4],
    [-INF, -INF, INF, INF],
    [4, 0, 0, 4],
    [0, 4, 4, 0],
    [4, 4, 0, 0],
    [2, 2, 2, 4],
    [2, 2, 2, 2],
    [-1e300, -1e300, 1e300, 1e300],
]
# Halves and thirds of one another, at the same place or touching: IoUs of exactly 1/2, 1/3, 1/4.
TIES = [[0, 0, 4, 4], [0, 0, 4, 2], [0, 2, 4, 4], [2, 0, 6, 4], [4, 0, 8, 4], [0, 0, 2, 2]]
SIDE = st.integers(0, 14)
BOX = st.tuples(SIDE, SIDE, st.integers(1, 8), st.integers(1, 8)).map(
    lambda b: (b[0], b[1], b[0] + b[2], b[1] + b[3])
)
# Sixteenths, so that the reference's fractions are the same numbers.
LEVEL = st.integers(0, 16).map(lambda level: level / 16)


def any_boxes(random: Random, num: int) -> list[list[float]]:
    """Small integers in any order, so that some are inverted, degenerate or outside the frame."""
    return [[random.randint(-3, 14) for _ in range(4)] for _ in range(num)]


def upright_boxes(random: Random, num: int) -> list[list[float]]:
    corners = [(random.randint(-3, 14), random.randint(-3, 14)) for _ in range(num)]
    return [[x, y, x + random.randint(1, 9), y + random.randint(1, 9)] for x, y in corners]


def clustered_boxes(random: Random, num: int) -> list[list[float]]:
    """Duplicates, and near-duplicates of one to three boxes."""
    centres = upright_boxes(random, random.randint(1, 3))
    return [
        [side + random.choice((0, 0, 0, -1, 1)) for side in random.choice(centres)]
        for _ in range(num)
    ]


def tied_boxes(random: Random, num: int) -> list[list[float]]:
    return [list(random.choice(TIES)) for _ in range(num)]


def decimal_boxes(random: Random, num: int) -> list[list[float]]:
    corners = [(random.uniform(-9, 40), random.uniform(-9, 40)) for _ in range(num)]
    return [[x, y, x + random.uniform(0, 30), y + random.uniform(0, 30)] for x, y in corners]


def sixteenths(random: Random, num: int) -> list[list[float]]:
    """Decimals whose fractions stay short: for what is slow to work out exactly."""
    return [[round(side * 16) / 16 for side in box] for box in decimal_boxes(random, num)]


INTEGER_KINDS = [any_boxes, upright_boxes, clustered_boxes, tied_boxes]
KINDS = [*INTEGER_KINDS, decimal_boxes]


def some_boxes(random: Random, most: int, kinds=KINDS, unusable=0.15) -> list[list[float]]:
    boxes = random.choice(kinds)(random, random.randint(0, most))
    return [list(random.choice(UNUSABLE)) if random.random() < unusable else b for b in boxes]


def jittered(random: Random, box, amount) -> list[float]:
    return [side + random.choice(amount) for side in box]


def level(random: Random) -> float:
    """Sixteenths, so that ties and the threshold itself come up."""
    return random.randint(0, 16) / 16


def cases(seed: str, num: int):
    """A generator of random numbers for each case, so that one case can be run alone."""
    return [Random(f"{seed} {case}") for case in range(num)]


def nearest(value: float, expected) -> float:
    return min(abs(value - one) for one in expected)
