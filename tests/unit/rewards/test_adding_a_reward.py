"""A reward is its class and its entry in `REWARDS`: every other room goes by that list."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pyarrow.parquet as pq
import pytest
import yaml

from dipr1.artifacts.metrics import METRICS
from dipr1.artifacts.training_log import TRAINING_LOG
from tests.unit.experiment import make_experiment

MODULE = """
from dipr1.rewards import REWARDS, Reward, RewardOption
from dipr1.rewards.completions import completion_text


class ShortnessReward:
    __name__ = "shortness_reward"
    needs = ()

    def __init__(self, longest: int = 100) -> None:
        self.longest = longest

    def __call__(self, completions, **columns):
        return [min(self.longest / max(len(completion_text(c)), 1), 1.0) for c in completions]


REWARDS["shortness"] = Reward(
    make=ShortnessReward,
    weight=0.5,
    meaning="Is the response about {many} short?",
    options=(RewardOption("longest", "longest", "Shortness: letters.", minimum=1),),
)
"""
COMMANDS = """
import json, sys
import shortness
from dipr1.cli import main
for words in json.loads(sys.argv[1]):
    assert main(words) == 0, words
"""
CONFIG = '''
import json, sys
import shortness
from dipr1.config import check, json_schema, options_page, train_flags
from dipr1.errors import UserError
from dipr1.rewards.adapters.for_swift import DipShortness
from dipr1.rewards.scores import score_response


def told(arm):
    try:
        return train_flags(check(json.loads(sys.argv[1]) | {"arms": {"mine": arm}}), "mine")
    except UserError as error:
        return str(error)


arms = json.loads(sys.argv[2])
print(json.dumps({
    "arms": [told({"method": "grpo"} | arm) for arm in arms],
    "schema": json_schema()["$defs"]["GrpoArm"]["properties"],
    "page": options_page(),
    "scores": score_response("nobody", gt_boxes=[]),
    "swift": DipShortness()(["nobody"]),
}))
'''  # fmt: skip


@pytest.fixture(scope="module")
def module(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("module")
    (folder / "shortness.py").write_text(MODULE)
    return folder


def run(module: Path, code: str, *arguments: str, folder: Path) -> str:
    """Run code in a new process, into which nothing has imported the configuration yet."""
    path = os.pathsep.join([str(module), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": path, "HF_HUB_OFFLINE": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_configuration_and_the_adapters_have_it(module, root, tmp_path):
    config = yaml.safe_load((root / "workflow/configs/test.yaml").read_text())
    arms = [
        {"rewards": {"shortness": 2}, "longest": 7},
        {"rewards": {"shortness": 2}, "longest": 0},
        {"rewards": {"accuracy": 2}},
        {"rewards": {"accuracy": 2}, "longest": 7},
        {"rewards": {"shortness": 2}, "shortest": 7},
    ]
    printed = run(module, CONFIG, json.dumps(config), json.dumps(arms), folder=tmp_path)
    told = json.loads(printed)
    mine, out_of_bounds, without, of_another, unknown = told["arms"]
    assert """--rewards '{"shortness": 2.0}' """ in mine and mine.endswith(" --longest 7")
    assert "arms.mine.longest: found 0; input should be greater than or equal to 1" in out_of_bounds
    assert "longest" not in without
    assert "longest is an option of the shortness reward, which this arm does not" in of_another
    assert (
        "unknown key 'arms.mine.shortest'; allowed here: " in unknown and ", longest, " in unknown
    )
    assert told["schema"]["longest"]["default"] == 100
    assert "shortness" in told["schema"]["rewards"]["propertyNames"]["enum"]
    assert "| `longest` | integer ≥ 1 | `100` | Shortness: letters. |" in told["page"]
    assert told["scores"] == {"reasoning": 0, "accuracy": 0, "shortness": 1, "total": 0.5}
    assert told["swift"] == [1.0]


@pytest.fixture(scope="module")
def experiment(module, tmp_path_factory) -> Path:
    """Two images, answered by two arms; one of them is trained for two updates in earnest."""
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("base", "dipr1"), num_images=2)
    shutil.rmtree(folder / "results/policies")
    name = "crowdscenes/validation.parquet"
    run_name = "seed0/crowdscenes.validation"
    train = [
        *("train", "--arm", "dipr1", "--method", "grpo", "--longest", "20"),
        *("--rewards", json.dumps({"shortness": 2, "accuracy": 1})),
        *("--prompts", f"results/prompts/{name}", "--variance", f"results/variance/{name}"),
        *("--updates", "2", "--prompts-per-update", "2", "--group-size", "2"),
        *("--micro-batch-size", "4", "--max-completion-length", "12", "--threads", "1"),
        *("--output", "results/policies/dipr1/seed0"),
    ]
    evaluate = [
        [
            *("evaluate", "--predictions", f"results/predictions/{arm}/{run_name}.parquet"),
            *("--annotations", f"results/annotations/{name}"),
            *("--prompts", f"results/prompts/{name}", "--variance", f"results/variance/{name}"),
            *("--output", f"results/metrics/{arm}/{run_name}.parquet"),
            *("--images-output", f"results/metrics/{arm}/{run_name}.images.parquet"),
        ]
        for arm in ("base", "dipr1")
    ]
    metrics = [f"results/metrics/{arm}/{run_name}.parquet" for arm in ("base", "dipr1")]
    report = [
        *("report", "--output", "page/index.html", "--resamples", "100", "--num-images", "2"),
        *("--metrics", *metrics),
        *("--images", *(path.replace(".parquet", ".images.parquet") for path in metrics)),
        *("--predictions", *(path.replace("metrics", "predictions") for path in metrics)),
        *("--annotations", f"results/annotations/{name}"),
        *("--training-logs", "results/policies/dipr1/seed0/training_log.parquet"),
    ]
    run(module, COMMANDS, json.dumps([train, *evaluate, report]), folder=folder)
    return folder


def test_the_training_log_has_it(experiment):
    log = TRAINING_LOG.read(experiment / "results/policies/dipr1/seed0/training_log.parquet")
    by_name = {}
    for row in log.to_pylist():
        by_name.setdefault(row["name"], []).append(row["value"])
    assert set(by_name) >= {"rewards/shortness_reward/mean", "rewards/accuracy_reward/mean"}
    total = [
        2 * short + accurate
        for short, accurate in zip(
            by_name["rewards/shortness_reward/mean"],
            by_name["rewards/accuracy_reward/mean"],
            strict=True,
        )
    ]
    assert by_name["reward"] == pytest.approx(total)
    assert "rewards/reasoning_reward/mean" not in by_name


def test_the_evaluation_has_it(experiment):
    folder = experiment / "results/metrics/dipr1/seed0"
    # by plain Parquet: this process does not know of the reward
    images = pq.read_table(folder / "crowdscenes.validation.images.parquet")
    metrics = METRICS.read(folder / "crowdscenes.validation.parquet").to_pylist()
    [mean] = [row["value"] for row in metrics if row["name"] == "reward_shortness"]
    predictions = experiment / "results/predictions/dipr1/seed0/crowdscenes.validation.parquet"
    expected = [100 / len(text) for text in pq.read_table(predictions)["text"].to_pylist()]
    assert images["reward_shortness"].to_pylist() == pytest.approx(expected)
    assert mean == pytest.approx(sum(expected) / 2)


def test_the_page_has_it(experiment):
    page = (experiment / "page/index.html").read_text(encoding="utf-8")
    assert page.count("Shortness reward") >= 3  # a card, a row of the table, a chart
    assert "Is the response about people short?" in page
    assert "GRPO reinforcement learning with the" in page and "shortness" in page
