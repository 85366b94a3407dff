"""Options of the base policy and of its responses."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

from pydantic import BeforeValidator, Field, model_validator

from dipr1.frames import Bounds
from dipr1.options import Section
from dipr1.responses import Form


class Checkpoint(Section):
    """Which MLLM answers, whatever it is asked."""

    flag_names: ClassVar[dict[str, str]] = {"model": "policy"}

    model: str = Field("tiny", description="`tiny` (shipped), or a Hugging Face checkpoint folder.")
    dtype: Literal["float32", "bfloat16"] = Field("float32", description="Type of the weights.")
    min_pixels: int | None = Field(
        None, ge=1, description="As `max_pixels`, but the fewest pixels, to which images grow."
    )
    max_pixels: int | None = Field(
        None,
        ge=1,
        description="Most pixels that the policy is shown of an image or a window of it; by default"
        " the checkpoint's own bound. It bounds what they cost: windows are cut from the whole file"
        " and keep their detail.",
    )

    @property
    def bounds(self) -> Bounds:
        """Of the pixels that it is shown."""
        return Bounds(self.min_pixels, self.max_pixels)


class Policy(Checkpoint):
    """The base MLLM."""

    frame: Literal["absolute", "thousandths"] | None = Field(
        None,
        description="Coordinates that it answers in, where a fine-tune has others than its family:"
        " pixels after the resize (`absolute`), or `thousandths`.",
    )


SHOWN = ("frame", "min_pixels", "max_pixels")
"""What decides in which frame the policy sees an image."""


class Engine(Section):
    """What generates the responses of `sample`, `predict` and `inspect`."""

    of_machine: ClassVar[frozenset[str]] = frozenset({"engine_memory", "engine_gpus"})

    engine: Literal["transformers", "vllm"] = Field(
        "transformers",
        description="What generates responses in `sample`, `predict` and `inspect`: `vllm` is for"
        " GPUs, and needs an environment of its own (docs/training.md).",
    )
    engine_memory: float = Field(
        0.9, gt=0, le=1, description="`vllm`: share of the GPU's memory that it takes."
    )
    engine_gpus: int = Field(
        1, ge=1, description="`vllm`: GPUs over which the weights are spread (tensor parallelism)."
    )

    @property
    def gpus(self) -> int:
        """How many GPUs a job takes that generates responses, where there are some."""
        return self.engine_gpus if self.engine == "vllm" else 1


class Answering(Engine, Checkpoint):
    """Which MLLM answers, and by what."""


class BasePolicy(Engine, Policy):
    """The base MLLM, and what generates its responses."""


class Asked(Section):
    """What form of response is asked for."""

    form: Form = Field(
        "steps",
        description="What is asked for: think, look and answer (`steps`), or boxes alone"
        " (`answer`).",
    )


class Crop(Section):
    """Crops of uncertain regions, to be asked about as if they were images of their own."""

    max_regions: int = Field(4, ge=1, description="Crops of an image, at most.")
    margin: float = Field(
        0.25, ge=0, description="Added to a region on every side, a share of the region's sides."
    )
    least_share: float = Field(
        0.4, gt=0, lt=1, description="Least sides of a crop, a share of the image's."
    )


class Generation(Section):
    """How responses are generated, by `sample` and `predict` alike."""

    max_new_tokens: int = Field(256, ge=1, description="Longest response, in tokens.")
    batch_size: int = Field(128, ge=1, description="Responses generated together.")


class Sample(Generation):
    """Responses sampled from the base policy, from which the variance is measured."""

    num_samples: int = Field(8, ge=1, description="Responses per image (N in the method).")
    temperature: float = Field(1.0, ge=0, description="Sampling temperature; 0 is greedy.")


class LookAgain(Section):
    """Looking at regions of an answered image a second time (docs: the method)."""

    source: Literal["own", "variance", "random", "grid", "oracle", "samples"] = Field(
        "own",
        description="What is looked at again: the response's look boxes (`own`), regions whose"
        " boxes vary over samples (`variance`), windows anywhere, as many and as large as `own`"
        " gives (`random`), the quarters (`grid`), the objects missed (`oracle`); `samples` looks"
        " at nothing but fuses further samples of the whole image.",
    )
    max_regions: int = Field(4, ge=1, description="Windows of an image and round, at most.")
    rounds: int = Field(
        1, ge=1, description="Rounds; a further one looks where the answers to windows looked."
    )
    margin: float = Field(
        0.25, ge=0, description="Added to a region on every side, a share of its side."
    )
    least_share: float = Field(
        0.4, gt=0, le=1, description="Least size of a window, a share of the image's sides."
    )
    window_iou: float = Field(
        0.6, gt=0, le=1, description="Windows that overlap by more are one: the first."
    )
    overlap: float = Field(
        0.1, ge=0, lt=1, description="`grid`: by what share a window is longer than half the image."
    )
    num_samples: int = Field(
        6, ge=1, description="`variance`, `samples`: samples of the whole image."
    )
    temperature: float = Field(1.0, gt=0, description="`variance`, `samples`: of these samples.")
    least_uncertainty: float = Field(
        0.5, ge=0, le=1, description="`variance`: least uncertainty of a region."
    )
    merge: Literal["agreement", "ios"] = Field(
        "agreement",
        description="How views are merged: boxes that a window confirms or denies change their"
        " scores (`agreement`), or boxes that share half of the smaller one are one, as in SAHI"
        " (`ios`).",
    )
    match_iou: float = Field(
        0.5, gt=0, le=1, description="Least IoU of a box and what confirms it in another view."
    )
    confirmed: float = Field(1.3, gt=0, description="`agreement`: factor of a confirmed score.")
    denied: float = Field(0.5, gt=0, description="`agreement`: factor of a denied score.")
    suppression_iou: float = Field(
        0.55, gt=0, le=1, description="`agreement`: above it the lower score goes."
    )

    @property
    def samples_whole(self) -> bool:
        """Whether the policy is sampled on the whole image."""
        return self.source in ("variance", "samples")


class NamedLook(LookAgain):
    """A way to look again that is compared with others."""

    without_flag: ClassVar[frozenset[str]] = frozenset({"name"})

    name: str = Field(
        "",
        pattern="^[A-Za-z0-9_]*$",
        description="It is compared as `ARM+NAME`; by default what `source` says.",
    )

    @model_validator(mode="after")
    def _is_called_by_its_source(self) -> NamedLook:
        self.name = self.name or self.source
        return self


def _listed(value: Any) -> Any:
    """One entry stands for a list of one."""
    return [value] if isinstance(value, dict) else value


class Looks(Section):
    """How an arm's answers are looked at again, besides being measured in one view."""

    without_flag: ClassVar[frozenset[str]] = frozenset({"look_again"})

    look_again: Annotated[list[NamedLook], BeforeValidator(_listed)] = Field(
        [],
        description="Ways to look again at the arm's answers, one or a list: each is compared as an"
        " arm `ARM+NAME` more. They change no training.",
    )

    @model_validator(mode="after")
    def _looks_have_names_of_their_own(self) -> Looks:
        names = [look.name for look in self.look_again]
        if repeated := [name for name in names if names.count(name) > 1]:
            raise ValueError(
                f"look_again: {repeated[0]!r} is there twice; give one of them another `name`"
            )
        return self
