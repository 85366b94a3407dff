"""A data card: what is in an annotations artifact, as text for a terminal or as an HTML page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.errors import UserError
from dipr1.pixels import TURN
from dipr1.report.colours import LIGHT
from dipr1.report.describing import QUANTILES, Bin, Description
from dipr1.report.notation import plural
from dipr1.report.pictures import data_uri, open_picture
from dipr1.report.templates import fill

NUM_PICTURES = 12
PICTURE_SIDE = 480  # pixels
IGNORED_COLOUR, *COLOURS = LIGHT


@dataclass(frozen=True)
class Picture:
    """One annotated image, small enough to embed.

    Attributes:
        image_id: whose.
        uri: a WebP data URI.
        width, height: of the original image, pixels: the frame of `boxes`.
        boxes: (x1, y1, x2, y2, label, ignored) each, image frame.
    """

    image_id: str
    uri: str
    width: int
    height: int
    boxes: list[tuple[float, float, float, float, str, bool]]


def as_text(card: Description) -> str:
    """The numbers as lines for a terminal.

    >>> from dipr1.artifacts.annotations import ANNOTATIONS
    >>> from dipr1.report.describing import describe
    >>> print(as_text(describe(ANNOTATIONS.schema.empty_table())))
    images      0
    objects     0 (0.0 per image; 0 images have none)
    ignored     0 boxes (0.0 %)
    """
    lines = [
        f"images      {card.num_images}",
        f"objects     {card.num_objects} ({card.mean_objects:.1f} per image;"
        f" {card.num_empty} images have none)",
        f"ignored     {card.num_ignored} boxes ({100 * card.ignore_share:.1f} %)",
    ]
    lines += [f"  {label}: {count}" for label, count in card.labels.items()]
    if card.num_images:
        lines += ["objects per image"] + _bars(card.density)
        lines += ["quantiles          " + " ".join(f"{name:>7}" for name in QUANTILES)]
    for name, values in _measured(card):
        if values:
            lines.append(f"  {name:<17}" + " ".join(f"{brief(v):>7}" for v in values.values()))
    if card.visibility_known:
        lines.append(f"visibility  known of {100 * card.visibility_known:.1f} % of objects")
        lines += _bars(card.visibility_bins)
    if card.rejects is not None:
        lines.append(f"rejected    {sum(card.rejects.values())} records")
        lines += [f"  {count} {reason}" for reason, count in card.rejects.items()]
    return "\n".join(lines)


def _measured(card: Description) -> list[tuple[str, dict[str, float]]]:
    """The quantities with quantiles, as they are named to people."""
    return [
        ("objects per image", card.objects_per_image),
        ("image width", card.image_width),
        ("image height", card.image_height),
        ("box width", card.box_width),
        ("box height", card.box_height),
        ("height / image's", card.height_share),
        ("visible share", card.visibility),
    ]


def _bars(bins: Sequence[Bin], width: int = 40) -> list[str]:
    most = max((each.count for each in bins), default=0) or 1
    return [
        f"  {_span(each):>9}  {each.count:>7}  {'#' * round(width * each.count / most)}".rstrip()
        for each in bins
    ]


def _span(one: Bin) -> str:
    return f"{one.low:g}" if one.low == one.high else f"{one.low:g}-{one.high:g}"


def brief(value: float) -> str:
    """A measured number with three digits; whole numbers and those from 100 on as integers.

    >>> brief(1234.5), brief(12.34), brief(2.0)
    ('1234', '12.3', '2')
    """
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def sample_pictures(annotations: pa.Table, count: int = NUM_PICTURES) -> list[Picture]:
    """Images from the emptiest to the fullest, evenly spaced by rank: the same ones every time.

    Images whose file cannot be read are left out.

    Args:
        annotations: the artifact; its image paths must hold from the working directory.
        count: at most so many.
    """
    objects = pc.list_value_length(annotations["boxes"]).to_numpy()
    order = np.argsort(objects, kind="stable")
    ranks = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    pictures = []
    for row in annotations.take(pa.array(order[ranks])).to_pylist():
        try:
            image = open_picture(row["image"], PICTURE_SIDE, row.get("exif", TURN))
        except UserError:
            continue
        boxes = [
            (*box, label, ignored)
            for box, label, ignored in zip(row["boxes"], row["labels"], row["ignore"], strict=True)
        ]
        uri = data_uri(image, PICTURE_SIDE)
        pictures.append(Picture(row["image_id"], uri, row["width"], row["height"], boxes))
    return pictures


def page(title: str, card: Description, pictures: Sequence[Picture]) -> str:
    """The card as a self-contained HTML page: pictures are embedded, nothing is loaded."""
    return fill(
        "card.html.j2",
        {"brief": brief, "span": _span, "plural": plural},
        title=title,
        card=card,
        pictures=pictures,
        quantiles=QUANTILES,
        measured=_measured(card),
        colours=dict(zip(card.labels, cycle(COLOURS), strict=False)),
        fallback=COLOURS[0],
        ignored_colour=IGNORED_COLOUR,
    )
