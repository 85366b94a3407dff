"""Options of the evaluation."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from dipr1.options import Section

Score = Literal["confidence", "likelihood", "order", "constant"]
"""What ranks boxes without further samples of the policy (:mod:`dipr1.evaluation.scoring`)."""


class Evaluation(Section):
    """What the arms are measured on."""

    sets: list[str] = Field(
        ["crowdscenes.validation"],
        min_length=1,
        description="`dataset.split`; the first one is the report's headline.",
    )
    score: Score = Field(
        "confidence",
        description="What ranks the boxes for AP, MR and JI, as MLLMs print no score: the mean"
        " probability of a box's number tokens, their geometric mean, the place in the answer, or"
        " nothing.",
    )
    num_shards: int = Field(
        1, ge=1, description="Shards in which a set is answered, by `predict` and `inspect`."
    )
