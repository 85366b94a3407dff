"""Likely label errors: crops around the first suspects of the label audit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.pixels import TURN
from dipr1.report.pictures import data_uri, open_picture

LARGEST_CROP = 360  # pixels of a crop's longer side
CROP_BYTES = 20_000
CONTEXT = 0.75  # of the suspect's size, added on each side
LEAST_CONTEXT = 0.05  # of the image's size
ASPECT = 1.2
FIRST = 20  # suspects of which it is said how many are errors, where that is known
MORE = 50  # of which it is said how many are to be expected

KINDS = {
    "missing_label": (
        "A label may be missing",
        "The model finds a box here in {support}, but nothing is annotated.",
    ),
    "unsupported_label": (
        "A label may be wrong",
        "Annotated, but the model finds it in {support}.",
    ),
    "loose_label": (
        "Borders may be off",
        "The model finds it in {support}, but with other borders, which agree with each other.",
    ),
    "swapped_label": (
        "A label may have the wrong name",
        "Annotated as {label}; the model, which finds it in {support}, calls it {suggested_label}.",
    ),
}


@dataclass(frozen=True)
class Crop:
    """One likely label error, ready to be shown.

    Attributes:
        dataset: `dataset.split`.
        image_id: as in the annotations.
        title, words: what may be wrong.
        score: of the audit, in [0, 1].
        error_share: the share of planted errors among suspects like it; None where not known.
        picture: a data URI of the crop.
        view: (x, y, width, height) of the crop in the image frame, for an SVG `viewBox`.
        box: the suspect (x, y, width, height); image frame.
        suggested: what the model's answers suggest, likewise; None where they do not.
        annotated: whether `box` is an annotation rather than the model's.
        confirmed: whether it is an error by corrected labels; None where there are none.
    """

    dataset: str
    image_id: str
    title: str
    words: str
    score: float
    error_share: float | None
    picture: str
    view: tuple[float, ...]
    box: tuple[float, ...]
    suggested: tuple[float, ...] | None
    annotated: bool
    confirmed: bool | None


@dataclass(frozen=True)
class Suspects:
    """The likely label errors of a set.

    Attributes:
        crops: of the first ones.
        judged: how many of the first `FIRST` can be held against corrected labels.
        confirmed: how many of these are errors.
        expected: how many errors there are about among these, if as many labels are wrong as
            were planted; None where none were. `worth` is the same of the crops, `worth_of_more`
            of the first `num_more`.
        num_more: `MORE`, or as many as there are.
        planted: the share of the labels that was planted.
    """

    crops: list[Crop]
    judged: int
    confirmed: int
    expected: float | None
    worth: float | None
    worth_of_more: float | None
    num_more: int
    planted: float


def against_labels(audit: pa.Table) -> pa.Table:
    """The rows that say something against a label: all but those of kind `uncertain`."""
    return audit.filter(pc.is_in(audit["kind"], value_set=pa.array(list(KINDS))))


def suspects(
    audits: dict[str, pa.Table], count: int, planted: dict[str, float]
) -> dict[str, Suspects]:
    """The first suspects of each set, the likeliest first; sets without any are left out.

    Args:
        audits: the audit artifact by set.
        count: how many are shown of all sets together, shared evenly.
        planted: by set, the share of its labels that was planted in copies.

    Raises:
        UserError: a picture cannot be opened.
    """
    shown = -(-count // len(audits)) if audits else 0
    of_sets = {
        dataset: _of_set(
            dataset, against_labels(table).sort_by("rank"), shown, planted.get(dataset, 0.0)
        )
        for dataset, table in audits.items()
    }
    return {dataset: of_set for dataset, of_set in of_sets.items() if of_set.crops}


def _of_set(dataset: str, table: pa.Table, count: int, planted: float) -> Suspects:
    more = table.slice(0, MORE).to_pylist()
    judged = [row for row in more[:FIRST] if row.get("confirmed") is not None]
    crops = list(_crops(dataset, table.slice(0, count)))
    return Suspects(
        crops=crops,
        judged=len(judged),
        confirmed=sum(row["confirmed"] for row in judged),
        expected=_sum(row.get("error_share") for row in judged),
        worth=_sum(one.error_share for one in crops),
        worth_of_more=_sum(row.get("error_share") for row in more),
        num_more=len(more),
        planted=planted,
    )


def _sum(shares: Iterable[float | None]) -> float | None:
    """The sum of those that are known; None where none is."""
    known = [one for one in shares if one is not None]
    return sum(known) if known else None


def _crops(dataset: str, table: pa.Table) -> Iterator[Crop]:
    for row in table.to_pylist():
        image = open_picture(row["image"], exif=row.get("exif", TURN))
        title, words = KINDS[row["kind"]]
        suggested = row["suggested_box"]
        around = [box for box in (row["box"], row["hull"], suggested) if box is not None]
        view = window(around, image.size)
        left, top, right, bottom = view
        yield Crop(
            dataset=dataset,
            image_id=row["image_id"],
            title=title,
            words=words.format(**row | {"support": share(row["support"])}),
            score=row["score"],
            error_share=row.get("error_share"),
            picture=data_uri(image.crop(view), LARGEST_CROP, CROP_BYTES),
            view=(left, top, right - left, bottom - top),
            box=_xywh(row["box"]),
            suggested=None if suggested is None else _xywh(suggested),
            annotated=row["kind"] != "missing_label",
            confirmed=row.get("confirmed"),
        )


def share(support: float) -> str:
    """How many of the sampled answers have a box, in words.

    >>> share(0.0), share(0.375), share(1.0)
    ('none of its answers', '38 % of its answers', 'all of its answers')
    """
    number = {0.0: "none", 1.0: "all"}.get(support, f"{100 * support:.0f} %")
    return f"{number} of its answers"


def window(boxes: list, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """What to cut out around boxes: with context on each side, within the image, in whole pixels.

    It is at least `ASPECT` times as wide as high where the image allows, so that crops look alike.

    >>> window([[40, 40, 60, 60]], (300, 200))
    (20, 25, 80, 75)
    """
    boxes = np.array(boxes, np.float64)
    low, high = boxes[:, :2].min(axis=0), boxes[:, 2:].max(axis=0)
    margin = np.maximum(CONTEXT * (high - low), LEAST_CONTEXT * np.array(size))
    low, high = low - margin, high + margin
    missing = ASPECT * (high[1] - low[1]) - (high[0] - low[0])
    if missing > 0:
        low[0], high[0] = low[0] - missing / 2, high[0] + missing / 2
    low = np.clip(np.floor(low), 0, np.array(size) - 1).astype(int)
    high = np.clip(np.ceil(high), low + 1, size).astype(int)
    return (*low.tolist(), *high.tolist())


def _xywh(box: list[float]) -> tuple[float, ...]:
    x1, y1, x2, y2 = (round(side, 1) for side in box)
    return x1, y1, round(x2 - x1, 1), round(y2 - y1, 1)
