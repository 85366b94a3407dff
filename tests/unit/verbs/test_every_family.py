"""Every family goes through the whole work by its real classes; its boxes land where they should.

A miniature knows two images by heart, and of each the window that its first view looks at. In that
of the first image a third person is seen.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from dipr1.artifacts.prompts import PROMPTS, frame_of, window_row
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.artifacts.variance import VARIANCE
from dipr1.cli import main
from dipr1.policies.families import read_policy_frames
from dipr1.policies.looking_again import windows_of
from dipr1.prompts import render_response
from tests.unit.miniatures import MAKERS, make_miniature, teach

pytest.importorskip("trl")

SIZES = [(180, 120), (110, 160)]
PEOPLE = [
    [[20, 30, 62, 110], [100, 20, 142, 96], [104, 40, 120, 90]],  # the third is hidden
    [[10, 40, 50, 150], [60, 30, 101, 140]],
]
SEEN = [2, 2]  # of each image's people, in the first view
LOOK = 1  # the person of each image that is looked at


@dataclass
class Case:
    """A taught miniature and the artifacts of its images."""

    family: str
    folder: Path
    policy: Path
    prompts: list[dict]

    def verb(self, *words: object) -> None:
        assert main([str(word) for word in words]) == 0


def draw(folder: Path) -> None:
    """Two images with people of their own grey, and their annotations."""
    images, annotations = [], []
    for number, (size, people) in enumerate(zip(SIZES, PEOPLE, strict=True)):
        image = Image.new("RGB", size, (200, 90, 40) if number else (30, 60, 120))
        for k, box in enumerate(people):
            image.paste((90 * k, 255 - 60 * k, 130), box)
            x1, y1, x2, y2 = box
            bbox = [x1, y1, x2 - x1, y2 - y1]
            annotations.append({"image_id": number, "category_id": 1, "bbox": bbox})
        image.save(folder / f"{number}.png")
        sides = {"width": size[0], "height": size[1]}
        images.append({"id": number, "file_name": f"{number}.png", **sides})
    document = {"images": images, "annotations": annotations}
    document["categories"] = [{"id": 1, "name": "person"}]
    (folder / "coco.json").write_text(json.dumps(document))


def lesson(row: dict, people: list[int], look: list[int]) -> str:
    """What is to be answered, in the frame of the row."""
    boxes = np.array(row["gt_boxes"])
    names = ["person"] * len(people)
    return render_response(f"{len(people)} of them.", boxes[look], boxes[people], names)


@pytest.fixture(scope="module", params=MAKERS)
def case(request, tmp_path_factory) -> Case:
    folder = tmp_path_factory.mktemp(request.param)
    policy = make_miniature(request.param, folder / "policy")
    draw(folder)
    case = Case(request.param, folder, policy, [])
    case.verb(
        *("convert", "--format", "coco", "--annotations", folder / "coco.json"),
        *("--images", folder, "--labels", "person", "--policy", policy),
        *("--output", folder / "annotations.parquet", "--prompts", folder / "prompts.parquet"),
        *("--rejects", folder / "rejects.parquet"),
    )
    case.prompts = PROMPTS.read(folder / "prompts.parquet").to_pylist()
    rows = list(case.prompts)
    answers = [lesson(row, list(range(n)), [LOOK]) for row, n in zip(rows, SEEN, strict=True)]
    for row in case.prompts:
        window = look_window(row)
        part = window_row(row, window, read_policy_frames(str(policy)))
        inside = [k for k, index in enumerate(part["gt_index"]) if index >= LOOK]
        rows.append(part)
        answers.append(lesson(part, inside, []))
    assert teach(policy, rows, answers) < 0.1
    return case


def look_window(row: dict) -> np.ndarray:
    """The window of what the first view looks at, as far as whole numbers can say it."""
    look = frame_of(row).to_image(np.round([row["gt_boxes"][LOOK]]))
    return windows_of(look, (row["width"], row["height"]))[0]


def check_boxes(row: dict, found: list, wanted: list) -> None:
    """Boxes lie where they should, but for what is lost in whole numbers of the model frame."""
    frame = frame_of(row)
    half = 0.5 * np.tile([frame.width / frame.model_width, frame.height / frame.model_height], 2)
    assert len(found) == len(wanted)
    assert (np.abs(np.array(found) - np.array(wanted)) <= half + 1e-3).all()


def weights(folder: Path, name: str = "model") -> dict[str, np.ndarray]:
    from safetensors.numpy import load_file

    return load_file(folder / f"{name}.safetensors")


def changed(before: Path, after: Path) -> set[str]:
    """Which parts of a policy have learned: `vision`, `projector`, `language`."""
    old, new = weights(before), weights(after)
    assert old.keys() == new.keys()
    return {part_of(name) for name in old if not np.array_equal(old[name], new[name])}


def part_of(weight: str) -> str:
    if "merger" in weight or "projector" in weight:
        return "projector"
    return "vision" if "visual" in weight or "vision_tower" in weight else "language"


def test_numbers_are_those_that_the_processor_s_images_have(case):
    """By hand, from what the family's own processor makes of the image as it lies in the file."""
    from dipr1.policies.load import load_processor

    processor = load_processor(str(case.policy))
    for row, people in zip(case.prompts, PEOPLE, strict=True):
        per_pixel = np.tile(1000 / np.array([row["width"], row["height"]]), 2)
        if case.family == "qwen2_5_vl":
            with Image.open(row["image"]) as image:
                seen = processor.image_processor(images=[image], return_tensors="np")
            _, down, across = seen["image_grid_thw"][0]
            sides = 14 * np.array([across, down])
            per_pixel = np.tile(sides / (row["width"], row["height"]), 2)
        np.testing.assert_allclose(row["gt_boxes"], np.array(people) * per_pixel, rtol=1e-5)


