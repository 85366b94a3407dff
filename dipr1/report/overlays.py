"""Evaluation images with what was annotated and what each arm answered drawn over them."""

from __future__ import annotations

import base64
import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from PIL import Image

from dipr1.boxes import area
from dipr1.errors import UserError
from dipr1.metrics.answers import judge
from dipr1.tables import box_arrays

LARGEST_SIDE = 720  # pixels of an embedded image
UNCERTAIN = 0.5  # regions from this uncertainty on are drawn: those the looking reward asks for


@dataclass(frozen=True)
class Answered:
    """What one arm answered to one image.

    Attributes:
        arm: its name.
        layers: SVG path data by layer: look, hit, false, skipped (lies in an ignore area), missed.
        num_hits, num_false, num_missed: boxes and people.
        readable: whether the answer could be read.
        text: the whole response.
    """

    arm: str
    layers: dict[str, str]
    num_hits: int
    num_false: int
    num_missed: int
    readable: bool
    text: str


@dataclass(frozen=True)
class Shot:
    """One image with its layers.

    Attributes:
        image_id: as in the annotations.
        source: the picture as a data URI.
        width, height: of the image frame, in which the paths are.
        num_people: people to find.
        layers: SVG path data by layer: truth, ignore, uncertain.
        answers: one per arm.
    """

    image_id: str
    source: str
    width: int
    height: int
    num_people: int
    layers: dict[str, str]
    answers: list[Answered]

    def answer(self, arm: str) -> Answered:
        """What `arm` answered."""
        return next(answer for answer in self.answers if answer.arm == arm)


def shots(
    annotations: pa.Table,
    predictions: dict[str, pa.Table],
    variance: pa.Table | None,
    num_overlays: int,
) -> list[Shot]:
    """Images from the emptiest to the most crowded, evenly spread over the set.

    Args:
        annotations: the annotations artifact.
        predictions: the samples artifact of each arm, one response per image.
        variance: the variance artifact, or None.
        num_overlays: how many images; all where there are fewer.

    Raises:
        UserError: an image cannot be opened, or an arm has no answer to it.
    """
    boxes = box_arrays(annotations["boxes"])
    ignored = [np.array(flags, bool) for flags in annotations["ignore"].to_pylist()]
    crowd = [int((~flags).sum()) for flags in ignored]
    rows = spread(crowd, num_overlays)
    wanted = set(annotations["image_id"].take(pa.array(rows, pa.int64())).to_pylist())
    answers = {arm: _answers(table, wanted) for arm, table in predictions.items()}
    regions = _uncertain_regions(variance, wanted)
    found = []
    for row in rows:
        record = {
            name: annotations[name][row].as_py()
            for name in ("image_id", "image", "width", "height")
        }
        objects, ignore = boxes[row][~ignored[row]], boxes[row][ignored[row]]
        name = record["image_id"]
        for arm in predictions:
            if name not in answers[arm]:
                raise UserError(f"--predictions: arm {arm!r} has no answer to image {name!r}")
        layers = {"truth": path(objects), "ignore": path(ignore)}
        if variance is not None:
            layers["uncertain"] = path(regions.get(name, []))
        found.append(
            Shot(
                image_id=name,
                source=data_uri(record["image"]),
                width=record["width"],
                height=record["height"],
                num_people=len(objects),
                layers=layers,
                answers=[
                    _answered(arm, *answers[arm][name], objects, ignore) for arm in predictions
                ],
            )
        )
    return found


def spread(crowd: Sequence[int], count: int) -> list[int]:
    """`count` positions, evenly spaced in the order of `crowd`, the emptiest first.

    >>> spread([5, 0, 9, 2], 3)
    [1, 0, 2]
    """
    order = np.argsort(crowd, kind="stable")
    at = np.unique(np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(int))
    return order[at].tolist()


def _answers(table: pa.Table, wanted: set[str]) -> dict[str, tuple]:
    chosen = pa.array([name in wanted for name in table["image_id"].to_pylist()], pa.bool_())
    table = table.filter(chosen)
    rows = zip(
        box_arrays(table["boxes"]),
        box_arrays(table["look_boxes"]),
        table["text"].to_pylist(),
        strict=True,
    )
    return dict(zip(table["image_id"].to_pylist(), rows, strict=True))


def _uncertain_regions(variance: pa.Table | None, wanted: set[str]) -> dict[str, list]:
    regions: dict[str, list] = {}
    if variance is not None:
        for row in variance.select(["image_id", "hull", "uncertainty"]).to_pylist():
            if row["uncertainty"] >= UNCERTAIN and row["image_id"] in wanted:
                regions.setdefault(row["image_id"], []).append(row["hull"])
    return regions


def _answered(
    arm: str,
    boxes: np.ndarray | None,
    looks: np.ndarray | None,
    text: str,
    objects: np.ndarray,
    ignore: np.ndarray,
) -> Answered:
    readable = boxes is not None
    boxes = np.empty((0, 4)) if boxes is None else boxes
    judged = judge(boxes, objects, ignore)
    false = ~judged.matched & ~judged.ignored
    return Answered(
        arm=arm,
        layers={
            "look": path([] if looks is None else looks),
            "hit": path(boxes[judged.matched]),
            "false": path(boxes[false]),
            "skipped": path(boxes[judged.ignored]),
            "missed": path(objects[~judged.found]),
        },
        num_hits=int(judged.matched.sum()),
        num_false=int(false.sum()),
        num_missed=int((~judged.found).sum()),
        readable=readable,
        text=text,
    )


def path(boxes: Iterable) -> str:
    """SVG path data of the outlines of boxes (N, 4); boxes without an area are left out.

    >>> path([[1, 2, 4, 6.5]])
    'M1 2h3v4.5h-3z'
    """
    boxes = np.reshape(np.array(list(boxes), np.float64), (-1, 4))
    boxes = boxes[area(boxes) > 0].round(1)
    return "".join(
        f"M{x1:g} {y1:g}h{x2 - x1:.4g}v{y2 - y1:.4g}h{x1 - x2:.4g}z" for x1, y1, x2, y2 in boxes
    )


def data_uri(file: str) -> str:
    """The picture as a JPEG data URI, no side longer than `LARGEST_SIDE` pixels.

    Raises:
        UserError: the file is missing or no image.
    """
    try:
        with Image.open(file) as image:
            image.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))
            small = image.convert("RGB")
    except OSError as error:
        reason = getattr(error, "strerror", None) or "not an image"
        raise UserError(
            f"{file}: {reason}; the page shows images of the evaluation sets, so they must still"
            " be where the annotations say (or use --num-overlays 0)"
        ) from None
    small.thumbnail((LARGEST_SIDE, LARGEST_SIDE), Image.Resampling.LANCZOS)
    written = io.BytesIO()
    small.save(written, "JPEG", quality=86)
    return "data:image/jpeg;base64," + base64.b64encode(written.getvalue()).decode()
