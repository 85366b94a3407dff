"""What the page's viewer shows: a choice of images with their layers, as JSON.

Of each evaluation set it shows the images on which the best arm did worst, on which the base policy
was least sure and on which two arms differ most, those with suspicious labels, those on which a
second look found somebody, and a random sample. Each image says why it was chosen, so that the
random ones can be seen alone: only they are typical.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
import polars as pl
import pyarrow as pa

from dipr1.artifacts.aligning import by_image, image_rows
from dipr1.artifacts.annotations import ANY_LABEL
from dipr1.artifacts.variance import regions_only
from dipr1.boxes import clip, iou
from dipr1.evaluation.answered import AnsweredImage, answered_images
from dipr1.evaluation.answers import Judged
from dipr1.pixels import TURN
from dipr1.regions import look_targets
from dipr1.report.crops import against_labels
from dipr1.report.pictures import LARGEST_SIDE, data_uri, open_picture
from dipr1.report.results import is_told, one_view
from dipr1.report.second_look import SecondLook, second_looks

MOST_IMAGES = 200  # of all sets together: 200 pictures of 60 kB are 16 MB as base64
LONGEST_TEXT = 6000  # characters of a response
LONGEST_CROP_TEXT = 1500  # likewise, to a window
HIT, FALSE, SKIPPED = 0, 1, 2


@dataclass(frozen=True)
class EvaluationSet:
    """One evaluation set, as its artifacts tell it.

    Attributes:
        name: `dataset.split`.
        annotations: the annotations artifact.
        predictions: the samples artifact of each arm, one response per image, in the order of the
            annotations.
        variance: the variance artifact, or None.
        audit: the audit artifact, or None.
    """

    name: str
    annotations: pa.Table
    predictions: dict[str, pa.Table]
    variance: pa.Table | None = None
    audit: pa.Table | None = None


@dataclass
class Viewer:
    """The chosen images.

    Attributes:
        images: one JSON-ready record per image; `viewer.js` reads them.
        pictures: one data URI per image.
        num_images: of each set, whether shown or not.
        looked: the arms that looked again at an image, in the page's order.
        opens: of these the one that the viewer opens with; None where no second look found anybody.
    """

    images: list[dict] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    num_images: dict[str, int] = field(default_factory=dict)
    looked: list[str] = field(default_factory=list)
    opens: str | None = None


def view(sets: Sequence[EvaluationSet], pair: Sequence[str], num_images: int) -> Viewer:
    """Choose images of each set and gather their layers.

    Args:
        sets: the evaluation sets, in the page's order.
        pair: the two arms that the page compares, the better one last; one where it is alone.
        num_images: images of each set; fewer where all sets together exceed `MOST_IMAGES`.

    Raises:
        UserError: a picture cannot be opened.
    """
    viewer = Viewer()
    count = min(num_images, MOST_IMAGES // max(1, len(sets)))
    for one in sets:
        viewer.num_images[one.name] = one.annotations.num_rows
        images = _Images(one)
        viewer.opens = viewer.opens or images.finder(pair[-1:])
        viewer.looked += [arm for arm in images.looks if arm not in viewer.looked]
        for record, picture in images.chosen(pair, viewer.opens, count):
            viewer.images.append(record)
            viewer.pictures.append(picture)
    return viewer


class _Images:
    """The images of one set with everything known about them, by row of the annotations."""

    def __init__(self, one: EvaluationSet) -> None:
        labels = one.annotations["labels"].combine_chunks().flatten()
        asked = sorted({*labels.unique().to_pylist()} - {ANY_LABEL})
        self.set = one
        self.names = one.annotations["image_id"].to_pylist()
        self.answers = {
            arm: answered(one.annotations, table, asked) for arm, table in one.predictions.items()
        }
        looks = {
            arm: second_looks(images, one.predictions[arm]) for arm, images in self.answers.items()
        }
        self.looks = {arm: of_arm for arm, of_arm in looks.items() if any(of_arm)}
        self.audit = None if one.audit is None else against_labels(one.audit)
        self.regions = None if one.variance is None else regions_only(one.variance)
        self.uncertainty = _mean_uncertainty(self.regions)

    def finder(self, best: Sequence[str]) -> str | None:
        """The arm whose second look is shown first, of those that found somebody by one.

        The best arm's own looks come first, then the best arm. What the oracle finds is shown last:
        it was told where to look.
        """
        wanted = [name for arm in best for name in (f"{one_view(arm)}+own", arm)]
        others = sorted(self.looks, key=is_told)
        arms = [arm for arm in (*wanted, *others) if arm in self.looks]
        return next((arm for arm in arms if any(self._num_found(arm))), None)

    def _num_found(self, arm: str) -> list[int]:
        """Of each image, how many objects an arm's second look found."""
        nobody = [None] * len(self.names)
        return [0 if look is None else len(look.found) for look in self.looks.get(arm, nobody)]

    def chosen(
        self, pair: Sequence[str], looking: str | None, count: int
    ) -> Iterator[tuple[dict, str]]:
        """(record, data URI) of `count` images, in the order of the annotations."""
        rows = choose(self._orders(pair, looking), len(self.names), count)
        images = self.set.annotations.take(pa.array(list(rows), pa.int64()))
        regions, suspects = _by_image(images, self.regions), _by_image(images, self.audit)
        for at, (row, image) in enumerate(zip(rows, images.to_pylist(), strict=True)):
            record = self._record(row, image) | {
                "why": rows[row],
                "regions": _regions(regions[at], (image["width"], image["height"])),
                "suspects": [_suspect(suspect) for suspect in suspects[at]],
            }
            picture = open_picture(image["image"], LARGEST_SIDE, image.get("exif", TURN))
            yield record, data_uri(picture)

    def _orders(self, pair: Sequence[str], looking: str | None) -> dict[str, list[int]]:
        """Rows by criterion, the most telling first, without those that tell nothing."""
        quality = {arm: np.array([f1(one.judged[0]) for one in self.answers[arm]]) for arm in pair}
        best = quality[pair[-1]]
        orders = {"worst": _largest_first(1 - best)}
        if self.set.variance is not None:
            mean = [self.uncertainty.get(name, 0.0) for name in self.names]
            orders["uncertain"] = _largest_first(np.array(mean))
        if len(pair) == 2:
            orders["differ"] = _largest_first(np.abs(best - quality[pair[0]]))
        if self.audit is not None:
            suspects = self.audit.sort_by("rank")["image_id"].unique()
            rows = image_rows(suspects, self.set.annotations["image_id"])
            orders["suspect"] = rows[rows >= 0].tolist()
        if looking is not None:
            orders["again"] = _largest_first(np.array(self._num_found(looking)))
        return orders

    def _record(self, row: int, image: dict) -> dict:
        there = next(iter(self.answers.values()))[row]  # what is annotated is the same for all
        seen = [
            None if share is None else round(share, 2)
            for share, ignored in zip(image["visibility"], image["ignore"], strict=True)
            if not ignored
        ]
        return {
            "id": image["image_id"],
            "set": self.set.name,
            "width": image["width"],
            "height": image["height"],
            "people": [
                [*_short(box), share, label]
                for box, share, label in zip(there.objects, seen, there.object_labels, strict=True)
            ],
            "ignore": [_short(box) for box in there.ignore],
            "uncertainty": round(self.uncertainty.get(image["image_id"], 0.0), 3),
            "answers": [
                _answer(images[row], self.set.predictions[arm]["text"][row].as_py())
                | (_again(self.looks[arm][row]) if arm in self.looks else {})
                for arm, images in self.answers.items()
            ],
        }


