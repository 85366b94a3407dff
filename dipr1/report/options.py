"""Options of the report."""

from __future__ import annotations

from pydantic import Field

from dipr1.options import Section


class Report(Section):
    """The page."""

    num_images: int = Field(
        60,
        ge=0,
        description="Images in the page's viewer per evaluation set; at most 200 in all.",
    )
    num_suspects: int = Field(24, ge=0, description="Likely label errors shown as crops.")
    resamples: int = Field(
        1000, ge=100, description="Times that images and seeds are drawn again for the intervals."
    )
