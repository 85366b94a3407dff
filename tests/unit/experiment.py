"""A made-up experiment: the files that a run of the pipeline leaves, without any training.

Pictures and annotations are the built-in scenes; each arm answers by a recipe: find a person with
some probability, at a place that is off by some share of its size, invent boxes, break the form.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pyarrow as pa

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.made import Made
from dipr1.artifacts.prompts import PROMPTS, prompt_rows
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.artifacts.variance import VARIANCE
from dipr1.demo.scenes import Scene, scene
from dipr1.frames import Frame, PolicyFrames
from dipr1.prompts import render_response
from dipr1.regions import box_variance
from dipr1.responses import parse_response

FRAME = PolicyFrames("absolute", fixed=(128, 128))


@dataclass(frozen=True)
class Recipe:
    """How an arm answers."""

    find: float  # probability that a person is found
    jitter: float  # standard deviation of a side, as a share of the box's size
    invent: float  # mean number of boxes where nobody is
    broken: float  # probability that the answer cannot be read
    looks: bool  # looks at the least visible people


RECIPES = {
    "base": Recipe(0.55, 0.10, 1.4, 0.12, False),
    "sft": Recipe(0.66, 0.08, 1.0, 0.02, False),
    "grpo": Recipe(0.74, 0.07, 0.7, 0.01, False),
    "dipr1": Recipe(0.82, 0.05, 0.5, 0.0, True),
}


def make_experiment(
    folder: Path,
    *,
    sets: tuple[tuple[str, str], ...] = (("crowdscenes.validation", "street"),),
    seeds: tuple[int, ...] = (0,),
    arms: tuple[str, ...] = tuple(RECIPES),
    num_images: int = 12,
    updates: int = 20,
) -> None:
    """Write the pictures and every artifact that `evaluate` and `report` read, under `folder`."""
    for name, style in sets:
        scenes = [scene(index, seed=11, style=style) for index in range(num_images)]
        _write_set(folder, name, scenes)
        for arm in arms:
            for seed in seeds[:1] if arm == "base" else seeds:
                rng = np.random.default_rng([seed, *arm.encode()])
                write_predictions(
                    folder / f"results/predictions/{arm}/seed{seed}/{name}.parquet",
                    [answer(drawn, RECIPES[arm], rng) for drawn in scenes],
                    replace(made_of_set(name), arm=arm, seed=seed),
                )
    for arm in arms:
        for seed in seeds:
            if arm != "base":
                _write_log(folder, arm, seed, updates)


def made_of_set(name: str) -> Made:
    """What artifacts about `dataset.split` say of themselves."""
    dataset, split = name.split(".")
    return Made(dataset=dataset, split=split)


def _write_set(folder: Path, name: str, scenes: list[Scene]) -> None:
    dataset, split = name.split(".")
    made = made_of_set(name)
    images = folder / f"results/download/{dataset}/{split}/images"
    images.mkdir(parents=True)
    rows, regions = [], []
    for index, drawn in enumerate(scenes):
        path = images / f"{index:06d}.jpg"
        drawn.image.save(path, quality=92)
        rows.append(annotation(str(index), drawn.boxes, drawn.ignore_boxes, image=str(path)))
        rng = np.random.default_rng([7, index])
        samples = [_detections(drawn, RECIPES["base"], rng) for _ in range(8)]
        for number, region in enumerate(box_variance(samples, drawn.boxes, drawn.ignore_boxes)):
            columns = {name: getattr(region, name, None) for name in VARIANCE.schema.names}
            boxes = {name: getattr(region, name).tolist() for name in ("box", "hull")}
            regions.append(columns | boxes | {"image_id": str(index), "region": number})
    annotations = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    ANNOTATIONS.write(annotations, folder / f"results/annotations/{dataset}/{split}.parquet", made)
    PROMPTS.write(
        prompt_rows(annotations, ["person"], FRAME),
        folder / f"results/prompts/{dataset}/{split}.parquet",
        made,
    )
    VARIANCE.write(
        pa.Table.from_pylist(regions, VARIANCE.schema),
        folder / f"results/variance/{dataset}/{split}.parquet",
        made,
    )


def annotation(
    image_id: str,
    boxes: np.ndarray | list,
    ignore_boxes: np.ndarray | list = (),
    *,
    image: str = "",
    size: tuple[int, int] = (192, 144),
    label: str = "person",
) -> dict:
    """One row of the annotations artifact."""
    people, areas = list(np.reshape(boxes, (-1, 4))), list(np.reshape(ignore_boxes, (-1, 4)))
    return {
        "image_id": image_id,
        "image": image,
        "width": size[0],
        "height": size[1],
        "boxes": people + areas,
        "labels": [label] * len(people + areas),
        "ignore": [False] * len(people) + [True] * len(areas),
        "visibility": [None] * len(people + areas),
    }


def _detections(drawn: Scene, recipe: Recipe, rng: np.random.Generator) -> np.ndarray:
    """(N, 4) boxes that an arm answers, image frame."""
    boxes = drawn.boxes[rng.random(len(drawn.boxes)) < recipe.find].astype(float)
    sides = np.tile(boxes[:, 2:] - boxes[:, :2], 2)
    boxes = boxes + recipe.jitter * sides * rng.standard_normal(boxes.shape)
    corners = rng.uniform([0, 0], [150, 80], (rng.poisson(recipe.invent), 2))
    invented = np.hstack([corners, corners + rng.uniform(20, 60, corners.shape)])
    return np.clip(np.vstack([boxes, invented]), 0, [192, 144, 192, 144])


def answer(drawn: Scene, recipe: Recipe, rng: np.random.Generator) -> str:
    """One response to a scene, in the model frame."""
    frame = Frame.absolute(192, 144, 128, 128, fixed=True)
    boxes = _detections(drawn, recipe, rng)
    hidden = drawn.boxes[drawn.visibility < 0.7] if recipe.looks else boxes[:1]
    text = render_response(
        f"A street with {len(boxes)} people.",
        frame.to_model(hidden),
        frame.to_model(boxes),
        ["person"] * len(boxes),
        ["half hidden"] * len(hidden),
    )
    if rng.random() < recipe.broken:
        return text.partition("<answer>")[0] + "<answer> too many to list </answer>"
    return text


def write_predictions(path: Path, texts: list[str], made: Made | None = None) -> None:
    """Write the responses to images "0", "1", ... as a samples artifact."""
    rows = [*map(_sample, range(len(texts)), texts)]
    SAMPLES.write(pa.Table.from_pylist(rows, SAMPLES.schema), path, made)


def _sample(index: int, text: str) -> dict:
    response = parse_response(text, ["person"])
    frame = Frame.absolute(192, 144, 128, 128, fixed=True)
    answer, look = response.answer, response.look
    num_boxes = 0 if answer is None else len(answer.boxes)
    return {
        "image_id": str(index),
        "sample": 0,
        "text": text,
        "num_tokens": len(text) // 4,
        "problems": list(response.problems),
        "boxes": None if answer is None else list(frame.to_image(answer.boxes)),
        "look_boxes": None if look is None else list(frame.to_image(look.boxes)),
        "confidence": np.random.default_rng([index, num_boxes]).uniform(0.5, 1, num_boxes),
    }


def _write_log(folder: Path, arm: str, seed: int, updates: int) -> None:
    rng = np.random.default_rng([3, seed, *arm.encode()])
    rewards = {"grpo": ("reasoning", "accuracy"), "dipr1": ("reasoning", "looking", "accuracy")}
    rows = []
    for step in range(1, updates + 1):
        rise = 0.5 * (1 - np.exp(-3 * step / updates))
        values = {"loss": 0.02 * rng.standard_normal(), "grad_norm": rng.uniform(0.1, 0.3)}
        if arm == "sft":
            values["loss"] = 2.5 * np.exp(-2 * step / updates) + 0.05 * rng.standard_normal()
        else:
            for name in rewards[arm]:
                value = 0.35 + rise + 0.05 * rng.standard_normal()
                values[f"rewards/{name}_reward/mean"] = min(value, 1.0)
            values["reward"] = sum(v for name, v in values.items() if name.startswith("rewards/"))
            values["completions/mean_length"] = 120 + 20 * rise + 3 * rng.standard_normal()
            values["entropy"] = 0.4 - 0.3 * rise + 0.01 * rng.standard_normal()
        rows += [{"step": step, "name": name, "value": value} for name, value in values.items()]
    path = folder / f"results/policies/{arm}/seed{seed}/training_log.parquet"
    TRAINING_LOG.write(pa.Table.from_pylist(rows), path, Made(arm=arm, seed=seed))


def files(folder: Path, kind: str) -> list[str]:
    """The files of one kind, arms in their order: what the workflow hands to `report`.

    What looked again comes after its one view.
    """
    paths = sorted(map(str, (folder / "results" / kind).rglob("*.parquet")))
    order = {arm: number for number, arm in enumerate(RECIPES)}
    arm_at = len((folder / "results" / kind).parts)

    def place(path: str) -> tuple[int, str]:
        arm = Path(path).parts[arm_at]
        return order.get(arm.partition("+")[0], 0), arm

    return sorted(paths, key=place)
