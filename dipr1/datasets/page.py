"""The parts of ``docs/datasets.md`` that follow from the formats' modules and the known sources.

``python -m dipr1.config`` writes them between their marks in the page.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module

from dipr1.datasets import formats
from dipr1.datasets.sources import SOURCES


def filled(page: str) -> str:
    """The page with its parts written anew, each between ``<!-- name -->`` and ``<!-- end -->``."""
    for name, part in (("formats", _table()), ("records", _sections()), ("sources", _sources())):
        marks = rf"(<!-- {name} -->\n).*?(<!-- end -->)"
        page = re.sub(marks, lambda match, part=part: match[1] + part + match[2], page, flags=re.S)
    return page


def _table() -> str:
    """One row per format: what it expects, and what can be asked for."""
    rows = []
    for name in formats.NAMES:
        labels = getattr(import_module(f"{formats.__name__}.{name}"), "LABELS", ["the files' own"])
        texts = formats.summary(name), ", ".join(labels), ", ".join(formats.boxes(name))
        rows.append((f"[`{name}`](#{name})", *texts))
    return _markdown(("format", "`annotations`", "labels", "boxes"), rows)


def _sections() -> str:
    """Every module's own description, without its first line, which is in the table."""
    texts = []
    for name in formats.NAMES:
        module = import_module(f"{formats.__name__}.{name}")
        text = module.__doc__.partition("\n\n")[2].strip()
        texts.append(f"### {name}\n{text}\n")
    return "\n".join(texts)


def _sources() -> str:
    """One row per data set that ``dipr1 download --source`` knows."""
    names: dict[tuple[str, ...], list[str]] = {}
    for name, source in SOURCES.items():
        names.setdefault((source.title, source.page, source.licence), []).append(f"`{name}`")
    rows = [(", ".join(splits), *texts) for texts, splits in names.items()]
    return _markdown(("`source`", "data set", "where", "terms (theirs decide)"), rows)


def _markdown(head: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(cells)} |\n" for cells in (head, *rows)]
    return lines[0] + "|---" * len(head) + "|\n" + "".join(lines[1:])