def answered(annotations: pa.Table, answers: pa.Table, asked: list[str]) -> list[AnsweredImage]:
    """Each image with an arm's answer; boxes without a confidence have NaN."""
    confidences = answers["confidence"].to_pylist()
    lengths = answers["boxes"].combine_chunks().value_lengths().fill_null(0).to_pylist()
    scores = [
        given if given and len(given) == length else np.full(length, np.nan)
        for given, length in zip(confidences, lengths, strict=True)
    ]
    return answered_images(annotations, answers, scores, [asked] * len(scores))


def _answer(image: AnsweredImage, text: str) -> dict:
    """An arm's answer to an image, judged at IoU 0.5."""
    return _judged(image) | {
        "looks": [_short(box) for box in image.look_boxes],
        "quality": round(f1(image.judged[0]), 3),
        "readable": image.response.answer is not None,
        "text": _begin(text, LONGEST_TEXT),
    }


def _judged(image: AnsweredImage) -> dict:
    """The boxes of an answer: side by side what is right, how near it is and how sure."""
    judged = image.judged[0]
    overlap = iou(image.boxes, image.objects).max(axis=1, initial=0.0)
    state = np.where(judged.matched, HIT, np.where(judged.ignored, SKIPPED, FALSE))
    return {
        "boxes": [
            [*_short(box), int(kind), round(float(near), 2), _rounded(score)]
            for (*box, score), kind, near in zip(image.detections, state, overlap, strict=True)
        ],
        "missed": np.flatnonzero(~judged.found).tolist(),
        "hits": judged.hits,
        "false": int(judged.false.sum()),
    }


