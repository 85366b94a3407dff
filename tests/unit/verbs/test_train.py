"""Training through the command line."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.completions import COMPLETIONS
from dipr1.artifacts.crops import CROPS
from dipr1.artifacts.made import read_made
from dipr1.artifacts.prompts import PROMPTS, frame_of, window_row
from dipr1.artifacts.samples import SAMPLES
from dipr1.artifacts.training_log import TRAINING_LOG
from dipr1.cli import main
from dipr1.policies.families import read_policy_frames
from dipr1.responses import parse_response
from tests.unit.scenes import scene_prompts
from tests.unit.thinking import make_thinking

GRPO = ("--method", "grpo", "--group-size", 2, "--micro-batch-size", 2)
GRPO += ("--rewards", json.dumps({"accuracy": 1}), "--max-completion-length", 100)
SFT = ("--method", "sft")


@pytest.fixture(scope="module")
def prompts(tmp_path_factory) -> Path:
    """Prompts for the tiny policy about two scenes."""
    pytest.importorskip("trl")
    folder = tmp_path_factory.mktemp("prompts")
    PROMPTS.write(scene_prompts(folder, 2), folder / "prompts.parquet")
    return folder / "prompts.parquet"


@pytest.fixture(scope="module")
def kept(prompts, tmp_path_factory) -> Path:
    """The checkpoints of a run of one update."""
    folder = tmp_path_factory.mktemp("run")
    words = (*SFT, "--updates", 1, "--keep-checkpoints", "--checkpoints", folder / "kept")
    assert train(prompts, folder / "policy", *words) == 0
    return folder / "kept"


def contents(folder: Path) -> dict[str, bytes]:
    """All files, but for the log that a trainer opens."""
    paths = (path for path in folder.rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in paths if "tensorboard" not in path.parts}


def train(prompts: Path, output: Path, *words) -> int:
    arguments = ("train", "--arm", "trained", "--prompts", prompts, "--threads", 1)
    arguments += ("--output", output, "--prompts-per-update", 2, *words)
    return main([str(argument) for argument in arguments])


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_a_policy_of_another_family_is_trained(qwen, qwen_prompts, tmp_path):
    pytest.importorskip("trl")
    prompts = tmp_path / "prompts.parquet"
    PROMPTS.write(pa.Table.from_pylist(qwen_prompts[:2], PROMPTS.schema), prompts)
    rewards = json.dumps({"reasoning": 1, "looking": 1, "accuracy": 1})
    words = (
        "--updates",
        1,
        "--max-completion-length",
        4,
        "--policy",
        qwen,
        "--rewards",
        rewards,
        "--looking-source",
        "group",
    )
    assert train(prompts, tmp_path / "policy", *GRPO, *words) == 0
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet")
    names = set(log["name"].to_pylist())
    assert {"loss", "rewards/reasoning_reward/mean", "problems/no_tags", "grad_norm"} <= names
    # no response can be read, so there is nothing to look at
    assert "rewards/looking_reward/mean" not in names


def test_a_policy_whose_prompt_begins_to_think(prompts, tmp_path):
    """It learns from a teacher to go on from there, and its whole responses are rewarded."""
    checkpoint, taught = make_thinking(tmp_path / "thinking"), tmp_path / "taught"
    words = ("--updates", 10, "--sft-learning-rate", 1e-3, "--policy", checkpoint)
    words += ("--sft-think", "A street with {count} people.")
    assert train(prompts, taught, *SFT, *words) == 0
    answers = tmp_path / "answers.parquet"
    words = ("predict", prompts, "--policy", taught, "--threads", 1, "--output", answers)
    assert main([str(word) for word in words]) == 0
    answers = SAMPLES.read(answers)
    assert answers["problems"].to_pylist() == [[], []]
    assert all(text.startswith("<think>\n A street") for text in answers["text"].to_pylist())
    for chances in answers["confidence"].to_pylist():
        assert len(set(chances)) == len(chances)  # each box has its own

    words = ("--updates", 1, "--temperature", 0.1, "--policy", taught)
    words += ("--rewards", json.dumps({"reasoning": 1, "accuracy": 1}))
    assert train(prompts, tmp_path / "trained", *GRPO, *words) == 0
    log = TRAINING_LOG.read(tmp_path / "trained" / "training_log.parquet").to_pylist()
    figures = {row["name"]: row["value"] for row in log}
    assert figures["rewards/reasoning_reward/mean"] == 1.0
    assert figures["rewards/accuracy_reward/mean"] > 0.5


def test_a_named_objective_is_trained(prompts, tmp_path):
    """Its KL is to the base policy; two updates are generated together, and each is made twice."""
    words = ("--objective", "paper", "--iterations", 2, "--updates-per-generation", 2)
    words += ("--prompts-per-update", 1, "--updates", 8, "--save-every", 4)
    assert train(prompts, tmp_path / "policy", *GRPO, *words) == 0
    log = TRAINING_LOG.read(tmp_path / "policy" / "training_log.parquet").to_pylist()
    kl = [row["value"] for row in log if row["name"] == "kl"]
    assert len(kl) == 8
    assert kl[0] == pytest.approx(0, abs=1e-6)
    assert kl[-1] > 0


def test_a_template_that_takes_the_thinking_out_is_told(prompts, tmp_path, capsys):
    checkpoint = make_thinking(tmp_path / "thinking", "without thinking")
    assert train(prompts, tmp_path / "taught", *SFT, "--policy", checkpoint) == 1
    assert "the policy's chat template makes '\\n<look>" in capsys.readouterr().err.splitlines()[-1]
    assert not (tmp_path / "taught").exists()


@pytest.mark.parametrize("launched", [True, False])
def test_an_update_that_processes_cannot_share_is_refused_before_anything_is_touched(
    prompts, tmp_path, monkeypatch, capsys, launched
):
    if launched:
        monkeypatch.setenv("WORLD_SIZE", "3")
    words = SFT if launched else (*SFT, "--processes", 3)
    assert train(prompts, tmp_path / "policy", *words) == 1
    assert "--prompts-per-update 2: cannot be shared by 3 processes" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_fewer_prompts_than_an_update_takes(prompts, tmp_path, capsys):
    assert train(prompts, tmp_path / "policy", *GRPO, "--prompts-per-update", 4) == 1
    assert "2 prompts are too few for --prompts-per-update 4" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "method", [(*SFT, "--sft-learning-rate"), (*GRPO, "--learning-rate")], ids=["sft", "grpo"]
)
@pytest.mark.parametrize("rate", ["1e30", "1e12"])
def test_a_diverged_policy_is_not_saved(prompts, tmp_path, capsys, method, rate):
    assert train(prompts, tmp_path / "policy", "--updates", 3, *method, rate) == 1
    message = capsys.readouterr().err.splitlines()[-1]
    assert "no longer finite; nothing was saved; take a learning rate below 1e+" in message
    assert not (tmp_path / "policy").exists()


@pytest.mark.parametrize("method", [SFT, GRPO], ids=["sft", "grpo"])
def test_a_longer_run_goes_on_from_kept_checkpoints(prompts, tmp_path, capsys, method):
    """In the second pass over the prompts, and with other options that change nothing learned."""
    from safetensors.numpy import load_file

    method = (*method, "--prompts-per-update", 1, "--keep-checkpoints")
    short, folder = (*method, "--updates", 3), tmp_path / "kept"
    assert train(prompts, tmp_path / "short", *short, "--checkpoints", folder) == 0
    changed = ["--save-every", 1, "--gradient-checkpointing", "--checkpoints", folder]
    changed += ["--micro-batch-size", 1] if "grpo" in method else []
    longer = [*method, "--updates", 4]
    assert train(prompts, tmp_path / "longer", *longer, *changed) == 0
    assert "resuming from checkpoint-3" in capsys.readouterr().err
    steps = {path.name for path in folder.glob("checkpoint-*")}
    assert steps == {"checkpoint-3", "checkpoint-4"}
    assert train(prompts, tmp_path / "undisturbed", *longer) == 0
    theirs = load_file(tmp_path / "undisturbed" / "model.safetensors")
    for name, learned in load_file(tmp_path / "longer" / "model.safetensors").items():
        np.testing.assert_allclose(learned, theirs[name], atol=1e-5, rtol=0, err_msg=name)

    assert train(prompts, tmp_path / "again", *longer, *changed) == 0
    assert "checkpoint-4 is the last" in capsys.readouterr().err
    assert weights(tmp_path / "again") == weights(tmp_path / "longer")
    logs = [tmp_path / name / "training_log.parquet" for name in ("again", "longer")]
    assert TRAINING_LOG.read(logs[0]) == TRAINING_LOG.read(logs[1])

    predicted = ("predict", prompts, "--policy", folder / "checkpoint-3", "--threads", 1)
    predicted += ("--max-new-tokens", 4, "--output", tmp_path / "predicted.parquet")
    assert main([str(word) for word in predicted]) == 0

    assert train(prompts, tmp_path / "shorter", *short, "--checkpoints", folder) == 0
    assert "checkpoint-3 is the last" in capsys.readouterr().err
    assert weights(tmp_path / "shorter") == weights(tmp_path / "short")


@pytest.mark.parametrize("updates", [1, 2])  # the last one is there; one more is to be made
@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("model.safetensors", "cut"),
        ("model.safetensors", "missing"),
        ("optimizer.pt", "cut"),
        ("optimizer.pt", "empty"),
        ("optimizer.pt", "other"),
        ("optimizer.pt", "missing"),
        ("scheduler.pt", "missing"),
        ("rng_state.pth", "cut"),
    ],
)
def test_a_damaged_checkpoint_is_told(kept, prompts, tmp_path, capsys, file, damage, updates):
    folder = tmp_path / "kept"
    shutil.copytree(kept, folder)
    path = folder / "checkpoint-1" / file
    whole = path.read_bytes()
    path.unlink()
    if damage != "missing":
        path.write_bytes({"cut": whole[: len(whole) // 2], "empty": b"", "other": b"abc"}[damage])
    before = contents(folder)
    words = (*SFT, "--updates", updates, "--keep-checkpoints", "--checkpoints", folder)
    code = train(prompts, tmp_path / "policy", *words)
    if updates == 1 and file != "model.safetensors" and damage != "missing":
        assert code == 0  # nothing else of it is needed
        return
    lines = capsys.readouterr().err.splitlines()
    path = path.with_stem(path.stem.replace("model", "*"))
    [told] = [line for line in lines if line.startswith(f"dipr1 train: {path}: cannot be loaded (")]
    assert code == 1
    assert f"delete {path.parent}: training then goes on from the checkpoint before" in told
    assert contents(folder) == before
    assert not (tmp_path / "policy").exists()


def test_checkpoints_of_another_run_are_set_aside(prompts, tmp_path, capsys):
    words = (*SFT, "--updates", 1, "--keep-checkpoints", "--checkpoints", tmp_path / "kept")
    assert train(prompts, tmp_path / "one", *words) == 0
    assert train(prompts, tmp_path / "two", *words, "--seed", 1, "--max-grad-norm", 1) == 0
    aside = tmp_path / "kept.set-aside-1"
    message = "max_grad_norm was 0.2, now 1.0; seed was 0, now 1); set aside as"
    assert f"{message} {aside}" in capsys.readouterr().err
    for folder in (aside, tmp_path / "kept"):
        assert (folder / "checkpoint-1" / "trainer_state.json").exists()


def test_a_policy_that_was_deleted_is_not_trained_again(prompts, tmp_path, capsys):
    words = (*SFT, "--updates", 1, "--checkpoints", tmp_path / "parts")
    assert train(prompts, tmp_path / "policy", *words) == 0
    before = contents(tmp_path / "policy")
    shutil.rmtree(tmp_path / "policy")
    capsys.readouterr()
    assert train(prompts, tmp_path / "policy", *words) == 0
    assert contents(tmp_path / "policy") == before
    assert "was finished before" in capsys.readouterr().err
    assert train(prompts, tmp_path / "longer", *words, "--updates", 2) == 0
    assert "update 2 of 2" in capsys.readouterr().err


@pytest.mark.parametrize("method", [SFT, GRPO], ids=["sft", "grpo"])
def test_crops_are_trained_on_besides(prompts, tmp_path, capsys, method):
    crops = [
        window_row(row, window, read_policy_frames("tiny")) | {"crop_of": row["image_id"]}
        for row in PROMPTS.read(prompts).to_pylist()
        for window in ([0, 0, 96, 72], [60, 40, 170, 130])
    ]
    file = tmp_path / "crops.parquet"
    CROPS.write(pa.Table.from_pylist(crops, CROPS.schema), file)
    words = (*method, "--updates", 1, "--crops-file", file)
    # two images, and two crops of each
    assert train(prompts, tmp_path / "policy", *words, "--crops", 2, "--prompts-per-update", 6) == 0
    assert train(prompts, tmp_path / "other", *words, "--crops", 1, "--prompts-per-update", 6) == 1
    assert "4 prompts are too few" in capsys.readouterr().err
    assert train(prompts, tmp_path / "other", *words) == 1
    assert "--crops-file and --crops N belong together" in capsys.readouterr().err


def test_rollouts_that_look_again_are_resumed(prompts, tmp_path, capsys):
    from safetensors.numpy import load_file

    words = [*GRPO, "--group-size", 4, "--micro-batch-size", 8, "--rollout-looks", 2]
    words += ["--save-every", 1, "--keep-checkpoints"]
    kept = ("--checkpoints", tmp_path / "kept")
    assert train(prompts, tmp_path / "short", *words, *kept, "--updates", 1) == 0
    assert train(prompts, tmp_path / "longer", *words, *kept, "--updates", 2) == 0
    assert "resuming from checkpoint-1" in capsys.readouterr().err
    assert train(prompts, tmp_path / "undisturbed", *words, "--updates", 2) == 0
    theirs = load_file(tmp_path / "undisturbed" / "model.safetensors")
    for name, learned in load_file(tmp_path / "longer" / "model.safetensors").items():
        np.testing.assert_allclose(learned, theirs[name], atol=1e-5, rtol=0, err_msg=name)
    log = TRAINING_LOG.read(tmp_path / "undisturbed" / "training_log.parquet").to_pylist()
    named = {(row["step"], row["name"]): row["value"] for row in log}
    for step in (1, 2):
        gain = named[step, "again/gain"]
        final = named[step, "rewards/accuracy_reward/mean"]
        assert named[step, "again/first"] + gain == pytest.approx(final, abs=1e-5)
        assert 0 < named[step, "again/asked"] <= named[step, "again/crops"] <= 2


@pytest.mark.parametrize("adapter", [(), ("--lora-rank", 4)], ids=["weights", "adapter"])
def test_a_second_stage_begins_where_the_first_ended(prompts, tmp_path, adapter):
    """Its KL is to the first stage's policy; its threshold has risen when it is half done."""
    first, second = tmp_path / "sft", tmp_path / "grpo"
    rate = ("--updates", 1, "--sft-learning-rate", 1e-2)
    assert train(prompts, first, *SFT, *rate, *adapter) == 0
    words = ("--policy", first, "--beta", 0.04, "--match-ious", 0.1, 0.9)
    assert train(prompts, second, *GRPO, *words, "--updates", 2) == 0
    log = TRAINING_LOG.read(second / "training_log.parquet").to_pylist()
    named = {(row["step"], row["name"]): row["value"] for row in log}
    assert named[1, "kl"] == pytest.approx(0, abs=1e-6)
    assert [named[step, "answer/match_iou"] for step in (1, 2)] == pytest.approx([0.1, 0.9])
    assert read_made(second).arm == "trained"
    assert str(first) in [one.path for one in read_made(second).inputs]


