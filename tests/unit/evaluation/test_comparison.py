"""Comparing arms: paired, with intervals that cover, and never of boxes scored differently."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts import artifact_named
from dipr1.artifacts.comparison import COMPARISON
from dipr1.artifacts.images import IMAGES
from dipr1.artifacts.made import Made
from dipr1.artifacts.samples import SAMPLES
from dipr1.errors import UserError
from dipr1.evaluation.catalogue import METRICS, Ranking
from dipr1.evaluation.comparison import (
    Compared,
    Run,
    compare,
    comparison_table,
    read_run,
)
from dipr1.evaluation.evaluated import Images
from dipr1.evaluation.measuring import metrics_of
from dipr1.evaluation.per_image import per_image
from tests.unit.experiment import make_experiment


def rewarded(rewards: np.ndarray, score: str = "confidence") -> pa.Table:
    """An images artifact in which only the accuracy reward is not trivial."""
    rows = [
        {
            "image_id": str(number),
            "reward_accuracy": float(reward),
            "num_objects": 1,
            "score": score,
            "labels": ["person"],
            "label_objects": [1],
            "label_jaccard": [[0.0] * 10],
        }
        | dict.fromkeys(("box_label", "box_score", "box_crowdhuman", "box_coco"), [])
        for number, reward in enumerate(rewards)
    ]
    return pa.Table.from_pylist(rows, IMAGES.schema_with(["reward_accuracy"]))


def write(folder: Path, arm: str, seed: int, rewards: np.ndarray, **more: str) -> Run:
    """An arm's figures on the data set `town`, through a file."""
    path = folder / f"{len(list(folder.iterdir()))}.parquet"
    dataset, split = more.pop("name", "town.test").split(".")
    made = Made(arm=arm, seed=seed, dataset=dataset, split=split)
    IMAGES.write(rewarded(rewards, **more), path, made)
    return read_run(str(path))


REWARD = {"names": ["reward_accuracy"]}


def test_values_and_differences_by_hand(tmp_path):
    easy = np.array([0.2, 0.4, 0.6, 0.8])
    runs = [
        write(tmp_path, "better", 0, easy + 0.1),
        write(tmp_path, "better", 1, easy + 0.2),
        write(tmp_path, "base", 0, easy),
    ]
    rows = compare(runs, **REWARD, trained_on="town.train")
    assert [(row.arm, row.baseline) for row in rows] == [
        ("base", None),
        ("better", None),
        ("better", "base"),
    ]
    base, better, effect = rows
    assert (base.value, base.num_seeds, base.num_images) == (0.5, 1, 4)
    assert (base.difference, base.p) == (None, None)
    assert better.value == pytest.approx(0.65)
    assert better.low < 0.65 < better.high
    assert better.num_seeds == 2
    # the images cancel: what is left is the difference between the two seeds
    assert effect.difference == pytest.approx(0.15)
    assert (effect.difference_low, effect.difference_high) == pytest.approx((0.1, 0.2))
    assert all(row.in_domain for row in rows)


def test_identical_arms_differ_by_exactly_nothing(tmp_path):
    rng = np.random.default_rng(0)
    runs = []
    for seed in (0, 1, 2):
        rewards = rng.random(40)
        runs += [write(tmp_path, arm, seed, rewards) for arm in ("sft", "twin")]
    effect = next(row for row in compare(runs, **REWARD) if row.baseline)
    assert (effect.difference, effect.difference_low, effect.difference_high) == (0.0, 0.0, 0.0)
    assert effect.p == 1.0


def test_pairing_is_narrower_than_two_intervals(tmp_path):
    rng = np.random.default_rng(1)
    hard = rng.random(60)
    runs = [
        write(tmp_path, "base", 0, hard),
        write(tmp_path, "better", 0, hard + 0.05 + rng.normal(0, 0.02, 60)),
    ]
    base, better, effect = compare(runs, **REWARD)
    assert base.low < better.value < base.high  # taken apart, the two cannot be told
    assert 0.04 < effect.difference_low < effect.difference_high < 0.06
    assert effect.p == pytest.approx(2 / 1001)


def test_arms_are_paired_on_the_seeds_that_both_have(tmp_path):
    """The third seed of `more` is far off: it counts in its value, and not in the difference."""
    easy = np.array([0.2, 0.4])
    gains = {"few": [0.1, 0.2], "more": [0.2, 0.3, 0.9]}
    runs = [
        write(tmp_path, arm, seed, easy + gain)
        for arm, of_arm in gains.items()
        for seed, gain in enumerate(of_arm)
    ]
    few, _, more, effect = compare(runs, **REWARD, baselines=["few", "more"])
    assert (few.num_seeds, more.num_seeds, effect.num_seeds) == (2, 3, 2)
    assert more.value == pytest.approx(0.3 + (0.2 + 0.3 + 0.9) / 3)
    assert effect.value == pytest.approx(0.3 + 0.25)
    assert effect.difference == pytest.approx(0.1)
    assert (effect.difference_low, effect.difference_high) == pytest.approx((0.1, 0.1))


def test_arms_without_a_common_seed_are_compared_whole(tmp_path):
    runs = [
        write(tmp_path, arm, seed, np.array([0.1 * seed, 0.3]))
        for arm, seeds in {"one": (0, 1), "other": (2, 3)}.items()
        for seed in seeds
    ]
    effect = compare(runs, **REWARD, baselines=["one"])[-1]
    assert (effect.num_seeds, effect.difference) == (2, pytest.approx(0.1))


