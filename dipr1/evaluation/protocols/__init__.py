"""The official protocols on the official files (verb ``official``).

Each protocol reads ground truth and detections in the form that its own evaluation program reads,
and gives the figures that the program prints, by its names:

| protocol | figures | ground truth | detections |
|---|---|---|---|
| crowdhuman | AP, MR, JI (shares) | `annotation_val.odgt` | lines `ID, width, height, dtboxes` |
| citypersons | MR of four subsets (percent) | `val_gt.json` | list of results as COCO's |
| coco | the twelve of the summary (shares) | `instances_*.json` | list of results |
| wider | Average AP (share) | `val_bbox.txt`, ignore file beside | lines `name score x y w h` |
| uavdt | AP_overall (percent) | folder of `*_gt_whole.txt` | folder of `{sequence}.txt` |

A figure is null where nothing is to be found; COCO's is -1 there, as its program has it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dipr1.errors import UserError
from dipr1.evaluation.protocols.citypersons_miss_rate import citypersons
from dipr1.evaluation.protocols.coco_figures import coco
from dipr1.evaluation.protocols.crowdhuman_figures import crowdhuman
from dipr1.evaluation.protocols.uavdt_ap import uavdt
from dipr1.evaluation.protocols.wider_ap import wider


@dataclass(frozen=True)
class Protocol:
    """A benchmark's own evaluation.

    Attributes:
        figures: takes the paths of ground truth and detections, gives each figure by its name.
        option: what `figures` takes besides the paths, if anything.
        form: format of a figure, as precise as the official program prints it.
    """

    figures: Callable[..., dict[str, float]]
    option: str = ""
    form: str = "{:7.4f}"


PROTOCOLS = {
    "crowdhuman": Protocol(crowdhuman),
    "citypersons": Protocol(citypersons, option="wrap_fault", form="{:6.2f}%"),
    "coco": Protocol(coco),
    "wider": Protocol(wider, option="ignore"),
    "uavdt": Protocol(uavdt, form="{:6.2f}%"),
}


def official_figures(
    protocol: str,
    ground_truth: str,
    detections: str,
    *,
    ignore: str | None = None,
    wrap_fault: bool = False,
) -> dict[str, float]:
    """The official figures of one set of detections.

    Args:
        protocol: one of `PROTOCOLS`.
        ground_truth: path of the annotations.
        detections: path of the detections.
        ignore: path of WIDER's file of areas to ignore.
        wrap_fault: reproduce the fault of CityPersons' program
            (:mod:`dipr1.evaluation.protocols.citypersons_miss_rate`).

    Returns:
        Value by official name; NaN where nothing is to be found (COCO: -1).

    Raises:
        UserError: a file is not what the protocol reads, or the protocol has no such option.
    """
    given = {"ignore": ignore} if ignore else {}
    given |= {"wrap_fault": True} if wrap_fault else {}
    for option in given:
        if option != PROTOCOLS[protocol].option:
            owner = next(name for name, each in PROTOCOLS.items() if each.option == option)
            raise UserError(
                f"--{option.replace('_', '-')} is only for {owner}, not {protocol}; leave it out"
            )
    return PROTOCOLS[protocol].figures(ground_truth, detections, **given)