def test_the_best_policy_on_images_set_aside_is_kept(prompts, tmp_path, capsys):
    """Whether it is asked in between changes nothing; the last updates here spoil it."""
    words = (*SFT, "--prompts-per-update", 1, "--updates", 3, "--eval-images", 1)
    words += ("--sft-learning-rate", 3e-3, "--save-every", 1, "--keep-checkpoints")
    kept = ("--checkpoints", tmp_path / "kept")
    best = (*words, *kept, "--eval-every", 1, "--eval-tokens", 100, "--keep-best")
    assert train(prompts, tmp_path / "best", *best) == 0
    log = TRAINING_LOG.read(tmp_path / "best" / "training_log.parquet").to_pylist()
    judged = {row["step"]: row["value"] for row in log if row["name"] == "eval/accuracy"}
    assert sorted(judged) == [1, 2, 3]
    update = max(judged, key=judged.get)
    assert f"the policy is that of update {update}, " in capsys.readouterr().err
    assert weights(tmp_path / "best") == weights(tmp_path / "kept" / f"checkpoint-{update}")
    assert [path.name for path in (tmp_path / "kept").glob("best-*")] == [f"best-{update}"]
    rare = (*words, "--eval-every", 10, "--report-to")
    assert train(prompts, tmp_path / "last", *rare) == 0
    assert weights(tmp_path / "last") == weights(tmp_path / "kept" / "checkpoint-3")
    assert not (tmp_path / "last" / "tensorboard").exists()