def test_intervals_of_a_difference_cover_it():
    rng = np.random.default_rng(2)
    covered = 0
    for _ in range(100):
        hard = rng.beta(2, 3, 50)
        rewards = {"base": hard, "better": hard + rng.gamma(2, 0.05, 50)}
        runs = [
            Run(arm, 0, "town.test", arm, Images(rewarded(values)))
            for arm, values in rewards.items()
        ]
        effect = compare(runs, **REWARD, resamples=200)[-1]
        covered += effect.difference_low <= 0.1 <= effect.difference_high
    assert 86 <= covered <= 99


def test_sets_are_told_apart(tmp_path):
    rng = np.random.default_rng(3)
    runs = [
        write(tmp_path, arm, 0, rng.random(size), name=name)
        for arm in ("base", "sft", "dipr1")
        for name, size in (("town.test", 12), ("night.test", 7))
    ]
    rows = compare(runs, **REWARD, trained_on="town.train", resamples=20)
    assert len(rows) == 2 * (3 + 1 + 1 + 2)
    assert {(row.set, row.in_domain, row.num_images) for row in rows} == {
        ("town.test", True, 12),
        ("night.test", False, 7),
    }
    assert {row.in_domain for row in compare(runs, **REWARD, resamples=2)} == {None}
    only_sft = compare(runs, **REWARD, baselines=["sft", "absent"], resamples=2)
    assert {row.baseline for row in only_sft} == {None, "sft"}


def test_boxes_scored_differently_are_not_compared(tmp_path):
    runs = [
        write(tmp_path, "base", 0, np.ones(2)),
        write(tmp_path, "sft", 0, np.ones(2), score="order"),
    ]
    with pytest.raises(UserError, match=r"by order, but by confidence in .*0.parquet"):
        compare(runs, **REWARD)


def test_other_images_are_not_compared(tmp_path):
    runs = [write(tmp_path, "base", 0, np.ones(2)), write(tmp_path, "sft", 0, np.ones(3))]
    with pytest.raises(UserError, match=r"1.parquet: its images are not those of .*0.parquet"):
        compare(runs, **REWARD)


def test_a_file_that_does_not_say_its_run_is_named(tmp_path):
    path = tmp_path / "images.parquet"
    IMAGES.write(rewarded(np.ones(2)), path, Made(seed=0, dataset="town", split="test"))
    with pytest.raises(UserError, match=r"images.parquet: does not say its arm"):
        read_run(str(path))


def test_nothing_to_compare():
    assert compare([]) == []
    assert comparison_table([]).schema == COMPARISON.schema


# --- a made-up experiment -----------------------------------------------------------------------


@pytest.fixture(scope="module")
def experiment(tmp_path_factory) -> tuple[list[Run], dict[tuple[str, int], dict[str, float]]]:
    """The runs, and the metrics of each."""
    folder = tmp_path_factory.mktemp("experiment")
    make_experiment(folder, arms=("dipr1", "sft", "base"), seeds=(0, 1), num_images=10)
    results = folder / "results"
    artifacts = [
        artifact_named(kind).read(results / f"{kind}/crowdscenes/validation.parquet")
        for kind in ("annotations", "prompts", "variance")
    ]
    runs, metrics = [], {}
    for arm in ("dipr1", "sft", "base"):
        for seed in (0,) if arm == "base" else (0, 1):
            path = results / f"predictions/{arm}/seed{seed}/crowdscenes.validation.parquet"
            images = Images(per_image(*artifacts[:2], SAMPLES.read(path), artifacts[2]))
            runs.append(Run(arm, seed, "crowdscenes.validation", str(path), images))
            metrics[arm, seed] = metrics_of(images)
    return runs, metrics


def test_values_are_means_of_the_metrics_over_seeds(experiment):
    runs, metrics = experiment
    rows = [row for row in compare(runs, resamples=10) if row.baseline is None]
    assert {row.metric for row in rows} == {
        name for name, metric in METRICS.items() if metric.compared
    }
    assert {"AP", "f1_50", "reward_looking", "look_lift"} <= {row.metric for row in rows}
    assert list(dict.fromkeys(row.arm for row in rows)) == ["base", "dipr1", "sft"]
    for row in rows:
        over_seeds = [values[row.metric] for (arm, _), values in metrics.items() if arm == row.arm]
        mean = np.mean(over_seeds)  # NaN where undefined: the scenes' visibility is not known
        assert row.value == (None if np.isnan(mean) else pytest.approx(mean)), row.metric
        assert row.num_seeds == len(over_seeds)
        assert (row.score == "confidence") == isinstance(METRICS[row.metric], Ranking)


def test_the_same_seed_gives_the_same_rows(experiment):
    runs, _ = experiment
    rows = compare(runs, resamples=10)
    assert compare(runs, resamples=10) == rows
    assert compare(runs, resamples=10, seed=1) != rows


def test_rows_are_the_columns_of_the_artifact(experiment, tmp_path):
    rows = compare(experiment[0], resamples=10)
    COMPARISON.write(comparison_table(rows), tmp_path / "comparison.parquet")
    read = COMPARISON.read(tmp_path / "comparison.parquet").to_pylist()
    assert [Compared(**row) for row in read] == rows
