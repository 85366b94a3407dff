"""What can be chosen of an export."""

from __future__ import annotations

from pydantic import Field

from dipr1.options import Section
from dipr1.regions import Target


class Exporting(Section):
    """What can be chosen; a format takes no notice of what it has no use for."""

    images: str | None = Field(
        None, description="Write file names relative to this folder; paths as they are by default."
    )
    number_ids: bool = Field(
        False,
        description="`coco`, `coco-results`: number the images from 1, for tools that cannot read"
        " ids that are text.",
    )
    labels: list[str] | None = Field(
        None,
        description="The labels, numbered in this order; by default those that the annotations"
        " say, by name.",
    )
    annotations: str | None = Field(
        None, description="`cvat`, `labelstudio`: the annotations artifact that was audited."
    )
    predictions: str | None = Field(
        None, description="`fiftyone`: predictions artifact, a field of its own."
    )
    audit: str | None = Field(
        None, description="`fiftyone`: audit artifact, whose suspects are a field of their own."
    )
    first: int = Field(
        200, ge=1, description="`cvat`, `labelstudio`: images, those with the likeliest errors."
    )
    variance: str | None = Field(
        None, description="Training sets: variance artifact, for the looking reward's targets."
    )
    looking_target: Target = Field(
        "variance", description="Training sets: why to look at a region, as an arm has it."
    )
    shown: str | None = Field(
        None,
        description="Training sets: folder to write each picture to as the policy sees it:"
        " upright, cut to its window, in the model frame.",
    )
    think: str = Field(
        "{count} objects.",
        min_length=1,
        description="`llamafactory`: what the teacher thinks; {count} is the number of objects.",
    )
    why: str | None = Field(None, description="`llamafactory`: the teacher's `why` of every look.")
