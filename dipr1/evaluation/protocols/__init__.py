"""The official protocols on the official files (`dipr1 evaluate --protocol`).

Each protocol reads ground truth and detections in the form that its own evaluation program reads,
and gives the figures that the program prints, by its names:

| protocol | figures | ground truth | detections |
|---|---|---|---|
| crowdhuman | AP, MR, JI (shares) | `annotation_val.odgt` | lines `ID, width, height, dtboxes` |
| citypersons | MR of four subsets (percent) | `val_gt.json` | list of results as COCO's |
| coco | the twelve of the summary (shares) | `instances_*.json` | list of results |
| wider | Average AP (share) | `val_bbox.txt`, ignore file beside | lines `name score x y w h` |
| uavdt | AP_overall (percent) | folder of `*_gt_whole.txt` | folder of `{sequence}.txt` |

A figure is null where nothing is to be found; COCO's is -1 there, as its program has it.
"""

from __future__ import annotations

import argparse
import itertools
import json
import math
import os
import re
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dipr1.artifacts.writing import whole
from dipr1.errors import UserError
from dipr1.evaluation.coco_ap import Objects, coco_summary
from dipr1.evaluation.jaccard import jaccard_index
from dipr1.evaluation.miss_rate import crowdhuman_ranked
from dipr1.evaluation.protocols.citypersons_miss_rate import People, citypersons_miss_rates
from dipr1.evaluation.protocols.files import (
    BoxPlaces,
    Places,
    columns,
    ids,
    images_of,
    index_of,
    read_json,
    read_json_lines,
    read_json_list,
    read_named_lines,
    read_table,
    stacked,
    xyxy,
)
from dipr1.evaluation.protocols.uavdt_ap import uavdt_ap
from dipr1.evaluation.protocols.wider_ap import wider_map
from dipr1.evaluation.ranked import crowdhuman_ap, log_average_miss_rate_of
from dipr1.matching import Stack
from dipr1.progress import say

PEDESTRIAN = 1
"""The only one of CityPersons' categories that its evaluation looks at."""

UAVDT_TEST = frozenset(
    f"M{number:04}"
    for number in (203, 205, 208, 209, 403, 601, 602, 606, 701, 801)
    + (802, 1001, 1004, 1007, 1009, 1101, 1301, 1302, 1303, 1401)
)
"""The sequences of UAVDT's test set."""


def add_protocol_arguments(parser: argparse.ArgumentParser) -> None:
    """Flags of ``dipr1 evaluate --protocol``, but for ``--json`` and ``--output``."""
    parser.add_argument(
        "--protocol",
        choices=sorted(PROTOCOLS),
        help="compute a benchmark's official figures from its own files; needs --ground-truth and"
        " --detections, and nothing else",
    )
    parser.add_argument("--ground-truth", help="the benchmark's annotation file or folder")
    parser.add_argument("--detections", help="detections in the benchmark's own form")
    parser.add_argument(
        "--ignore",
        help="wider: file of the areas to ignore (default: the one beside the ground truth with"
        " `ignore` in its name)",
    )
    parser.add_argument(
        "--wrap-fault",
        action="store_true",
        help="citypersons: where a reference is below the first false positive, read the recall of"
        " all detections, as the official program does by mistake",
    )


def run_protocol(args: argparse.Namespace) -> None:
    """Print the figures of ``args.protocol``; with ``args.output`` write them as JSON, too.

    Raises:
        UserError: a flag is missing or a file is not what the protocol reads.
    """
    for flag in ("ground_truth", "detections"):
        if not getattr(args, flag):
            raise UserError(
                f"--protocol {args.protocol}: --{flag.replace('_', '-')} is missing; give both"
                " --ground-truth and --detections"
            )
    if args.wrap_fault and args.protocol != "citypersons":
        raise UserError(f"--wrap-fault: only for --protocol citypersons, not {args.protocol}")
    if args.ignore and args.protocol != "wider":
        raise UserError(f"--ignore: only for --protocol wider, not {args.protocol}")
    values = official_figures(
        args.protocol,
        args.ground_truth,
        args.detections,
        ignore=args.ignore,
        wrap_fault=args.wrap_fault,
    )
    text = json.dumps({name: _defined(value) for name, value in values.items()}, indent=2)
    if args.output:
        with whole(args.output) as part:
            part.write_text(text + "\n")
    print(text if args.json else _as_lines(args.protocol, values))


