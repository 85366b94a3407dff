"""Boxes and files in the benchmarks' own forms, made at random."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np


def random_boxes(rng: np.random.Generator, count: int) -> list[list[int]]:
    """[x, y, width, height], whole numbers."""
    corners, sides = rng.integers(0, 250, (count, 2)), rng.integers(8, 120, (count, 2))
    return np.hstack([corners, sides]).tolist()


def detections_of(rng: np.random.Generator, boxes: list) -> list[tuple[list[float], float]]:
    """Two boxes near each, some elsewhere; scores with ties."""
    near = np.array([box for box in boxes for _ in range(2)], float).reshape(-1, 4)
    near += rng.normal(0, 4, near.shape)
    near[:, 2:] = np.maximum(near[:, 2:], 2.0)
    found = [*near.round(2).tolist(), *random_boxes(rng, int(rng.integers(0, 5)))]
    return [(box, int(rng.integers(1, 20)) / 20) for box in found]


def xyxy(box: list[float], *rest: float) -> list[float]:
    x, y, width, height = box
    return [x, y, x + width, y + height, *rest]


def write(path: Path, document: object) -> str:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return str(path)


def lines(records: list[dict]) -> str:
    return "".join(json.dumps(record) + "\n" for record in records)


def citypersons_files(folder: Path, seed: int, certain_error: bool) -> tuple[str, str, list, list]:
    rng = np.random.default_rng(seed)
    annotations, results, people, detections = [], [], [], []
    for image_id in range(1, 41):
        plain = []
        for box in random_boxes(rng, int(rng.integers(0, 7))):
            visibility, ignored = round(float(rng.uniform(0, 1)), 3), bool(rng.random() < 0.1)
            row = {"image_id": image_id, "category_id": 1, "bbox": box, "height": box[3]}
            annotations.append(row | {"vis_ratio": visibility, "ignore": int(ignored)})
            plain.append((xyxy(box), visibility, ignored))
        # whole coordinates: the plain loops take the height from the corners
        found = [
            ([round(side) for side in box], score)
            for box, score in detections_of(rng, [row["bbox"] for row in annotations[-3:]])
        ]
        if certain_error and image_id == 3:
            found.append(([2000, 0, 40, 80], 1.5))
        results += [
            {"image_id": image_id, "category_id": 1, "bbox": box, "score": score}
            for box, score in found
        ]
        people.append(plain)
        detections.append([xyxy(box, score) for box, score in found])
    truth = {"images": [{"id": k} for k in range(1, 41)], "annotations": annotations}
    paths = write(folder / "gt.json", truth), write(folder / "dt.json", results)
    return *paths, detections, people


def wider_files(folder: Path, seed: int, year: int) -> tuple[str, str, tuple[dict, dict, dict]]:
    rng = np.random.default_rng(seed)
    truth, ignored, answers = [], [], []
    plain: tuple[dict, dict, dict] = ({}, {}, {})
    for number in rng.permutation(25):
        name = f"img{number:05}.jpg"
        people = random_boxes(rng, int(rng.integers(0, 7)))
        areas = random_boxes(rng, int(rng.integers(0, 3)))
        found = detections_of(rng, people)
        words = [[int(rng.integers(1, 3)), *box] if year == 2018 else box for box in people]
        truth.append(" ".join(map(str, [name, *sum(words, [])])))
        if areas:
            ignored.append(" ".join(map(str, [name, *sum(areas, [])])))
        answers += [f"{name} {score} {' '.join(map(str, box))}" for box, score in found]
        plain[0][name] = [xyxy(box, score) for box, score in found]
        plain[1][name] = [xyxy(box) for box in people]
        plain[2][name] = [xyxy(box) for box in areas]
    names = {
        2018: ("val_annotations.txt", "pedestrian_ignore_part_val.txt"),
        2019: ("val_bbox.txt", "val_ignore.txt"),
    }[year]
    write(folder / names[1], "\n".join([*ignored, "train00000.jpg 1 2 3 4"]))
    write(folder / "train_ignore.txt", "img00000.jpg 0 0 999 999")
    return (
        write(folder / names[0], "\n".join(truth)),
        write(folder / "answers.txt", "\n".join(answers) + "\n"),
        plain,
    )
