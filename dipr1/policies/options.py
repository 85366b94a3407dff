"""Options of the base policy and of its responses."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from dipr1.options import Section
from dipr1.responses import Form


class Checkpoint(Section):
    """Which MLLM answers, whatever it is asked."""

    flag_names: ClassVar[dict[str, str]] = {"model": "policy"}

    model: str = Field("tiny", description="`tiny` (shipped), or a Hugging Face checkpoint folder.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of the weights.")


class Policy(Checkpoint):
    """The base MLLM."""

    frame: Literal["absolute", "thousandths"] | None = Field(
        None,
        description="Coordinates that it answers in, where a fine-tune has others than its family:"
        " pixels after the resize (`absolute`), or `thousandths`.",
    )


class Asked(Section):
    """What form of response is asked for."""

    form: Form = Field(
        "steps",
        description="What is asked for: think, look and answer (`steps`), or boxes alone"
        " (`answer`).",
    )


class Generation(Section):
    """How responses are generated, by `sample` and `predict` alike."""

    max_new_tokens: int = Field(160, ge=1, description="Longest response, in tokens.")
    batch_size: int = Field(128, ge=1, description="Responses generated together.")


class Sample(Generation):
    """Responses sampled from the base policy, from which the variance is measured."""

    num_samples: int = Field(8, ge=1, description="Responses per image (N in the method).")
    temperature: float = Field(1.0, ge=0, description="Sampling temperature; 0 is greedy.")