def official_figures(
    protocol: str,
    ground_truth: str,
    detections: str,
    *,
    ignore: str | None = None,
    wrap_fault: bool = False,
) -> dict[str, float]:
    """The official figures of one set of detections.

    Args:
        protocol: one of `PROTOCOLS`.
        ground_truth: path of the annotations.
        detections: path of the detections.
        ignore: path of WIDER's file of areas to ignore.
        wrap_fault: reproduce the fault of CityPersons' program
            (:mod:`dipr1.evaluation.protocols.citypersons_miss_rate`).

    Returns:
        Value by official name; NaN where nothing is to be found (COCO: -1).

    Raises:
        UserError: a file is not what the protocol reads.
    """
    options: dict[str, Any] = {}
    if protocol == "wider":
        options["ignore"] = ignore
    if protocol == "citypersons":
        options["wrap_fault"] = wrap_fault
    return PROTOCOLS[protocol](ground_truth, detections, **options)


def _defined(value: float) -> float | None:
    return None if math.isnan(value) else value


def _as_lines(protocol: str, values: dict[str, float]) -> str:
    """One aligned line per figure, as precise as the official program prints it."""
    width = max(map(len, values))
    pattern = {"citypersons": "{:6.2f}%", "uavdt": "{:6.2f}%"}.get(protocol, "{:7.4f}")
    return "\n".join(
        f"{name:<{width}}  " + ("      -" if math.isnan(value) else pattern.format(value))
        for name, value in values.items()
    )


