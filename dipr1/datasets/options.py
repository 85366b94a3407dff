"""Options of data sets: where they come from, which labels are asked for, which boxes are kept."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from dipr1.datasets import formats
from dipr1.datasets.sources import SOURCES
from dipr1.options import Section

SCENES = "scenes"
DECODED_BY_DEFAULT = 50_000  # images
CHECK = "check"


class Style(Section):
    """What the scenes of a data set look like (format `scenes`)."""

    style: Literal["square", "street", "night", "far", "dusk"] = Field(  # as in dipr1.demo.scenes
        "square",
        description="Look of the built-in scenes: a crowd seen from a mast (`square`), the same"
        " from further away (`far`), at dusk or at `night`, or a close `street`.",
    )
    crowding: float = Field(
        1.0, gt=0, le=10, description="Scenes: how tightly people stand; 2 halves their distances."
    )
    occlusion: float = Field(
        1.0,
        ge=1,
        le=10,
        description="Scenes: how many people stand right behind another; at 2 about every second"
        " one more.",
    )


class Draw(Section):
    """Which scenes are drawn for a split (format `scenes`)."""

    num_images: int = Field(300, ge=1, description="Images to generate (format `scenes`).")
    seed: int = Field(0, ge=0, description="Seed of the generator (format `scenes`).")
    wrong_labels: float = Field(
        0.0,
        ge=0,
        le=0.5,
        description="Share of the labels in which errors are planted (format `scenes`).",
    )


class Scenes(Style, Draw):
    """Built-in scenes."""


class Files(Section):
    """Where the files of a split lie, or where they are fetched from."""

    annotations: str | None = Field(
        None, description="Annotation file or folder; with `url`, its path in the archive."
    )
    images: str | None = Field(
        None, description="Folder of the images; with `url`, its path in the archive."
    )
    source: str | None = Field(
        None,
        description="A known data set to fetch, such as `coco.val2017` (docs/datasets.md lists"
        " them); it knows where its annotations and images are.",
    )
    url: str | None = Field(
        None, pattern=r"^https?://", description="An archive of your own to fetch (zip or tar)."
    )
    sha256: str | None = Field(
        None, pattern=r"^[0-9a-fA-F]{64}$", description="Of the archive under `url`."
    )

    @model_validator(mode="after")
    def _one_origin(self) -> Files:
        if self.source and self.source not in SOURCES:
            raise ValueError(f"source: no {self.source!r}; there are {', '.join(SOURCES)}")
        if self.source and self.url:
            raise ValueError("url: give it or a source, not both")
        for name in ("annotations", "images"):
            if self.source and getattr(self, name):
                raise ValueError(f"{name}: source {self.source} knows its own; leave one out")
        if self.sha256 and not self.url:
            raise ValueError("sha256: needs the url of an archive")
        return self


class Split(Files, Draw):
    """One split of a data set."""

    corrections: str | None = Field(
        None,
        description="What somebody has corrected in its labels: the JSON of Label Studio, or the"
        " XML of CVAT or `samples.json` of FiftyOne.",
    )


class Conversion(Section):
    """Which boxes are kept, and which of them are ignore regions."""

    labels: list[str] | None = Field(
        None, min_length=1, description="Labels to keep and to ask for; without it, all."
    )
    ignore_labels: list[str] = Field(
        [], description="Labels whose boxes become ignore regions of the first of `labels`."
    )
    box: str = Field(
        formats.FULL,
        description="Which of an object's boxes, where the format has several: `full`, `visible`,"
        " `head`.",
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
    exif: Literal["turn", "ignore"] = Field(  # as in dipr1.pixels, which needs numpy
        "turn",
        description="Whether images are turned as their EXIF orientation says (`turn`), as"
        " annotation tools show them, or stay as they are stored (`ignore`).",
    )
    decode: bool | None = Field(
        None,
        description="Decode every image whole, and reject what is broken inside (default: where"
        f" there are fewer than {DECODED_BY_DEFAULT}). Not noticed: a progressive JPEG that"
        " was cut after its first scan and closed again, and one in CMYK that was cut and closed.",
    )
    declared_sizes: Literal[CHECK, "ignore"] = Field(
        CHECK,
        description="Whether an image of another size than its annotations declare is rejected"
        " (`check`), or its file is trusted (`ignore`); the boxes are pixels of the file then.",
    )
    strict: bool = Field(False, description="Stop where any record is rejected.")

    @field_validator("labels")
    @classmethod
    def _once(cls, labels: list[str] | None) -> list[str] | None:
        return labels and list(dict.fromkeys(labels))

    @model_validator(mode="after")
    def _labels_are_kept_or_ignored(self) -> Conversion:
        if self.ignore_labels and not self.labels:
            raise ValueError("ignore_labels: needs labels, whose first one they are ignored for")
        for label in self.ignore_labels:
            if label in self.labels:
                raise ValueError(
                    f"ignore_labels: {label!r} is among the labels; take it out of one"
                )
        return self


class Kind(Section):
    """How the annotations of a data set are written."""

    format: Literal[SCENES, *formats.NAMES] = Field(
        SCENES, description="`scenes` generates built-in crowds; others read annotation files."
    )


class Dataset(Conversion, Style, Kind):
    """A data set: where its annotations come from and which labels are asked for."""

    labels: list[str] = Field(
        ["person"], min_length=1, description="Labels that the prompt asks for."
    )
    splits: dict[str, Split] = Field(min_length=1, description="Splits by name.")

    @model_validator(mode="after")
    def _options_fit(self) -> Dataset:
        kinds = (formats.FULL,) if self.format == SCENES else formats.boxes(self.format)
        if self.box not in kinds:
            raise ValueError(f"box: {formats.no_such_box(self.format, self.box, kinds)}")
        for name, split in self.splits.items():
            option, fault = misfit(self.format, split, _changed(self) | _changed(split))
            if fault:
                raise ValueError(f"split {name!r}: {option}: {fault}")
        return self


def _changed(section: Section) -> set[str]:
    """Names of the options that are not at their defaults."""
    fields = type(section).model_fields
    return {name for name, field in fields.items() if getattr(section, name) != field.default}


def misfit(format_name: str, files: Files, given: Collection[str]) -> tuple[str, str]:
    """An option that does not go with the others, and what is wrong; two empty texts where all do.

    Args:
        format_name: of the data set.
        files: where its files are.
        given: names of the options that were given; what was left at its default is not among them.
    """
    if files.source and SOURCES[files.source].format != format_name:
        kind = SOURCES[files.source].format
        return "format", f"source {files.source} is of format {kind} but got {format_name}"
    for name in (Files if format_name == SCENES else Scenes).model_fields:
        if name in given:
            return name, f"means nothing for format {format_name}; leave it out"
    for name in () if format_name == SCENES or files.source else ("annotations", "images"):
        if getattr(files, name) is None:
            return name, f"needed for format {format_name}, or a source"
    return "", ""


def code_of_download(format_name: str, files: Files) -> dict[str, Any]:
    """What a download uses by name, for :func:`dipr1.provenance.code_digest`.

    >>> code_of_download("voc", Files(source="voc2007.test"))
    {'maker': 'datasets.fetching', 'format': 'voc', 'sources': ('voc2007.test',)}
    """
    if format_name == SCENES:
        return {"maker": "demo.scenes", "sources": ()}
    sources = (files.source,) if files.source else ()
    return {"maker": "datasets.fetching", "format": format_name, "sources": sources}
