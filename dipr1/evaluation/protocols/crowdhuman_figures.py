"""CrowdHuman's three figures from files in its own form.

Source: the evaluation code of CrowdHuman's authors; :mod:`dipr1.evaluation.miss_rate` and
:mod:`dipr1.evaluation.jaccard` compute what is read here.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np

from dipr1.evaluation.jaccard import jaccard_index
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.protocols.files import Where, read_json_lines
from dipr1.evaluation.protocols.records import boxes_of, columns, images_of, index_of, xyxy
from dipr1.evaluation.ranked import crowdhuman_ap, log_average_miss_rate_of
from dipr1.progress import say


def crowdhuman(ground_truth: str, detections: str) -> dict[str, float]:
    """AP, MR and JI of CrowdHuman's full bodies.

    Images without a record in `detections` are images where nothing was found.
    """
    truth, truth_line = read_json_lines(ground_truth, "gtboxes")
    answers, answer_line = read_json_lines(detections, "dtboxes")
    names = [record["ID"] for record in answers]
    index_of(names, answer_line)
    index = index_of([record["ID"] for record in truth], truth_line)
    image = images_of(names, index, answer_line, ground_truth)
    if len(answers) < len(truth):
        say(
            f"{detections}: {len(truth) - len(answers)} of {len(truth)} images have no record;"
            " nothing was found in them"
        )
    sizes = np.full((len(index), 2), np.inf)
    sizes[image] = _sizes([truth[row] for row in image], answers, image, truth_line, answer_line)
    boxes = _answered(answers, image, len(index), answer_line), *_annotated(truth, truth_line)
    ranked = crowdhuman_ranked(*boxes, sizes)
    return {
        "AP": crowdhuman_ap(ranked),
        "MR": log_average_miss_rate_of(ranked),
        "JI": jaccard_index(*boxes, sizes),
    }


def _sizes(
    truths: Sequence[dict],
    answers: Sequence[dict],
    image: np.ndarray,
    truth_line: Where,
    answer_line: Where,
) -> np.ndarray:
    """(N, 2) width and height of each answered image.

    As in the program of the authors, those of the ground truth count where it has both.
    """
    stated = [{"width", "height"} <= truth.keys() for truth in truths]
    records = np.where(stated, truths, answers).tolist()
    sides = columns(
        records,
        {"width": 1, "height": 1},
        lambda at: truth_line(image[at]) if stated[at] else answer_line(at),
    )
    return np.hstack([sides["width"], sides["height"]])


def _answered(
    answers: Sequence[dict], image: np.ndarray, num_images: int, where: Where
) -> list[np.ndarray]:
    """The scored boxes of each image."""
    record, boxes = _boxes_in(answers, "dtboxes")
    numbers = columns(boxes, {"box": 4, "score": 1}, boxes_of(where, record))
    scored = np.hstack([xyxy(numbers["box"]), numbers["score"]])
    return _per_image(scored, image[record], num_images)


def _annotated(truth: Sequence[dict], where: Where) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """The people of each image, and its areas to ignore."""
    record, people = _boxes_in(truth, "gtboxes")
    bodies = xyxy(columns(people, {"fbox": 4}, boxes_of(where, record))["fbox"])
    ignored = np.array([_is_ignored(person) for person in people], bool)
    return (
        _per_image(bodies[~ignored], record[~ignored], len(truth)),
        _per_image(bodies[ignored], record[ignored], len(truth)),
    )


def _boxes_in(records: Sequence[dict], name: str) -> tuple[np.ndarray, list[dict]]:
    """The boxes in the list `name` of each record, one under another, and each one's record."""
    counts = [len(record[name]) for record in records]
    boxes = [box for record in records for box in record[name]]
    return np.repeat(np.arange(len(records)), counts), boxes


def _is_ignored(person: dict) -> bool:
    extra = person.get("extra")
    is_marked = isinstance(extra, dict) and bool(extra.get("ignore", 0))
    return person.get("tag") != "person" or is_marked


def _per_image(rows: np.ndarray, image: np.ndarray, num_images: int) -> list[np.ndarray]:
    """The rows of each image, in their order."""
    order = np.argsort(image, kind="stable")
    bounds = np.searchsorted(image[order], np.arange(num_images + 1)).tolist()
    rows = rows[order]
    return [rows[begin:end] for begin, end in itertools.pairwise(bounds)]
