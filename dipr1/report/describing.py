"""What is in an annotations artifact, in numbers: for the data card, the page and scripts."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import polars as pl
import pyarrow as pa

QUANTILES = {"min": 0.0, "5%": 0.05, "25%": 0.25, "50%": 0.5, "75%": 0.75, "95%": 0.95, "max": 1.0}

# CityPersons' subsets: heavily occluded, reasonable.
_VISIBILITY_EDGES = (0.0, 0.2, 0.65, 1.0)


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
    >>> table = pa.Table.from_pylist([row], ANNOTATIONS.schema)
    >>> card = describe(table, REJECTS.schema.empty_table())
    >>> card.labels, card.box_height["50%"], card.height_share["max"], card.rejects
    ({'person': 1}, 10.0, 0.5, {})
    """
    images = pl.from_arrow(annotations)
    # an image without boxes explodes into a row of nulls
    boxes = images.explode("boxes", "labels", "ignore", "visibility").drop_nulls("ignore")
    objects = boxes.filter(~pl.col("ignore")).with_columns(
        pl.col("boxes").cast(pl.Array(pl.Float64, 4)), pl.col("visibility").cast(pl.Float64)
    )
    counts = (images["ignore"].list.len() - images["ignore"].list.sum()).to_numpy()
    x1, y1, x2, y2 = (objects["boxes"].arr.get(side) for side in range(4))
    visibility = objects["visibility"].drop_nulls()
    return Description(
        num_images=len(images),
        num_empty=int((counts == 0).sum()),
        num_objects=len(objects),
        num_ignored=len(boxes) - len(objects),
        ignore_share=boxes["ignore"].mean() or 0.0,
        labels=_counted(objects["labels"]),
        objects_per_image=_quantiles(counts),
        mean_objects=float(counts.mean()) if len(counts) else 0.0,
        density=_density(counts),
        image_width=_quantiles(images["width"]),
        image_height=_quantiles(images["height"]),
        num_image_sizes=images.select("width", "height").n_unique(),
        box_width=_quantiles(x2 - x1),
        box_height=_quantiles(y2 - y1),
        height_share=_quantiles((y2 - y1) / objects["height"]),
        visibility_known=len(visibility) / len(objects) if len(objects) else 0.0,
        visibility=_quantiles(visibility),
        visibility_bins=_binned(visibility, _VISIBILITY_EDGES, _VISIBILITY_EDGES[1:]),
        rejects=None if rejects is None else _counted(pl.from_arrow(rejects["reason"])),
    )


def _counted(texts: pl.Series) -> dict[str, int]:
    """How often each text occurs: the most frequent first, ties by name."""
    counts = texts.alias("text").value_counts()
    return dict(counts.sort("count", "text", descending=[True, False]).iter_rows())


def _quantiles(values: pl.Series | np.ndarray) -> dict[str, float]:
    if not len(values):
        return {}
    quantiles = np.quantile(np.asarray(values, np.float64), list(QUANTILES.values()))
    return dict(zip(QUANTILES, quantiles.tolist(), strict=True))


def _density(counts: np.ndarray) -> list[Bin]:
    """0, 1, 2-3, 4-7, 8-15 ... up to the fullest image."""
    if not len(counts):
        return []
    lows = [0] + [2**power for power in range(int(counts.max()).bit_length())]
    edges = [*lows, 2 * lows[-1] or 1]
    return _binned(counts, edges, [edge - 1 for edge in edges[1:]])


def _binned(values: pl.Series | np.ndarray, edges: list[float], highs: list[float]) -> list[Bin]:
    counts = np.histogram(values, edges)[0].tolist()
    return [Bin(*each) for each in zip(edges[:-1], highs, counts, strict=True)]
