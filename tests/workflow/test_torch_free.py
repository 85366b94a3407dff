"""All verbs but those that need torch run where there is none."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.workflow.conftest import NO_TORCH, PLACES, jobs

SPLIT = "crowdscenes/validation"
ANNOTATIONS = PLACES.path("annotations", *SPLIT.split("/"))


@pytest.fixture(scope="module")
def computed(workflow, undisturbed, tmp_path_factory):
    """A copy of the finished run, and an environment in which there is no torch."""
    folder = tmp_path_factory.mktemp("computed")
    shutil.copytree(undisturbed, folder, dirs_exist_ok=True)
    return folder, workflow.started_with(NO_TORCH, tmp_path_factory.mktemp("blocked"))


def run_python(computed, *arguments: str) -> subprocess.CompletedProcess[str]:
    folder, environment = computed
    command = [sys.executable, *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True)


def verb(computed, *words: str) -> str:
    """What a verb prints."""
    done = run_python(computed, "-m", "dipr1.cli", *words)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_there_is_no_torch(computed):
    for name in ("torch", "transformers", "datasets"):
        assert f"No module named '{name}'" in run_python(computed, "-c", f"import {name}").stderr


def test_the_rules_run_again(workflow, computed):
    folder, environment = computed
    expected = {"download": 2, "convert": 2, "variance": 1, "audit": 2, "evaluate": 4}
    expected |= {"describe": 1, "export": 1, "report": 1}
    targets = [f"{PLACES.own}/describe/{SPLIT}.html", f"{PLACES.own}/export/{SPLIT}.json"]
    targets += [f"{PLACES.own}/report/index.html", "--forceall", "--allowed-rules", *expected]
    planned = jobs(workflow.run(folder, *targets, environment=environment))
    assert planned == expected | {"total": sum(expected.values())}


def test_a_protocol_is_run(computed):
    folder: Path = computed[0]
    verb(computed, "export", ANNOTATIONS, "--output", "truth.json")
    boxes = json.loads((folder / "truth.json").read_text())["annotations"]
    names = ("image_id", "category_id", "bbox")
    detections = [{name: box[name] for name in names} | {"score": 1} for box in boxes]
    (folder / "detections.json").write_text(json.dumps(detections))
    files = ("--ground-truth", "truth.json", "--detections", "detections.json")
    assert json.loads(verb(computed, "official", "coco", *files, "--json"))["AP"] == 1


def test_an_artifact_says_what_it_was_made_from(computed):
    assert "download" in verb(computed, "provenance", ANNOTATIONS)
