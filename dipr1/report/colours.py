"""The arms' colours, the same on the page, in the figures and on the data cards."""

from __future__ import annotations

LIGHT = (
    "#6b7280",
    "#1d63d8",
    "#c2630a",
    "#0a8754",
    "#8b3fc7",
    "#c62a3f",
    "#0b7f97",
    "#c0308b",
    "#7a5a1e",
)
# the same on a dark page
DARK = (
    "#a4abb6",
    "#6ba6ff",
    "#f6a04d",
    "#3fd08f",
    "#c792f5",
    "#ff7d8c",
    "#3fc6de",
    "#f580c6",
    "#d3ad62",
)


def colour_of(index: int) -> int:
    """Which colour the arm at a place has: they begin again after the last one.

    >>> colour_of(10)
    1
    """
    return index % len(LIGHT)
