"""Publishing a policy, by the real library, on a hub of a few lines."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.metrics import METRICS
from dipr1.evaluation.comparison import Compared, comparison_table
from dipr1.policies.adapters import base_of
from dipr1.training.card import write_card
from tests.unit.hub import TOKEN, hub
from tests.unit.policy_folders import as_adapter, trained_policy


@pytest.fixture(autouse=True)
def _with_the_library():
    pytest.importorskip("huggingface_hub")


def row(arm: str, value: float, **more) -> Compared:
    about = {"set": "mine.validation", "in_domain": True, "score": None}
    about |= {"num_seeds": 3, "num_images": 40, "low": value - 0.1, "high": value + 0.1}
    return Compared(arm=arm, metric="AP50", value=value, **(about | more))


@pytest.fixture
def metrics(tmp_path) -> Path:
    rows = [row("base", 0.25), row("sft", 0.3), row("dipr1", 0.5), row("dipr1+own", 0.75)]
    ends = {"difference_low": 0.125, "difference_high": 0.375, "p": 0.01}
    rows.append(row("dipr1", 0.5, baseline="base", difference=0.25, **ends))
    COMPARISON.write(comparison_table(rows), tmp_path / "comparison.parquet")
    return tmp_path / "comparison.parquet"


def push(url: str, folder: Path, *words: object, token: str = TOKEN):
    """In a process of its own, since the library asks the environment once."""
    home = {"HF_HOME": str(folder.parent / "home"), "HF_ENDPOINT": url, "HF_TOKEN": token}
    environment = os.environ | home | {"HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    command = [sys.executable, "-m", "dipr1.cli", "push", folder, "--to", "org/name", *words]
    return subprocess.run(
        list(map(str, command)), env=environment, capture_output=True, text=True, check=False
    )


def test_a_policy_is_pushed_with_its_metrics(tmp_path, metrics):
    from huggingface_hub import ModelCard

    folder = trained_policy(tmp_path / "policy")
    write_card(folder)
    (folder / "training_log.parquet").write_bytes(b"where images lie")
    (folder / "tensorboard").mkdir()
    words = ("--metrics", metrics, "--license", "apache-2.0", "--private")
    with hub() as state:
        done = push(state.url, folder, *words)
    assert (done.returncode, done.stdout) == (0, f"{state.url}/org/name: 9 files\n"), done.stderr
    assert state.created[0]["name"] == "name"
    assert "private" in json.dumps(state.created[0])
    weights = (folder / "model.safetensors").read_bytes()
    assert state.files["model.safetensors"] == weights
    assert state.files["config.json"] == (folder / "config.json").read_bytes()
    assert not any(name.endswith("parquet") for name in state.files)

    record = json.loads(state.files["dipr1.json"])
    assert [one["path"] for one in record["inputs"]] == ["prompts.parquet", "tiny"]
    text = state.files["README.md"].decode()
    assert 'folder = snapshot_download("org/name", local_dir="name")' in text
    assert "Here is seed 4 of the arm `dipr1`.\n\nValues on mine.validation" in text
    assert "| dipr1+own | **0.750** [0.650, 0.850] |" in text
    assert "| dipr1 | **+0.250** [+0.125, +0.375] |" in text
    assert "| base | 0.250" in text and "| sft |" not in text
    shown = ModelCard(text).data
    assert (shown.license, shown.library_name) == ("apache-2.0", "transformers")
    results = [(one.task_name, one.metric_type, one.metric_value) for one in shown.eval_results]
    assert results == [("arm dipr1", "AP50", 0.5), ("arm dipr1+own", "AP50", 0.75)]
    assert shown.eval_results[0].metric_name == "AP50 (95 % interval 0.400 to 0.600)"
    assert (shown.eval_results[0].dataset_type, shown.eval_results[0].dataset_split) == (
        "mine", "validation",
    )  # fmt: skip
    # the folder itself is as it was
    assert "They are not in this card" in (folder / "README.md").read_text()


def test_an_adapter_is_pushed_with_a_base_that_others_can_get(tmp_path):
    base = tmp_path / "models" / "Base-3B"
    shutil.copytree(trained_policy(tmp_path / "any"), base)
    folder = as_adapter(trained_policy(tmp_path / "policy", base=str(base)), str(base))
    with hub() as state:
        refused = push(state.url, folder)
        assert refused.returncode == 1
        assert refused.stderr.count("\n") == 1 and "--base ORG/NAME" in refused.stderr
        assert not state.created
        done = push(state.url, folder, "--base", "Some/Base-3B")
    assert done.returncode == 0, done.stderr
    got = tmp_path / "got" / "name"
    got.mkdir(parents=True)
    for name, content in state.files.items():
        (got / name).write_bytes(content)
    assert base_of(got) == (str(tmp_path / "got" / "Base-3B"), "0")
    assert not any(str(tmp_path).encode() in content for content in state.files.values())
    text = state.files["README.md"].decode()
    assert "base_model: Some/Base-3B\n" in text
    assert 'snapshot_download("Some/Base-3B", local_dir="Base-3B")' in text


def test_what_cannot_be_pushed_is_told_in_one_line(tmp_path, metrics):
    folder = trained_policy(tmp_path / "policy")
    METRICS.write(METRICS.schema.empty_table(), tmp_path / "metrics.parquet")
    with hub() as state:
        told = {
            "not logged in": push(state.url, folder, token=""),
            "401 Unauthorized": push(state.url, folder, token="hf_wrong"),
            "expected a comparison artifact": push(
                state.url, folder, "--metrics", tmp_path / "metrics.parquet"
            ),
        }
    told["Connection refused"] = push(state.url, folder)
    (folder / "README.md").write_text("no front matter")
    told["does not begin with YAML"] = push(state.url, folder)
    for words, done in told.items():
        assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
        assert done.stderr.startswith("dipr1 push: ") and words in done.stderr
    assert not state.files
