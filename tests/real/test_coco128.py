"""Nineteen photographs of COCO through the whole workflow."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import polars as pl
import pyarrow.parquet as pq
import pytest
import yaml
from PIL import Image

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.columns import box_arrays
from dipr1.artifacts.prompts import PROMPTS
from dipr1.artifacts.samples import SAMPLES
from dipr1.config import load
from dipr1.frames import Frame
from dipr1.places import Places

ARMS = ("base", "sft", "dipr1")


@pytest.fixture(scope="module")
def coco(shared_data: Path) -> Path:
    folder = shared_data / "coco128"
    if not folder.is_dir():
        pytest.skip("the COCO images are not here (../shared/data/coco128)")
    return folder


@pytest.fixture(scope="module")
def people(coco: Path) -> dict[str, list[dict]]:
    """The persons' annotations by image, as the file has them."""
    content = json.loads((coco / "instances.json").read_text())
    person = next(c["id"] for c in content["categories"] if c["name"] == "person")
    found: dict[str, list[dict]] = {str(image["id"]): [] for image in content["images"]}
    for annotation in content["annotations"]:
        if annotation["category_id"] == person:
            found[str(annotation["image_id"])].append(annotation)
    return found


@pytest.fixture(scope="module")
def finished(root: Path, coco: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which workflow/configs/real.yaml has run on the COCO images."""
    folder = tmp_path_factory.mktemp("coco")
    values = yaml.safe_load((root / "workflow" / "configs" / "real.yaml").read_text())
    values["datasets"]["coco"]["splits"]["train"] = {
        "annotations": str(coco / "instances.json"),
        "images": str(coco / "images"),
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(values))
    done = subprocess.run(
        [
            *(sys.executable, "-m", "snakemake", "--cores", "2", "--show-failed-logs"),
            *("--snakefile", str(root / "Snakefile"), "--directory", str(folder)),
        ],
        env={**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"},
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return folder


def places(finished: Path) -> Places:
    return Places(load(finished / "config.yaml"))


def test_every_image_and_every_person_arrives(finished, people):
    annotations = pl.read_parquet(finished / places(finished).path("annotations", "coco", "train"))
    assert annotations.height == len(people) == 19
    assert annotations["labels"].explode().drop_nulls().unique().to_list() == ["person"]
    ignored = annotations["ignore"].explode().drop_nulls()
    crowds = sum(bool(a["iscrowd"]) for found in people.values() for a in found)
    assert len(ignored) == sum(map(len, people.values())) == 75
    assert ignored.sum() == crowds == 2
    rejects = pq.read_metadata(finished / places(finished).path("rejects", "coco", "train"))
    assert rejects.num_rows == 0


def test_boxes_are_the_files_and_inside_the_image(finished, people):
    annotations = ANNOTATIONS.read(finished / places(finished).path("annotations", "coco", "train"))
    boxes = box_arrays(annotations["boxes"])
    for row, found in zip(annotations.to_pylist(), boxes, strict=True):
        with Image.open(finished / row["image"]) as image:
            assert image.size == (row["width"], row["height"])
        assert (found >= 0).all()
        assert (found[:, 2::4] <= row["width"]).all()
        assert (found[:, 3::4] <= row["height"]).all()
        xywh = np.array([a["bbox"] for a in people[row["image_id"]]]).reshape(-1, 4)
        expected = np.hstack([xywh[:, :2], xywh[:, :2] + xywh[:, 2:]])
        # the order of the boxes in an image is not part of the contract
        np.testing.assert_allclose(np.sort(found, 0), np.sort(expected, 0), atol=1e-3)


def test_prompts_are_in_the_models_frame_and_lead_back(finished):
    annotations = ANNOTATIONS.read(finished / places(finished).path("annotations", "coco", "train"))
    prompts = PROMPTS.read(finished / places(finished).path("prompts", "coco", "train"))
    image_boxes = box_arrays(annotations["boxes"])
    for row, boxes, original in zip(
        prompts.to_pylist(), box_arrays(prompts["gt_boxes"]), image_boxes, strict=True
    ):
        assert row["frame"] == "absolute"
        assert (boxes >= 0).all()
        assert (boxes[:, 2] <= row["frame_width"]).all()
        assert (boxes[:, 3] <= row["frame_height"]).all()
        sizes = [row[name] for name in ("width", "height", "frame_width", "frame_height")]
        back = Frame.absolute(*sizes).to_image(boxes)
        # every asked-for box is one of the annotations; the others are to be ignored
        distance = np.abs(back[:, None] - original[None]).max(-1).min(1, initial=np.inf)
        np.testing.assert_allclose(distance, 0, atol=1e-2)
        assert len(back) + len(row["ignore_boxes"]) == len(original)


def test_statistics_cover_every_person_that_counts(finished):
    regions = pl.read_parquet(finished / places(finished).path("variance", "coco", "train"))
    objects = regions.filter(pl.col("kind") == "object")
    assert objects.height == 73
    assert objects["num_samples"].is_between(2, 4).all()  # the readable ones
    assert objects["uncertainty"].is_between(0, 1).all()


@pytest.mark.parametrize("arm", ARMS)
def test_every_arm_answers_for_every_image_and_is_scored(finished, arm):
    folder = f"{arm}/seed0/coco.train.parquet"
    predictions = SAMPLES.read(finished / places(finished).own / "predictions" / folder)
    assert predictions.num_rows == 19
    for boxes in box_arrays(predictions["boxes"]):
        assert boxes is None or boxes.shape[1] == 4
    metrics = pl.read_parquet(finished / places(finished).own / "metrics" / folder)
    assert metrics["name"].is_unique().all()
    assert metrics.height > 0


def test_the_page_shows_the_photographs(finished):
    page = (finished / places(finished).own / "report/index.html").read_text(encoding="utf-8")
    assert "data:image/" in page
    for arm in ARMS:
        assert arm in page
