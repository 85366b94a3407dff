"""Two trainings share no GPU: when Snakemake starts and ends them, with and without the profile."""

from __future__ import annotations

import base64
import json
import shutil
from pathlib import Path

import pytest

PROFILE = "workflow/profiles/local-gpu"


def times(folder: Path) -> list[tuple[float, float]]:
    """Start and end of the trainings of the last run, the earlier one first."""
    jobs = []
    for path in (folder / ".snakemake" / "metadata").iterdir():
        if ".sha256" in base64.b64decode(path.name).decode():
            job = json.loads(path.read_text())
            jobs.append((job["starttime"], job["endtime"]))
    return sorted(jobs)


@pytest.mark.parametrize(
    ("visible", "together"), [("", True), ("0", False)], ids=["no GPU", "one GPU"]
)
def test_trainings_wait_for_a_gpu_only_where_there_is_one(
    workflow, root, undisturbed, tmp_path, visible, together
):
    shutil.copytree(undisturbed, tmp_path, dirs_exist_ok=True)
    policies = [path.relative_to(tmp_path) for path in tmp_path.glob("results/**/policies/*/seed0")]
    for path in policies:
        shutil.rmtree(tmp_path / path)
    workflow.run(
        tmp_path,
        *("--profile", str(root / PROFILE), "--cores", "4"),
        *map(str, policies),
        environment=workflow.environment(CUDA_VISIBLE_DEVICES=visible),
    )
    (_, end), (start, _) = times(tmp_path)
    assert len(policies) == 2
    assert (start < end) == together
