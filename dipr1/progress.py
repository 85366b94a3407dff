"""Progress of a long loop: a bar on a terminal, now and then a plain line in a log."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LOG_INTERVAL_SECONDS = 10.0


def progress(iterable: Iterable[T], total: int | None = None, desc: str = "") -> Iterator[T]:
    """Yield from `iterable`, and report on standard error how far it is.

    Args:
        iterable: what to loop over.
        total: number of items; taken from ``len(iterable)`` where it has one.
        desc: what is being done, e.g. ``"sampling"``.

    >>> list(progress([1, 2]))
    [1, 2]
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)  # type: ignore[arg-type]
    if sys.stderr.isatty():
        from tqdm import tqdm

        # what is done in a moment needs no bar
        yield from tqdm(iterable, total=total, desc=desc, delay=1.0)
        return
    last = time.monotonic()
    for done, item in enumerate(iterable, start=1):
        yield item
        now = time.monotonic()
        if now - last >= LOG_INTERVAL_SECONDS:
            say(f"{desc}: {done} of {total if total is not None else '?'}")
            last = now


def say(line: str) -> None:
    """Print one line to standard error at once, where logs are kept."""
    print(final_names(line), file=sys.stderr, flush=True)


_FINAL: dict[str, str] = {}  # unique name of something that is being made -> the name it will have


@contextlib.contextmanager
def becoming(name: str, final: str) -> Iterator[None]:
    """In the body, what is said of the temporary `name` names what will be there at its end."""
    _FINAL[name] = final
    try:
        yield
    finally:
        del _FINAL[name]


def final_names(text: str) -> str:
    """A message with the names that the user gave, in place of temporary ones.

    >>> with becoming(".out.1a2b3c4d", "out"):
    ...     final_names("data/.out.1a2b3c4d/a.json: not JSON")
    'data/out/a.json: not JSON'
    """
    for name, final in _FINAL.items():
        text = text.replace(name, final)
    return text
