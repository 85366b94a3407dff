"""What the page's viewer shows: a choice of images with their layers, as JSON.

Chosen are, per evaluation set, the images the best arm did worst on, those the base policy was
least sure of, those two arms differ most on, those with suspicious labels, and a random sample. An
image says why it was chosen, so that the random ones can be seen alone: only those are fair.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from dipr1.artifacts.aligning import align, by_image, image_rows
from dipr1.artifacts.annotations import objects_and_areas
from dipr1.artifacts.audit import AUDIT
from dipr1.artifacts.columns import box_arrays, ragged, split_rows
from dipr1.artifacts.variance import VARIANCE
from dipr1.boxes import iou
from dipr1.evaluation.answers import Judged, judge
from dipr1.regions import look_targets
from dipr1.report.crops import against_labels
from dipr1.report.pictures import LARGEST_SIDE, data_uri, open_picture
from dipr1.responses import parse_response

MOST_IMAGES = 200  # of all sets together: 200 pictures of 60 kB are 16 MB as base64
LONGEST_TEXT = 6000  # characters of a response
HIT, FALSE, SKIPPED = 0, 1, 2


@dataclass(frozen=True)
class EvaluationSet:
    """One evaluation set, as its artifacts tell it.

    Attributes:
        name: `dataset.split`.
        annotations: the annotations artifact.
        predictions: the samples artifact of each arm, one response per image.
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
    """

    images: list[dict] = field(default_factory=list)
    pictures: list[str] = field(default_factory=list)
    num_images: dict[str, int] = field(default_factory=dict)


def view(sets: Sequence[EvaluationSet], pair: Sequence[str], num_images: int) -> Viewer:
    """Choose images of each set and gather their layers.

    Args:
        sets: the evaluation sets, in the page's order.
        pair: the two arms that the page compares, the better one last; one where it is alone.
        num_images: images of each set; fewer where all sets together exceed `MOST_IMAGES`.

    Raises:
        UserError: a picture cannot be opened, or an arm has no answer to an image.
    """
    viewer = Viewer()
    count = min(num_images, MOST_IMAGES // max(1, len(sets)))
    for one in sets:
        viewer.num_images[one.name] = one.annotations.num_rows
        for record, picture in _Scenes(one).chosen(pair, count):
            viewer.images.append(record)
            viewer.pictures.append(picture)
    return viewer


class _Scenes:
    """The images of one set with everything known about them, by row of the annotations."""

    def __init__(self, one: EvaluationSet) -> None:
        self.set = one
        table = one.annotations
        self.boxes = box_arrays(table["boxes"])
        _, offsets = ragged(table["ignore"])
        self.objects, self.areas = (
            split_rows(those, offsets) for those in objects_and_areas(table)
        )
        self.labels = table["labels"].to_pylist()
        self.asked = sorted({label for labels in self.labels for label in labels})
        self.answers = {arm: self._answers(arm, rows) for arm, rows in one.predictions.items()}
        variance = VARIANCE.schema.empty_table() if one.variance is None else one.variance
        audit = AUDIT.schema.empty_table() if one.audit is None else one.audit
        self.regions = by_image(table, variance)
        self.suspects = by_image(table, against_labels(audit))
        regions, bounds = self.regions
        by_row = split_rows(regions["uncertainty"].to_numpy(), bounds)
        self.uncertainty = [float(part.mean()) if len(part) else 0.0 for part in by_row]

    def _answers(self, arm: str, table: pa.Table) -> list[tuple]:
        """(boxes, look boxes, confidences, text) of each row of the annotations."""
        names = f"the annotations of {self.set.name}", f"--predictions: arm {arm!r}"
        table = align(self.set.annotations, table, *names)
        boxes = (box_arrays(table[name]) for name in ("boxes", "look_boxes"))
        texts = (table[name].to_pylist() for name in ("confidence", "text"))
        return list(zip(*boxes, *texts, strict=True))

    def judged(self, arm: str, row: int) -> Judged:
        """What an arm's answer to an image is worth; labels count where there are several."""
        boxes, _, _, text = self.answers[arm][row]
        boxes = np.empty((0, 4)) if boxes is None else boxes
        objects, ignore = self.boxes[row][self.objects[row]], self.boxes[row][self.areas[row]]
        if len(self.asked) < 2:
            return judge(boxes, objects, ignore)
        answer = parse_response(text, self.asked).answer
        labels = list(answer.labels) if answer else []
        return judge(
            boxes,
            objects,
            ignore,
            labels if len(labels) == len(boxes) else [None] * len(boxes),
            [self.labels[row][box] for box in np.flatnonzero(self.objects[row])],
        )

    def chosen(self, pair: Sequence[str], count: int) -> Iterator[tuple[dict, str]]:
        """(record, data URI) of `count` images, in the order of the annotations."""
        for row, why in choose(self._orders(pair), len(self.boxes), count).items():
            record = self._record(row) | {
                "why": why,
                "regions": _regions(_of_image(self.regions, row)),
                "suspects": [_suspect(suspect) for suspect in _of_image(self.suspects, row)],
            }
            yield record, self._picture(row)

    def _orders(self, pair: Sequence[str]) -> dict[str, list[int]]:
        """Rows by criterion, the most telling first; images about which there is nothing to tell
        are left out."""
        quality = {
            arm: np.array([f1(self.judged(arm, row)) for row in range(len(self.boxes))])
            for arm in pair
        }
        best = quality[pair[-1]]
        orders = {"worst": _ranked(1 - best)}
        if self.set.variance is not None:
            orders["uncertain"] = _ranked(np.array(self.uncertainty))
        if len(pair) == 2:
            orders["differ"] = _ranked(np.abs(best - quality[pair[0]]))
        if self.set.audit is not None:
            images = self.suspects[0].sort_by("rank")["image_id"]
            rows = image_rows(images, self.set.annotations["image_id"])
            orders["suspect"] = list(dict.fromkeys(rows.tolist()))
        return orders

    def _picture(self, row: int) -> str:
        return data_uri(open_picture(self.set.annotations["image"][row].as_py(), LARGEST_SIDE))

    def _record(self, row: int) -> dict:
        image, boxes = self.set.annotations.slice(row, 1).to_pylist()[0], self.boxes[row]
        seen = image["visibility"] or [None] * len(boxes)
        return {
            "id": image["image_id"],
            "set": self.set.name,
            "width": image["width"],
            "height": image["height"],
            "people": [
                [*_short(boxes[box]), _rounded(seen[box]), image["labels"][box]]
                for box in np.flatnonzero(self.objects[row])
            ],
            "ignore": [_short(box) for box in boxes[self.areas[row]]],
            "uncertainty": round(self.uncertainty[row], 3),
            "answers": [self._answer(arm, row) for arm in self.answers],
        }

    def _answer(self, arm: str, row: int) -> dict:
        boxes, looks, confidence, text = self.answers[arm][row]
        judged = self.judged(arm, row)
        readable = boxes is not None
        boxes = np.empty((0, 4)) if boxes is None else boxes
        objects = self.boxes[row][self.objects[row]]
        overlap = iou(boxes, objects).max(axis=1, initial=0.0)
        state = np.where(judged.matched, HIT, np.where(judged.ignored, SKIPPED, FALSE))
        scores = confidence if confidence and len(confidence) == len(boxes) else [None] * len(boxes)
        return {
            "boxes": [
                [*_short(box), int(kind), round(float(near), 2), _rounded(score)]
                for box, kind, near, score in zip(boxes, state, overlap, scores, strict=True)
            ],
            "looks": [] if looks is None else [_short(box) for box in looks],
            "missed": np.flatnonzero(~judged.found).tolist(),
            "hits": int(judged.matched.sum()),
            "false": int((state == FALSE).sum()),
            "quality": round(f1(judged), 3),
            "readable": readable,
            "text": text if len(text) <= LONGEST_TEXT else text[:LONGEST_TEXT] + " ...",
        }


def f1(judged: Judged) -> float:
    """F1 of one image's answer; 1 where nobody is there and nothing was answered.

    >>> f1(judge([[0, 0, 2, 2], [5, 5, 6, 6]], [[0, 0, 2, 2]], []))
    0.6666666666666666
    """
    total = judged.num_counted + len(judged.found)
    return 2 * int(judged.matched.sum()) / total if total else 1.0


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


def _ranked(values: np.ndarray) -> list[int]:
    """Rows with a value above 0, the largest first, equal ones in their order."""
    order = np.argsort(-values, kind="stable")
    return order[values[order] > 0].tolist()


def _of_image(table_and_bounds: tuple[pa.Table, np.ndarray], row: int) -> list[dict]:
    """The rows about an image, of what `by_image` gives."""
    table, bounds = table_and_bounds
    return table.slice(bounds[row], bounds[row + 1] - bounds[row]).to_pylist()


def _regions(regions: list[dict]) -> list[list]:
    """The regions that the looking reward asks for: hull, uncertainty, support, is it a phantom."""
    if not regions:
        return []
    wanted = look_targets([r["hull"] for r in regions], [r["uncertainty"] for r in regions])
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
