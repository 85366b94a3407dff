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
from dipr1.evaluation.protocols.files import read_json_lines
from dipr1.evaluation.protocols.records import BoxPlaces, columns, images_of, index_of, xyxy
from dipr1.evaluation.ranked import crowdhuman_ap, log_average_miss_rate_of
from dipr1.progress import say


def crowdhuman(ground_truth: str, detections: str) -> dict[str, float]:
    """AP, MR and JI of CrowdHuman's full bodies.

    Images without a record in `detections` are images where nothing was found.
    """
    truth, truth_lines = read_json_lines(ground_truth, "gtboxes")
    answers, answer_lines = read_json_lines(detections, "dtboxes")
    names = [record["ID"] for record in answers]
    index_of(names, detections, answer_lines)
    index = index_of([record["ID"] for record in truth], ground_truth, truth_lines)
    image = images_of(names, index, detections, answer_lines, ground_truth)
    if len(answers) < len(truth):
        say(
            f"{detections}: {len(truth) - len(answers)} of {len(truth)} images have no record;"
            " nothing was found in them"
        )
    sides = columns(detections, answers, {"width": 1, "height": 1}, answer_lines)
    sizes = np.full((len(index), 2), np.inf)
    sizes[image] = np.hstack([sides["width"], sides["height"]])
    where, boxes = _boxes_in(answers, "dtboxes")
    numbers = columns(detections, boxes, {"box": 4, "score": 1}, BoxPlaces(answer_lines, where))
    scored = np.hstack([xyxy(numbers["box"]), numbers["score"]])
    where_people, people = _boxes_in(truth, "gtboxes")
    bodies = columns(ground_truth, people, {"fbox": 4}, BoxPlaces(truth_lines, where_people))
    bodies = xyxy(bodies["fbox"])
    ignored = np.array([_is_ignored(person) for person in people], bool)
    of_images = (
        _per_image(scored, image[where], len(index)),
        _per_image(bodies[~ignored], where_people[~ignored], len(index)),
        _per_image(bodies[ignored], where_people[ignored], len(index)),
        sizes,
    )
    ranked = crowdhuman_ranked(*of_images)
    return {
        "AP": crowdhuman_ap(ranked),
        "MR": log_average_miss_rate_of(ranked),
        "JI": jaccard_index(*of_images),
    }


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
