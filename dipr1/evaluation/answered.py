"""Images with what is there and what was answered: all that is known of each, in one place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANY_LABEL, objects_and_areas
from dipr1.artifacts.columns import box_arrays, ragged, split_rows
from dipr1.evaluation.answers import Judged, judge
from dipr1.evaluation.error_kinds import BROKEN_OFF, FALSE, MISSED, false_kinds, missed_kinds
from dipr1.evaluation.looks import looked
from dipr1.responses import Form, Response, box_labels, parse_response
from dipr1.rewards.faults import num_swallowing


@dataclass(frozen=True)
class AnsweredImage:
    """One image and the answer to it, in the image frame.

    Attributes:
        detections: (N, 5) xyxy and score of the answered boxes.
        labels: N labels; None where none is written and several are asked for.
        look_boxes: (K, 4) xyxy.
        objects: (M, 4) to be found.
        object_labels: M labels.
        visibility: (M,) the visible share of each, NaN where unknown.
        ignore: (L, 4) areas where detections of the same label do not count.
        ignore_labels: L labels; those of areas for all labels are `ANY_LABEL`.
        size: width and height.
        asked: the labels that are asked for.
        response: what the policy wrote, in the model frame.
        form: of the response that was asked for.
        num_crops: windows that were looked at again; None for an answer of one view.
    """

    detections: np.ndarray
    labels: list[str | None]
    look_boxes: np.ndarray
    objects: np.ndarray
    object_labels: list[str]
    visibility: np.ndarray
    ignore: np.ndarray
    ignore_labels: list[str]
    size: tuple[int, int]
    asked: tuple[str, ...]
    response: Response
    form: Form = "steps"
    num_crops: int | None = None

    @property
    def boxes(self) -> np.ndarray:
        """(N, 4) xyxy of the answered boxes."""
        return self.detections[:, :4]

    @cached_property
    def judged(self) -> list[Judged]:
        """Which boxes are right at IoU 0.5, and which at 0.75."""
        boxes = self.boxes, self.objects, self.ignore
        labels = self.labels, self.object_labels, self.ignore_labels
        return judge(*boxes, *labels, (0.5, 0.75))

    @cached_property
    def wrong(self) -> dict[str, int]:
        """How many false boxes and missed objects are of which kind."""
        half = self.judged[0]
        given = self.boxes, self.labels, self.objects, self.object_labels
        cut_off = self.response.answer is None or bool(BROKEN_OFF & {*self.response.problems})
        kinds = false_kinds(*given)
        false = kinds[half.false]
        missed = missed_kinds(*given, half, kinds, cut_off=cut_off)[~half.found]
        counts = {f"false_{name}": int((false == k).sum()) for k, name in enumerate(FALSE)}
        counts |= {f"missed_{name}": int((missed == k).sum()) for k, name in enumerate(MISSED)}
        return counts | {"swallowing": num_swallowing(self.boxes, self.objects)}

    def figures(self) -> dict[str, Any]:
        """The columns of the images artifact that are about the answer taken as it is.

        Those about looking are None where no look was asked for: it was not refused.
        """
        half, strict = self.judged
        look = vars(looked(self.look_boxes, self.boxes, self.objects, half, self.size))
        looks = {f"look_{name}": value for name, value in look.items()}
        looks |= {"num_looks": len(self.look_boxes)}
        if self.form == "answer":
            looks = dict.fromkeys(looks)
        return {
            "well_formed": self.response.in_form(self.form),
            "readable": self.response.answer is not None,
            "num_objects": len(self.objects),
            "num_boxes": len(self.boxes),
            "num_counted": half.num_counted,
            "hits50": half.hits,
            "num_counted75": strict.num_counted,
            "hits75": strict.hits,
            "errors": len(self.objects) + half.num_counted - 2 * half.hits,
            "object_height": (self.objects[:, 3] - self.objects[:, 1]) / self.size[1],
            "object_visibility": self.visibility,
            "object_found": half.found,
        } | looks


def answered_images(
    annotations: pa.Table,
    predictions: pa.Table,
    scores: Sequence[np.ndarray],
    asked: Sequence[Sequence[str]],
) -> list[AnsweredImage]:
    """Put together what is about the same image.

    Args:
        annotations, predictions: rows of the artifacts, those of one image at the same place.
        scores: per image one per answered box.
        asked: per image the labels that are asked for.
    """
    _, offsets = ragged(annotations["ignore"])
    return [
        _answered(*of_image)
        for of_image in zip(
            zip(*(annotations[name].to_pylist() for name in ("width", "height")), strict=True),
            annotations["labels"].to_pylist(),
            box_arrays(annotations["boxes"]),
            *(split_rows(those, offsets) for those in objects_and_areas(annotations)),
            _visibility(annotations),
            asked,
            predictions["text"].to_pylist(),
            *(box_arrays(predictions[name]) for name in ("boxes", "look_boxes")),
            scores,
            forms_of(predictions),
            *(_optional(predictions, name) for name in ("labels", "num_crops")),
            strict=True,
        )
    ]


def forms_of(predictions: pa.Table) -> list[Form]:
    """The form of response that each row was asked for."""
    return [form or "steps" for form in _optional(predictions, "form")]


def _answered(
    size,
    labels,
    boxes,
    objects,
    areas,
    visibility,
    asked,
    text,
    answer,
    look,
    scores,
    form,
    of_views,
    crops,
):
    """One image, of what each artifact says of it."""
    response = parse_response(text, asked)
    answer = np.empty((0, 4)) if answer is None else answer
    is_asked = np.array([label in (*asked, ANY_LABEL) for label in labels], bool)
    return AnsweredImage(
        detections=np.column_stack([answer, scores]),
        labels=box_labels(response, len(answer), asked) if of_views is None else of_views,
        look_boxes=np.empty((0, 4)) if look is None else look,
        objects=boxes[is_asked & objects],
        object_labels=[labels[box] for box in np.flatnonzero(is_asked & objects)],
        visibility=visibility[is_asked & objects],
        ignore=boxes[is_asked & areas],
        ignore_labels=[labels[box] for box in np.flatnonzero(is_asked & areas)],
        size=size,
        asked=tuple(asked),
        response=response,
        form=form,
        num_crops=crops,
    )


def _visibility(annotations: pa.Table) -> list[np.ndarray]:
    """(n,) the visible share of each box of an image, NaN where unknown."""
    _, offsets = ragged(annotations["boxes"])
    known = annotations["visibility"].to_pylist()
    rows = zip(known, np.diff(offsets), strict=True)
    return [np.array([None] * num if row is None else row, np.float64) for row, num in rows]


def _optional(predictions: pa.Table, name: str) -> list[Any]:
    """A column that not all predictions have, None in its place."""
    there = name in predictions.column_names
    return predictions[name].to_pylist() if there else [None] * predictions.num_rows
