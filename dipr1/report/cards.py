"""A data card: what is in an annotations artifact, in numbers and in pictures (verb ``describe``).

Numbers for other pages and scripts come from :func:`describe`, pictures from
:func:`sample_pictures`, and both as HTML from :func:`fragment`.
"""

from __future__ import annotations

import dataclasses
import html
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dipr1.artifacts.columns import ragged
from dipr1.errors import UserError

NUM_PICTURES = 12
PICTURE_SIDE = 480  # pixels

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}

# CityPersons' subsets: heavily occluded, reasonable.
_VISIBILITY_EDGES = (0.0, 0.2, 0.65, 1.0)

COLOURS = ("#1d63d8", "#c2630a", "#0a8754", "#8b3fc7", "#0b7f97", "#c0308b")
IGNORED_COLOUR = "#6b7280"


@dataclass(frozen=True)
class Bin:
    """How many values lie in low..high.

    Both ends are included where they are whole numbers; else `high` is the next bin's `low`, and
    belongs to that one.
    """

    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Description:
    """What an annotations artifact holds; all plain numbers.

    An *object* is a box that is not ignored. Quantiles are keyed by `QUANTILES` and empty where
    there is nothing to measure.

    Attributes:
        num_images: images.
        num_empty: images without an object.
        num_objects: objects.
        num_ignored: boxes marked ignore.
        ignore_share: of all boxes, in 0..1; 0 without boxes.
        labels: objects by label, the most frequent first.
        objects_per_image: quantiles.
        mean_objects: per image.
        density: images by number of objects; bins double in width.
        image_width, image_height: quantiles, pixels.
        num_image_sizes: different sizes.
        box_width, box_height: quantiles over objects, pixels.
        height_share: quantiles of an object's height over its image's, in 0..1.
        visibility_known: share of objects whose visible share is known.
        visibility: quantiles of the known ones, in 0..1.
        visibility_bins: known ones below 0.2, below 0.65 and up to 1 (CityPersons' subsets).
        rejects: rejected records by reason, the most frequent first; None where not given.
    """

    num_images: int
    num_empty: int
    num_objects: int
    num_ignored: int
    ignore_share: float
    labels: dict[str, int]
    objects_per_image: dict[str, float]
    mean_objects: float
    density: list[Bin]
    image_width: dict[str, float]
    image_height: dict[str, float]
    num_image_sizes: int
    box_width: dict[str, float]
    box_height: dict[str, float]
    height_share: dict[str, float]
    visibility_known: float
    visibility: dict[str, float]
    visibility_bins: list[Bin]
    rejects: dict[str, int] | None

    def as_dict(self) -> dict:
        """The same as dictionaries and lists, for JSON."""
        return dataclasses.asdict(self)


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