def _again(look: SecondLook | None) -> dict:
    """The second look at an image, where there was one."""
    if look is None:
        return {}
    record = {
        "first": _judged(look.first),
        "windows": [_short(window) for window in look.windows],
        "texts": [_begin(text, LONGEST_CROP_TEXT) for text in look.texts],
        "view": look.view.tolist(),
        "state": look.state.tolist(),
        "found": look.found.tolist(),
    }
    return {"again": record}


def _begin(text: str, longest: int) -> str:
    return text if len(text) <= longest else text[:longest] + " ..."


def f1(judged: Judged) -> float:
    """F1 of one image's answer; 1 where nobody is there and nothing was answered.

    >>> from dipr1.evaluation.answers import judge
    >>> f1(judge([[0, 0, 2, 2], [5, 5, 6, 6]], [[0, 0, 2, 2]], [])[0])
    0.6666666666666666
    """
    total = judged.num_counted + len(judged.found)
    return 2 * judged.hits / total if total else 1.0


def choose(orders: dict[str, list[int]], num_rows: int, count: int) -> dict[int, list[str]]:
    """Rows to show and why: the first of each order, and a random sample for the rest.

    Args:
        orders: rows by criterion, the most telling first.
        num_rows: rows that there are.
        count: how many to choose; all where there are fewer.

    Returns:
        Criteria by row, rows increasing. "random" is a sample of *all* rows: those that another
        criterion had chosen before stay in it.

    >>> choose({"worst": [2, 0, 1]}, 3, 2)
    {0: ['random'], 2: ['worst', 'random']}
    """
    count = min(count, num_rows)
    quota = count // (len(orders) + 1)
    why: dict[int, list[str]] = {}
    for criterion, order in orders.items():
        for row in order[:quota]:
            why.setdefault(row, []).append(criterion)
    for row in np.random.default_rng(0).permutation(num_rows).tolist():
        if len(why) >= count and count < num_rows:
            break
        why.setdefault(row, []).append("random")
    return dict(sorted(why.items()))


def as_json(value: object) -> str:
    """JSON that may stand inside a `<script>` element: no text in it can close the element.

    >>> as_json(["</script>"])
    '["\\\\u003c/script>"]'
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


def _largest_first(values: np.ndarray) -> list[int]:
    """Rows with a value above 0, the largest first, equal ones in their order."""
    order = np.argsort(-values, kind="stable")
    return order[values[order] > 0].tolist()


def _mean_uncertainty(regions: pa.Table | None) -> dict[str, float]:
    """Mean u of the regions of each image."""
    if regions is None:
        return {}
    values = pl.from_arrow(regions.select(["image_id", "uncertainty"]))
    of_images = values.group_by("image_id", maintain_order=True)
    return dict(of_images.agg(pl.col("uncertainty").mean()).iter_rows())


def _by_image(images: pa.Table, table: pa.Table | None) -> list[list[dict]]:
    """The rows about each of the images, in their order."""
    if table is None:
        return [[]] * images.num_rows
    rows, bounds = by_image(images, table)
    rows = rows.to_pylist()
    return [rows[start:end] for start, end in pairwise(bounds)]


def _regions(regions: list[dict], size: tuple[float, float]) -> list[list]:
    """The regions that the looking reward asks for: hull, uncertainty, support, is it a phantom."""
    if not regions:
        return []
    hulls = clip([r["hull"] for r in regions], *size)
    wanted = look_targets(hulls, [r["uncertainty"] for r in regions])
    return [
        [
            *_short(region["hull"]),
            round(region["uncertainty"], 2),
            round(region["support"], 2),
            int(region["kind"] == "phantom"),
        ]
        for region in (regions[index] for index in wanted)
    ]


def _suspect(row: dict) -> dict:
    suggested = row["suggested_box"]
    return {
        "rank": row["rank"],
        "kind": row["kind"],
        "box": _short(row["box"]),
        "suggested": None if suggested is None else _short(suggested),
        "score": round(row["score"], 2),
    }


def _short(box: Sequence[float]) -> list[float | None]:
    """A box in tenths of a pixel; what is not finite becomes null."""
    return [round(float(side), 1) if np.isfinite(side) else None for side in box]


def _rounded(score: float | None) -> float | None:
    return None if score is None or not np.isfinite(score) else round(float(score), 2)
