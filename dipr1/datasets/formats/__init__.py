"""Annotation formats: one module each, which turns files into a :class:`~.reading.Reading`.

To add a format, write `dipr1/datasets/formats/<format>.py` with a `read` function, name it in
`READERS` below and in `dipr1.config.Dataset.format` (a test keeps the two equal).

A reader is ``read(annotations, images=None) -> Reading``, with ``box="full"`` besides where the
format has several boxes per object:

- `annotations`: path of the annotation file or folder,
- `images`: folder of the images, or None where only the names are known (image paths are then the
  bare file names and sizes come from the format or from a table).

It raises UserError where the files as a whole are not of the format; a fault of one record becomes
a reject and the rest is read. `dipr1.datasets.reading` has the parts readers share.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from dipr1.datasets.formats import (
    caltech,
    citypersons,
    coco,
    crowdhuman,
    eurocity,
    kitti,
    mot,
    pennfudan,
    uavdt,
    visdrone,
    voc,
    wider,
)
from dipr1.datasets.reading import Reading


class Format(NamedTuple):
    """How a format is read.

    Attributes:
        read: the reader.
        boxes: which boxes of an object can be asked for; more than one only where `read` takes
            `box`.
        what: one line for help texts: which files are expected.
    """

    read: Callable[..., Reading]
    boxes: tuple[str, ...] = ("full",)
    what: str = ""


READERS: dict[str, Format] = {
    "caltech": Format(caltech.read, what="Caltech folder of .vbb files, or the JSON of converters"),
    "citypersons": Format(
        citypersons.read,
        boxes=("full", "visible"),
        what="CityPersons .mat, folder of gtBboxCityPersons JSON, or the evaluation's val_gt.json",
    ),
    "coco": Format(coco.read, what="COCO detection JSON"),
    "crowdhuman": Format(
        crowdhuman.read, boxes=("full", "visible", "head"), what="CrowdHuman .odgt file"
    ),
    "eurocity": Format(eurocity.read, what="EuroCity Persons folder labels/<split>"),
    "kitti": Format(kitti.read, what="KITTI folder label_2"),
    "mot": Format(mot.read, what="MOTChallenge folder of sequences with gt/gt.txt"),
    "pennfudan": Format(pennfudan.read, what="Penn-Fudan folder Annotation"),
    "uavdt": Format(uavdt.read, what="UAVDT folder GT of *_gt_whole.txt"),
    "visdrone": Format(visdrone.read, what="VisDrone-DET folder annotations"),
    "voc": Format(voc.read, what="PASCAL VOC folder Annotations of XML files"),
    "wider": Format(wider.read, what="WIDER Pedestrian train_annotations.txt, or its folder"),
}