def describe(annotations: pa.Table, rejects: pa.Table | None = None) -> Description:
    """Count and measure an annotations artifact.

    Args:
        annotations: the artifact (image frame).
        rejects: the rejects artifact beside it, or None.

    Returns:
        A :class:`Description`; `as_dict()` gives it as plain dictionaries.

    >>> from dipr1.artifacts.annotations import ANNOTATIONS
    >>> from dipr1.artifacts.rejects import REJECTS
    >>> row = {"image_id": "a", "width": 40, "height": 20, "boxes": [[0, 0, 5, 10]]}
    >>> row |= {"labels": ["person"], "ignore": [False], "visibility": [None]}
    >>> card = describe(pa.Table.from_pylist([row], ANNOTATIONS.schema), REJECTS.schema.empty_table())
    >>> card.labels, card.box_height["50%"], card.height_share["max"], card.rejects
    ({'person': 1}, 10.0, 0.5, {})
    """
    boxes, offsets = ragged(annotations["boxes"])
    boxes = boxes.reshape(-1, 4).astype(np.float64)
    row = np.repeat(np.arange(annotations.num_rows), np.diff(offsets))
    ignored = ragged(annotations["ignore"])[0].astype(bool)
    wanted = ~ignored
    counts = np.bincount(row[wanted], minlength=annotations.num_rows)
    width, height = (annotations[name].to_numpy() for name in ("width", "height"))
    box_width, box_height = (boxes[wanted, 2:] - boxes[wanted, :2]).T
    visibility = ragged(annotations["visibility"])[0].astype(np.float64)[wanted]
    known = visibility[np.isfinite(visibility)]
    num_objects = int(wanted.sum())
    return Description(
        num_images=annotations.num_rows,
        num_empty=int((counts == 0).sum()),
        num_objects=num_objects,
        num_ignored=int(ignored.sum()),
        ignore_share=float(ignored.mean()) if len(ignored) else 0.0,
        labels=_counted(
            pc.list_flatten(annotations["labels"].combine_chunks()).filter(pa.array(wanted))
        ),
        objects_per_image=_quantiles(counts),
        mean_objects=float(counts.mean()) if len(counts) else 0.0,
        density=_density(counts),
        image_width=_quantiles(width),
        image_height=_quantiles(height),
        num_image_sizes=len(np.unique(np.stack([width, height], axis=1), axis=0)),
        box_width=_quantiles(box_width),
        box_height=_quantiles(box_height),
        height_share=_quantiles(box_height / height[row[wanted]]),
        visibility_known=len(known) / num_objects if num_objects else 0.0,
        visibility=_quantiles(known),
        visibility_bins=[
            Bin(low, high, int(count))
            for low, high, count in zip(
                _VISIBILITY_EDGES[:-1],
                _VISIBILITY_EDGES[1:],
                np.histogram(known, _VISIBILITY_EDGES)[0],
                strict=True,
            )
        ],
        rejects=None if rejects is None else _counted(rejects["reason"].combine_chunks()),
    )


def _counted(texts: pa.Array) -> dict[str, int]:
    """How often each text occurs: the most frequent first, ties by name."""
    pairs = [(pair["values"], pair["counts"]) for pair in pc.value_counts(texts).to_pylist()]
    return dict(sorted(pairs, key=lambda pair: (-pair[1], pair[0])))


