"""The arms' colours, the same on the page, in the figures and on the data cards."""

from __future__ import annotations

# on a light page, and on a dark one
LIGHT, DARK = zip(
    ("#6b7280", "#a4abb6"),
    ("#1d63d8", "#6ba6ff"),
    ("#c2630a", "#f6a04d"),
    ("#0a8754", "#3fd08f"),
    ("#8b3fc7", "#c792f5"),
    ("#c62a3f", "#ff7d8c"),
    ("#0b7f97", "#3fc6de"),
    ("#c0308b", "#f580c6"),
    ("#7a5a1e", "#d3ad62"),
    strict=True,
)


def colour_of(index: int) -> int:
    """Which colour the arm at a place has: they begin again after the last one.

    >>> colour_of(10)
    1
    """
    return index % len(LIGHT)
