"""What every reader returns: images, boxes and rejected records, whatever the format."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple


class Reject(NamedTuple):
    """A record that was left out; the columns of the rejects artifact."""

    source: str  # file
    record: str  # where in the file
    reason: str
    raw: str  # the record as it was


class ImageRecord(NamedTuple):
    """An image that the annotation file names."""

    image_id: str
    image: str  # path
    size: tuple[int, int] | None  # declared width and height
    source: str
    record: str
    raw: str


class BoxRecord(NamedTuple):
    """A box; a tuple and not four arrays, because the reasons for a reject are told per record."""

    image: int  # index of its image in `Reading.images`
    box: tuple[float, float, float, float]  # xyxy, image frame, finite, with an area
    label: str
    ignore: bool
    visibility: float | None
    source: str
    record: str


@dataclass
class Reading:
    """The records of a data set, sorted into good and bad: none is lost.

    Attributes:
        labels: every label that the format's files declare, in their order.
        images: the good images, whether or not they have boxes.
        boxes: the good boxes.
        raw_boxes: the boxes' records as they were, parallel to `boxes`.
        rejected_images: images that cannot be used.
        rejected_boxes: boxes that cannot be used.
    """

    labels: list[str] = field(default_factory=list)
    images: list[ImageRecord] = field(default_factory=list)
    boxes: list[BoxRecord] = field(default_factory=list)
    raw_boxes: list[object] = field(default_factory=list)
    rejected_images: list[Reject] = field(default_factory=list)
    rejected_boxes: list[Reject] = field(default_factory=list)
