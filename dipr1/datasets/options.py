"""Options of data sets: where they lie, which labels are asked for, which boxes are kept."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from dipr1.datasets.sources import SOURCES
from dipr1.options import Section


class Split(Section):
    """One split of a data set."""

    num_images: int = Field(300, ge=1, description="Images to generate (format `scenes`).")
    seed: int = Field(0, ge=0, description="Seed of the generator (format `scenes`).")
    annotations: str | None = Field(None, description="Annotation file (formats read from disk).")
    images: str | None = Field(None, description="Folder of the images (formats read from disk).")
    source: str | None = Field(
        None,
        description="A known data set to fetch, such as `coco.val2017` (`dipr1 download --help`"
        " lists them); `annotations` and `images` are then not needed.",
    )
    url: str | None = Field(
        None,
        pattern=r"^https?://",
        description="An archive to fetch; `annotations` and `images` are then paths in it.",
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="Of the archive under `url`."
    )


class Dataset(Section):
    """A data set: where its annotations come from and which labels are asked for."""

    format: Literal[
        "scenes",
        "caltech",
        "citypersons",
        "coco",
        "crowdhuman",
        "eurocity",
        "kitti",
        "mot",
        "pennfudan",
        "uavdt",
        "visdrone",
        "voc",
        "wider",
    ] = Field(
        "scenes", description="`scenes` generates built-in crowds; others read annotation files."
    )
    style: Literal["street", "night"] = Field("street", description="Look of the built-in scenes.")
    labels: list[str] = Field(
        ["person"], min_length=1, description="Labels that the prompt asks for."
    )
    ignore_labels: list[str] = Field(
        [], description="Labels whose boxes become ignore regions of the first of `labels`."
    )
    box: Literal["full", "visible", "head"] = Field(
        "full", description="Which of an object's boxes, where the format has several."
    )
    min_inside: float = Field(
        0.0,
        ge=0,
        le=1,
        description="Boxes with less than this share of their area inside the image are rejected.",
    )
    min_size: float = Field(
        0.0, ge=0, description="Boxes whose longer side is under this many pixels are ignored."
    )
    strict: bool = Field(False, description="Stop where any record is rejected.")
    splits: dict[str, Split] = Field(min_length=1, description="Splits by name.")

    @model_validator(mode="after")
    def _files_are_given(self) -> Dataset:
        for name, split in self.splits.items():
            if split.source:
                _check_source(name, split.source, self.format)
            elif self.format != "scenes" and not (split.annotations and split.images):
                raise ValueError(
                    f"split {name!r} of format {self.format!r} needs `annotations` and `images`,"
                    " or a `source`"
                )
        return self


def _check_source(split: str, source: str, format_name: str) -> None:
    if source not in SOURCES:
        raise ValueError(f"split {split!r}: no source {source!r}; there are {', '.join(SOURCES)}")
    if SOURCES[source].format != format_name:
        raise ValueError(
            f"split {split!r}: source {source!r} is of format {SOURCES[source].format!r} but the"
            f" data set's is {format_name!r}"
        )