# --- CrowdHuman -----------------------------------------------------------------------------------


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
    where, found = _boxes_in(answers, "dtboxes")
    numbers = columns(detections, found, {"box": 4, "score": 1}, BoxPlaces(answer_lines, where))
    scored = np.hstack([xyxy(numbers["box"]), numbers["score"]])
    where_people, people = _boxes_in(truth, "gtboxes")
    bodies = columns(ground_truth, people, {"fbox": 4}, BoxPlaces(truth_lines, where_people))
    bodies = xyxy(bodies["fbox"])
    ignored = np.array([_is_ignored(person) for person in people], bool)
    boxes = (
        _per_image(scored, image[where], len(index)),
        _per_image(bodies[~ignored], where_people[~ignored], len(index)),
        _per_image(bodies[ignored], where_people[ignored], len(index)),
        sizes,
    )
    ranked = crowdhuman_ranked(*boxes)
    return {
        "AP": crowdhuman_ap(ranked),
        "MR": log_average_miss_rate_of(ranked),
        "JI": jaccard_index(*boxes),
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


# --- COCO and CityPersons -------------------------------------------------------------------------


def coco(ground_truth: str, detections: str) -> dict[str, float]:
    """The twelve figures of COCO's summary; -1 where nothing of that size is to be found."""
    truth = _Truth(ground_truth)
    results = _Results(detections, truth)
    numbers = truth.columns({"bbox": 4})
    own_area = numbers["bbox"][:, 2] * numbers["bbox"][:, 3]
    size = truth.columns({"area": 1}, own_area)["area"][:, 0]
    crowd = np.array([bool(row.get("iscrowd", 0)) for row in truth.annotations], bool)
    categories = []
    for name in truth.categories:
        rows = truth.rows_of(name)
        boxes = stacked(numbers["bbox"][rows], truth.image[rows])
        objects = Objects(boxes, crowd[rows], size[rows], truth.num_images)
        categories.append((results.of(name)[0], objects))
    values = coco_summary(categories)
    return {name: -1.0 if math.isnan(value) else value for name, value in values.items()}


def citypersons(ground_truth: str, detections: str, wrap_fault: bool = False) -> dict[str, float]:
    """The log-average miss rate in four subsets, in percent."""
    truth = _Truth(ground_truth)
    found, heights = _Results(detections, truth).of(PEDESTRIAN)
    numbers = truth.columns({"bbox": 4, "height": 1, "vis_ratio": 1})
    rows = truth.rows_of(PEDESTRIAN)
    people = People(
        stacked(numbers["bbox"][rows], truth.image[rows]),
        numbers["height"][rows, 0],
        numbers["vis_ratio"][rows, 0],
        np.array([bool(truth.annotations[row].get("ignore", 0)) for row in rows], bool),
        truth.num_images,
    )
    return citypersons_miss_rates(found, heights, people, wrap_fault)


class _Truth:
    """Ground truth in COCO's form: `images` with `id`, `annotations` with `bbox` and ids."""

    def __init__(self, path: str) -> None:
        document = read_json(path)
        for name in ("images", "annotations"):
            if not isinstance(document, dict) or not isinstance(document.get(name), list):
                raise UserError(f"{path}: expected an object with a list `{name}`, COCO's form")
        self.path = path
        self.annotations: list[dict] = document["annotations"]
        self._places = Places("annotation", len(self.annotations))
        places = Places("image", len(document["images"]))
        names = list(index_of(ids(path, document["images"], "id", places), path, places))
        # the official programs go through images by id
        names.sort(key=lambda name: (isinstance(name, str), name))
        self.index = {name: number for number, name in enumerate(names)}
        self.num_images = len(names)
        image_ids = ids(path, self.annotations, "image_id", self._places)
        self.image = images_of(image_ids, self.index, path, self._places, "its list of images")
        self._category = _Categories(ids(path, self.annotations, "category_id", self._places))
        listed = document.get("categories")
        self.categories = (
            ids(path, listed, "id", Places("category", len(listed)))
            if isinstance(listed, list)
            else self._category.names
        )

    def columns(
        self, sizes: dict[str, int], default: np.ndarray | None = None
    ) -> dict[str, np.ndarray]:
        """Numeric fields of the annotations; where one is left out, `default` (one for each)."""
        rows: Sequence[dict] = self.annotations
        if default is not None:
            rows = [
                {name: row.get(name, value) for name in sizes}
                for row, value in zip(rows, default.tolist(), strict=True)
            ]
        return columns(self.path, rows, sizes, self._places)

    def rows_of(self, category: Hashable) -> np.ndarray:
        """The annotations of a category, image after image."""
        rows = self._category.rows_of(category)
        return rows[np.argsort(self.image[rows], kind="stable")]


class _Results:
    """A file of results: a list of `image_id, category_id, bbox [x, y, w, h], score`."""

    def __init__(self, path: str, truth: _Truth) -> None:
        records = read_json_list(path)
        places = Places("record", len(records))
        numbers = columns(path, records, {"bbox": 4, "score": 1}, places)
        self._boxes, self._score = numbers["bbox"], numbers["score"][:, 0]
        image_ids = ids(path, records, "image_id", places)
        self._image = images_of(image_ids, truth.index, path, places, truth.path)
        self._category = _Categories(ids(path, records, "category_id", places))

    def of(self, category: Hashable) -> tuple[Stack, np.ndarray]:
        """The detections of a category, image after image, and their heights."""
        rows = self._category.rows_of(category)
        rows = rows[np.argsort(self._image[rows], kind="stable")]
        boxes = self._boxes[rows]
        return stacked(boxes, self._image[rows], self._score[rows]), boxes[:, 3]


class _Categories:
    """The category of each record."""

    def __init__(self, categories: Sequence[Hashable]) -> None:
        self.names = list(dict.fromkeys(categories))
        self._codes = {name: code for code, name in enumerate(self.names)}
        self._code = np.array([self._codes[name] for name in categories], np.int64)

    def rows_of(self, category: Hashable) -> np.ndarray:
        return np.flatnonzero(self._code == self._codes.get(category, -1))


# --- WIDER Pedestrian -----------------------------------------------------------------------------


def wider(ground_truth: str, detections: str, ignore: str | None = None) -> dict[str, float]:
    """The challenge's mean average precision.

    The ground truth of 2018 has five numbers per box, the first a class (all count alike), that of
    2019 has four; areas to ignore are treated as that year's script did.
    """
    names, rows, places = read_named_lines(ground_truth)
    per_box = _numbers_per_box(rows, ground_truth)
    # the scripts go through images by name
    index = {name: row for row, name in enumerate(sorted(index_of(names, ground_truth, places)))}
    pedestrians = _boxes_of_lines(names, rows, per_box, index)
    ignore = ignore or _ignore_file(ground_truth)
    names, rows, places = read_named_lines(ignore) if ignore else ([], [], [])
    for place, row in zip(places, rows, strict=True):
        if len(row) % 4:
            raise UserError(f"{ignore}: {place}: expected a name and x y width height per area")
    if ignore is None:
        say(f"{ground_truth}: no file of areas to ignore beside it; give one with --ignore")
    areas = _boxes_of_lines(names, rows, 4, index)
    found = _wider_detections(detections, index, ground_truth)
    year = 2018 if per_box == 5 else 2019
    return {"Average AP": wider_map(found, pedestrians, areas, len(index), year)}


def _numbers_per_box(rows: Sequence[Sequence[float]], path: str) -> int:
    if all(len(row) % 5 == 0 and {1.0, 2.0}.issuperset(row[::5]) for row in rows):
        return 5
    if all(len(row) % 4 == 0 for row in rows):
        return 4
    raise UserError(
        f"{path}: expected a name and, per box, either class (1 or 2) x y width height or"
        " x y width height, the same in all lines"
    )


def _boxes_of_lines(
    names: Sequence[str], rows: Sequence[Sequence[float]], per_box: int, index: dict[str, int]
) -> Stack:
    """The boxes of `name [number]*` lines; images that are not in the index are left out."""
    known = [(index[name], row) for name, row in zip(names, rows, strict=True) if name in index]
    numbers = np.array([number for _, row in known for number in row], np.float64)
    image = np.repeat(
        np.array([image for image, _ in known], np.int64), [len(row) // per_box for _, row in known]
    )
    return stacked(numbers.reshape(-1, per_box)[:, -4:], image)


def _wider_detections(path: str, index: dict[str, int], ground_truth: str) -> Stack:
    if path.endswith(".json"):
        records = read_json_list(path)
        places: Sequence[str] = Places("record", len(records))
        names: Sequence[Hashable] = ids(path, records, "image_id", places)
        numbers = columns(path, records, {"score": 1, "bbox": 4}, places)
        table = np.hstack([numbers["score"], numbers["bbox"]])
    else:
        names, rows, places = read_named_lines(path)
        for place, row in zip(places, rows, strict=True):
            if len(row) != 5:
                raise UserError(f"{path}: {place}: expected name, score, x, y, width and height")
        table = np.array(rows, np.float64).reshape(-1, 5)
    image = images_of(names, index, path, places, ground_truth)
    return stacked(table[:, 1:], image, table[:, 0])


def _ignore_file(path: str) -> str | None:
    """The file beside the ground truth with `ignore` in its name and the same split, if any."""
    splits = {"train", "val", "test"}.intersection(re.split(r"[_.]", Path(path).name))
    found = sorted(
        file
        for file in Path(path).parent.glob("*ignore*.txt")
        if not splits or splits.intersection(re.split(r"[_.]", file.name))
    )
    if len(found) > 1:
        names = " and ".join(file.name for file in found)
        raise UserError(f"{path}: {names} could both be its ignore file; choose with --ignore")
    return str(found[0]) if found else None


# --- UAVDT ----------------------------------------------------------------------------------------


def uavdt(ground_truth: str, detections: str) -> dict[str, float]:
    """Average precision of vehicles, in percent.

    The sequences that have a file of detections are evaluated; one of the test set that has ground
    truth must have such a file. Vehicles are those of `{sequence}_gt_whole.txt`, as in the toolkit,
    or of `{sequence}_gt.txt` where that is missing.
    """
    names = _sequences(ground_truth, detections)
    found, vehicles, ignore = [], [], []
    for number, name in enumerate(names):
        truth = os.path.join(ground_truth, f"{name}_gt_whole.txt")
        if not os.path.exists(truth):
            truth = os.path.join(ground_truth, f"{name}_gt.txt")
        ignored = os.path.join(ground_truth, f"{name}_gt_ignore.txt")
        found.append(_frames(os.path.join(detections, f"{name}.txt"), 7, number))
        vehicles.append(_frames(truth, 6, number))
        if os.path.exists(ignored):
            ignore.append(_frames(ignored, 6, number))
    # sequence, frame, id, x, y, width, height, score
    tables = [np.concatenate([np.empty((0, 8)), *part]) for part in (found, vehicles, ignore)]
    frames, image = np.unique(np.concatenate(tables)[:, :2], axis=0, return_inverse=True)
    images = np.split(image.reshape(-1), np.cumsum([len(table) for table in tables])[:-1])
    stacks = [
        stacked(table[:, 3:7], own, table[:, 7]) for table, own in zip(tables, images, strict=True)
    ]
    return {"AP_overall": uavdt_ap(*stacks, len(frames))}


def _sequences(ground_truth: str, detections: str) -> list[str]:
    known = {file.name.split("_gt")[0] for file in Path(ground_truth).glob("*_gt*.txt")}
    if not known:
        raise UserError(f"{ground_truth}: no file like M0203_gt_whole.txt; give the GT folder")
    answered = sorted(file.stem for file in Path(detections).glob("*.txt"))
    if not answered:
        raise UserError(f"{detections}: no file like M0203.txt; give the folder of detections")
    for name in answered:
        if name not in known:
            raise UserError(
                f"{detections}: {name}.txt: {ground_truth} has no {name}_gt_whole.txt; name the"
                " files of detections as the sequences"
            )
    missing = sorted((known & UAVDT_TEST).difference(answered))
    if missing:
        raise UserError(
            f"{detections}: {missing[0]}.txt is missing ({len(missing)} such sequences of the test"
            " set); an empty file says that nothing was found"
        )
    return answered


def _frames(path: str, width: int, sequence: int) -> np.ndarray:
    """(N, 8): the sequence's number, the first `width` columns of the file, zeros."""
    rows = read_table(path, width)
    table = np.zeros((len(rows), 8))
    table[:, 0], table[:, 1 : width + 1] = sequence, rows
    return table


PROTOCOLS: dict[str, Callable[..., dict[str, float]]] = {
    "crowdhuman": crowdhuman,
    "citypersons": citypersons,
    "coco": coco,
    "wider": wider,
    "uavdt": uavdt,
}