def test_the_whole_work(case, tmp_path):
    files = {name: tmp_path / f"{name}.parquet" for name in ("samples", "variance")}
    base, prompts = case.policy, case.folder / "prompts.parquet"
    short = ("--max-new-tokens", 70, "--threads", 1)
    case.verb("sample", prompts, "--policy", base, *short, "--output", files["samples"])
    case.verb(
        *("variance", files["samples"], "--annotations", case.folder / "annotations.parquet"),
        *("--output", files["variance"]),
    )
    samples = SAMPLES.read(files["samples"])
    assert samples["boxes"].null_count < len(samples) / 2
    objects = [row for row in VARIANCE.read(files["variance"]).to_pylist() if row["support"] > 0.5]
    assert {row["image_id"] for row in objects} == {"0", "1"}

    trained = ("--prompts", prompts, "--variance", files["variance"], "--prompts-per-update", 2)
    trained += ("--gradient-checkpointing", "--threads", 1)
    sft = ("--method", "sft", "--updates", 1, "--sft-learning-rate", 1e-6)
    case.verb(
        *("train", "--arm", "sft", "--policy", base, *trained, *sft, "--freeze-vision", "false"),
        *("--output", tmp_path / "sft"),
    )
    assert changed(base, tmp_path / "sft") == {"vision", "projector", "language"}
    rewards = json.dumps({"reasoning": 1, "looking": 1, "accuracy": 1})
    grpo = ("--method", "grpo", "--updates", 2, "--learning-rate", 1e-6, "--rewards", rewards)
    grpo += ("--group-size", 4, "--micro-batch-size", 4, "--max-completion-length", 70)
    case.verb(
        *("train", "--arm", "grpo", "--policy", tmp_path / "sft", *trained, *grpo),
        *("--output", tmp_path / "grpo"),
    )
    assert changed(tmp_path / "sft", tmp_path / "grpo") == {"language"}
    log = TRAINING_LOG.read(tmp_path / "grpo" / "training_log.parquet").to_pylist()
    named = {(row["step"], row["name"]): row["value"] for row in log}
    for step in (1, 2):
        assert named[step, "rewards/accuracy_reward/mean"] > 0.3
        assert named[step, "grad_norm"] > 0

    case.verb(
        *("train", "--arm", "lora", "--policy", tmp_path / "grpo", *trained, *grpo),
        *("--updates", 1, "--lora-rank", 2, "--output", tmp_path / "lora"),
    )
    adapters = weights(tmp_path / "lora", "adapter_model")
    assert adapters and {part_of(name) for name in adapters} == {"language"}

    first, again = tmp_path / "first.parquet", tmp_path / "again.parquet"
    case.verb("predict", prompts, "--policy", tmp_path / "lora", *short, "--output", first)
    case.verb(
        *("inspect", first, "--prompts", prompts, "--policy", tmp_path / "lora", *short),
        *("--max-regions", 1, "--output", again),
    )
    for row, one, two, people, seen in zip(
        case.prompts,
        SAMPLES.read(first).to_pylist(),
        SAMPLES.read(again).to_pylist(),
        PEOPLE,
        SEEN,
        strict=True,
    ):
        check_boxes(row, one["boxes"], people[:seen])
        check_boxes(row, one["look_boxes"], [people[LOOK]])
        assert two["windows"] == [look_window(row).tolist()]
        check_boxes(row, sorted(two["boxes"]), sorted(people))
