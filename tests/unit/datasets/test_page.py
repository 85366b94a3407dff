"""The page about data sets is what the formats' modules and the known sources say."""

from __future__ import annotations

from dipr1.datasets import formats
from dipr1.datasets.page import filled
from dipr1.datasets.sources import SOURCES


def test_the_page_is_up_to_date(root):
    page = (root / "docs" / "datasets.md").read_text(encoding="utf-8")
    assert filled(page) == page, "run `python -m dipr1.config`"
    for name in formats.NAMES:
        assert f"| [`{name}`](#{name}) | " in page and f"\n### {name}\n" in page
    for name in SOURCES:
        assert f"`{name}`" in page