def _quantiles(values: np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    found = np.quantile(values.astype(np.float64), list(QUANTILES.values()))
    return dict(zip(QUANTILES, found.tolist(), strict=True))


def _density(counts: np.ndarray) -> list[Bin]:
    """0, 1, 2-3, 4-7, 8-15 ... up to the fullest image."""
    if not len(counts):
        return []
    lows = [0] + [2**power for power in range(int(counts.max()).bit_length())]
    edges = np.array([*lows, 2 * lows[-1] or 1])
    found = np.histogram(counts, edges)[0].tolist()
    return [
        Bin(low, int(high) - 1, count)
        for low, high, count in zip(lows, edges[1:], found, strict=True)
    ]


def as_text(description: Description) -> str:
    """The numbers as lines for a terminal.

    >>> from dipr1.artifacts.annotations import ANNOTATIONS
    >>> print(as_text(describe(ANNOTATIONS.schema.empty_table())))
    images      0
    objects     0 (0.0 per image; 0 images have none)
    ignored     0 boxes (0.0 %)
    """
    lines = [
        f"images      {description.num_images}",
        f"objects     {description.num_objects} ({description.mean_objects:.1f} per image;"
        f" {description.num_empty} images have none)",
        f"ignored     {description.num_ignored} boxes ({100 * description.ignore_share:.1f} %)",
    ]
    lines += [f"  {label}: {count}" for label, count in description.labels.items()]
    if description.num_images:
        lines += ["objects per image"] + _bars(description.density)
        lines += ["quantiles          " + " ".join(f"{name:>7}" for name in QUANTILES)]
    for name, found in _measured(description):
        if found:
            lines.append(f"  {name:<17}" + " ".join(f"{_short(v):>7}" for v in found.values()))
    if description.visibility_known:
        lines.append(f"visibility  known of {100 * description.visibility_known:.1f} % of objects")
        lines += _bars(description.visibility_bins)
    if description.rejects is not None:
        lines.append(f"rejected    {sum(description.rejects.values())} records")
        lines += [f"  {count} {reason}" for reason, count in description.rejects.items()]
    return "\n".join(lines)


def _measured(description: Description) -> list[tuple[str, dict[str, float]]]:
    """The quantities with quantiles, as they are named to people."""
    return [
        ("objects per image", description.objects_per_image),
        ("image width", description.image_width),
        ("image height", description.image_height),
        ("box width", description.box_width),
        ("box height", description.box_height),
        ("height / image's", description.height_share),
        ("visible share", description.visibility),
    ]


def _bars(bins: Sequence[Bin], width: int = 40) -> list[str]:
    most = max((found.count for found in bins), default=0) or 1
    bars = ["#" * round(width * found.count / most) for found in bins]
    return [
        f"  {_range(found):>9}  {found.count:>7}  {bar}".rstrip()
        for found, bar in zip(bins, bars, strict=True)
    ]


def _range(found: Bin) -> str:
    return f"{found.low:g}" if found.low == found.high else f"{found.low:g}-{found.high:g}"


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"


def sample_pictures(annotations: pa.Table, count: int = NUM_PICTURES) -> list[Picture]:
    """Images from the emptiest to the fullest, evenly spaced by rank: the same ones every time.

    Images whose file cannot be read are left out.

    Args:
        annotations: the artifact; its image paths must hold from the working directory.
        count: at most so many.
    """
    from dipr1.report.pictures import data_uri, open_picture

    objects = pc.list_value_length(annotations["boxes"]).to_numpy()
    order = np.argsort(objects, kind="stable")
    ranks = np.linspace(0, len(order) - 1, min(count, len(order))).round().astype(np.int64)
    pictures = []
    for row in annotations.take(pa.array(order[ranks])).to_pylist():
        try:
            image = open_picture(row["image"], PICTURE_SIDE)
        except UserError:
            continue
        boxes = [
            (*box, label, ignored)
            for box, label, ignored in zip(row["boxes"], row["labels"], row["ignore"], strict=True)
        ]
        uri = data_uri(image, PICTURE_SIDE)
        pictures.append(Picture(row["image_id"], uri, row["width"], row["height"], boxes))
    return pictures


def fragment(description: Description, pictures: Sequence[Picture] = ()) -> str:
    """The card as a piece of HTML without a style of its own (classes `card-*`).

    Texts of the data are escaped; pictures are embedded, so nothing is loaded from elsewhere.
    """
    rejects = description.rejects or {}
    parts = [
        _table("", _facts(description)),
        "<h4>Objects by label</h4>" + _table("card-labels", description.labels.items()),
        "<h4>Objects per image</h4>" + _chart(description.density),
        "<h4>Sizes</h4>" + _quantile_table(description),
    ]
    if description.visibility_known:
        parts.append("<h4>Visible share</h4>" + _chart(description.visibility_bins))
    if rejects:
        parts.append("<h4>Rejected records</h4>" + _table("card-rejects", rejects.items()))
    if pictures:
        colours = label_colours(description.labels)
        parts.append(_legend(colours) + '<div class="card-pictures">')
        parts += [_figure(picture, colours) for picture in pictures]
        parts.append("</div>")
    return '<section class="card">' + "\n".join(parts) + "</section>"


def label_colours(labels: Sequence[str] | dict[str, int]) -> dict[str, str]:
    """A colour for each label, in their order."""
    return {label: COLOURS[index % len(COLOURS)] for index, label in enumerate(labels)}


def _legend(colours: dict[str, str]) -> str:
    named = [*colours.items(), ("ignored, dashed", IGNORED_COLOUR)]
    words = [f'<span style="color:{colour}">■</span> {html.escape(n)}' for n, colour in named]
    return f'<p class="card-legend">{", ".join(words)}</p>'


def _facts(description: Description) -> list[tuple[str, str]]:
    facts = [
        ("images", f"{description.num_images:,}"),
        ("without objects", f"{description.num_empty:,}"),
        ("different sizes", f"{description.num_image_sizes:,}"),
        ("objects", f"{description.num_objects:,}"),
        ("per image", f"{description.mean_objects:.1f}"),
        ("ignored boxes", f"{description.num_ignored:,} ({100 * description.ignore_share:.1f} %)"),
        ("visible share known", f"{100 * description.visibility_known:.1f} %"),
    ]
    if description.rejects is not None:
        facts.append(("rejected records", f"{sum(description.rejects.values()):,}"))
    return facts


def _table(name: str, rows) -> str:
    cells = "".join(
        f"<tr><th>{html.escape(str(key))}</th><td>{html.escape(str(value))}</td></tr>"
        for key, value in rows
    )
    return f'<table class="card-facts {name}">{cells}</table>'.replace(' ">', '">')


def _quantile_table(description: Description) -> str:
    head = "<tr><th></th>" + "".join(f"<th>{name}</th>" for name in QUANTILES) + "</tr>"
    body = "".join(
        f"<tr><th>{html.escape(name)}</th>"
        + "".join(f"<td>{_short(value)}</td>" for value in found.values())
        + "</tr>"
        for name, found in _measured(description)
        if found
    )
    return f'<table class="card-quantiles">{head}{body}</table>'


def _chart(bins: Sequence[Bin]) -> str:
    """Columns over their ranges, as SVG."""
    most = max((found.count for found in bins), default=0) or 1
    columns = []
    for index, found in enumerate(bins):
        tall, x = 80 * found.count / most, 52 * index
        columns.append(
            f'<rect x="{x + 4}" y="{100 - tall:.1f}" width="44" height="{tall:.1f}"'
            f' fill="{COLOURS[0]}"/>'
            f'<text x="{x + 26}" y="{96 - tall:.1f}">{found.count}</text>'
            f'<text x="{x + 26}" y="114">{_range(found)}</text>'
        )
    return (
        f'<svg class="card-chart" viewBox="0 0 {52 * len(bins)} 120" width="{52 * len(bins)}"'
        ' height="120" font-size="11" text-anchor="middle" fill="currentColor">'
        + "".join(columns)
        + "</svg>"
    )


def _figure(picture: Picture, colours: dict[str, str]) -> str:
    stroke = max(picture.width, picture.height) / 240
    rectangles = []
    for x1, y1, x2, y2, label, ignored in picture.boxes:
        look = (
            f'stroke="{IGNORED_COLOUR}" stroke-dasharray="{3 * stroke:.2f}"'
            if ignored
            else f'stroke="{colours.get(label, COLOURS[0])}"'
        )
        rectangles.append(
            f'<rect x="{x1:.1f}" y="{y1:.1f}" width="{x2 - x1:.1f}" height="{y2 - y1:.1f}"'
            f" {look}><title>{html.escape(label)}{' (ignored)' if ignored else ''}</title></rect>"
        )
    objects = sum(not box[5] for box in picture.boxes)
    return (
        f'<figure><svg viewBox="0 0 {picture.width} {picture.height}" fill="none"'
        f' stroke-width="{stroke:.2f}">'
        f'<image href="{picture.uri}" width="{picture.width}" height="{picture.height}"'
        ' preserveAspectRatio="none"/>' + "".join(rectangles) + "</svg>"
        f"<figcaption>{html.escape(picture.image_id)}: {objects}"
        f" object{'s' if objects != 1 else ''}</figcaption></figure>"
    )


_STYLE = """\
:root { color-scheme: light dark }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; margin: .5rem 0 }
th { text-align: left; font-weight: 500; padding-right: 1.5rem }
td, .card-quantiles th + th { text-align: right; padding: 0 0 0 1rem;
  font-variant-numeric: tabular-nums }
.card-pictures { display: grid; grid-template-columns: repeat(auto-fill, minmax(17rem, 1fr));
  gap: 1rem; margin-top: 1.5rem }
figure { margin: 0 } figure svg { width: 100%; height: auto; display: block }
figcaption { font-size: .85em; overflow-wrap: anywhere }"""


def page(title: str, description: Description, pictures: Sequence[Picture]) -> str:
    """The card as a self-contained HTML page."""
    name = html.escape(title)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>{name}</title>\n<style>\n{_STYLE}\n</style></head>\n"
        f"<body><h1>{name}</h1>\n{fragment(description, pictures)}\n</body></html>\n"
    )