def test_images_set_aside_leave_some(prompts, tmp_path, capsys):
    assert train(prompts, tmp_path / "policy", *SFT, "--eval-images", 2) == 1
    assert "--eval-images 2: of 2 images none would be left" in capsys.readouterr().err


def test_responses_are_kept_and_a_run_that_goes_on_writes_the_same(prompts, tmp_path):
    words = (*GRPO, "--prompts-per-update", 1, "--show-every", 2, "--save-every", 1)
    words += ("--rewards", json.dumps({"reasoning": 1, "accuracy": 2}), "--keep-checkpoints")
    kept = ("--checkpoints", tmp_path / "kept")
    assert train(prompts, tmp_path / "short", *words, *kept, "--updates", 2) == 0
    assert train(prompts, tmp_path / "whole", *words, *kept, "--updates", 3) == 0
    rows = COMPLETIONS.read(tmp_path / "whole" / "completions.parquet").to_pylist()
    assert [(row["step"], row["sample"]) for row in rows] == [(1, 0), (1, 1), (3, 0), (3, 1)]
    log = TRAINING_LOG.read(tmp_path / "whole" / "training_log.parquet").to_pylist()
    earned = {row["step"]: row["value"] for row in log if row["name"] == "reward"}
    for step in (1, 3):
        of_step = [row["reward"] for row in rows if row["step"] == step]
        assert np.mean(of_step) == pytest.approx(earned[step], abs=1e-5)
    asked = {row["image_id"]: row for row in PROMPTS.read(prompts).to_pylist()}
    for row in rows:
        question, weights = asked[row["image_id"]], {"reasoning": 1, "accuracy": 2}
        total = sum(weights[one["name"]] * one["value"] for one in row["rewards"])
        assert row["reward"] == pytest.approx(total, abs=1e-5)
        assert (row["image"], row["labels"]) == (question["image"], question["labels"])
        truth = frame_of(question).to_image(question["gt_boxes"])
        np.testing.assert_allclose(row["gt_boxes"], truth, rtol=1e-6)
        answer = parse_response(row["text"]).answer
        if answer is None:
            assert row["boxes"] is None
        else:
            boxes = np.array(row["boxes"], np.float64).reshape(-1, 4)
            np.testing.assert_allclose(boxes, frame_of(question).to_image(answer.boxes), rtol=1e-6)
    assert not (tmp_path / "whole" / "completions").exists()
