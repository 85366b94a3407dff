"""Experiments of equal options share their results, and others never meet."""

from __future__ import annotations

import re
from typing import Any

import pytest
import yaml

from dipr1.config import check
from dipr1.places import KINDS, Places

VALUES = """
datasets:
  crowd:
    splits: {train: {num_images: 4, seed: 1}, test: {num_images: 4, seed: 2}}
training: {dataset: crowd}
evaluation: {sets: [crowd.test]}
arms: {base: {method: none}, sft: {method: sft}}
"""
ALL = [*KINDS, "crops"]


def places(name: str = "mine", **changes: Any) -> Places:
    """Of a small experiment, changed at `a__b` for `a.b`."""
    values = yaml.safe_load(VALUES)
    for key, value in changes.items():
        part = values
        *above, last = key.split("__")
        for one in above:
            part = part.setdefault(one, {})
        part[last] = value
    return Places(check(values, f"{name}.yaml"))


def paths(places: Places, split: str = "train") -> dict[str, str]:
    """Everything that is shared of a split; `crops` are the samples of its crops."""
    every = {kind: places.path(kind, "crowd", split) for kind in KINDS}
    return every | {"crops": places.path("samples", "crowd", f"{split}.crops")}


@pytest.mark.parametrize(
    ("changes", "others"),
    [
        ({"arms__sft__learning_rate": 1e-3}, []),
        ({"training__updates": 7}, []),
        ({"audit__rows": 7}, []),
        ({"sample__num_samples": 8}, []),  # the default
        ({"datasets__crowd__splits__test__seed": 9}, []),
        ({"datasets__more": {"splits": {"train": {}}}}, []),
        ({"crop__margin": 0.5}, ["gain", "crops"]),
        ({"variance__v0": 0.5}, ["variance", "gain", "crops"]),
        ({"sample__temperature": 0.5}, ["samples", "variance", "gain", "crops"]),
        ({"seeds": [3]}, ["samples", "variance", "gain", "crops"]),
        ({"policy__dtype": "bfloat16"}, ["samples", "variance", "gain", "crops"]),
        ({"policy__max_pixels": 9999}, ALL[1:]),
        ({"datasets__crowd__min_size": 9.0}, ALL[1:]),
        ({"datasets__crowd__labels": ["person", "rider"]}, ALL[1:]),
        ({"datasets__crowd__style": "night"}, ALL),
        ({"datasets__crowd__splits__train__seed": 9}, ALL),
    ],
    ids=str,
)
def test_what_depends_on_an_option_has_a_place_of_its_own(changes, others):
    one, other = paths(places()), paths(places("other", **changes))
    assert [kind for kind in one if one[kind] != other[kind]] == others


def test_what_a_machine_gives_has_no_place_of_its_own():
    of_vllm = places(policy__engine="vllm")
    smaller = places(policy__engine="vllm", policy__engine_memory=0.5, policy__engine_gpus=2)
    assert paths(smaller) == paths(of_vllm) != paths(places())
    assert paths(places(seeds=[1, 0, 1])) == paths(places(seeds=[0, 1]))


def test_no_two_results_lie_in_one_place():
    every = [path for split in ("train", "test") for path in paths(places(), split).values()]
    assert len(set(every)) == len(every)


def test_paths_are_read_at_a_glance():
    mine = places()
    assert mine.own == "results/mine"
    assert re.fullmatch(
        r"results/shared/variance/crowd/train-[0-9a-f]{8}\.parquet",
        mine.path("variance", "crowd", "train"),
    )


def test_digits_stay_as_they_are():
    # others would have every shared result made again
    digests = [places().digest(kind, "crowd", "train") for kind in ("download", "gain")]
    assert digests == ["32dd9fcc", "8fc6a2e8"]


def test_a_name_stands_in_the_file_or_is_the_files():
    assert places(name="b.c").own == "results/b.c"
    values = yaml.safe_load(VALUES) | {"name": "a"}
    assert Places(check(values, "some/b.yaml"), "there").own == "there/a"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("split", ["train", "train.crops"])
def test_the_digits_of_a_path_are_those_of_this_experiment_and_place(kind, split):
    mine, other = places(), places(datasets__crowd__style="night")
    pattern = re.escape(mine.pattern(kind)).replace(r"\{digest\}", f"({mine.digests})")
    pattern = pattern.replace(r"\{dataset\}", "crowd").replace(r"\{split\}", re.escape(split))
    pattern = pattern.replace(r"\{shard\}", "0")
    assert re.fullmatch(pattern, mine.path(kind, "crowd", split))
    assert not re.fullmatch(pattern, other.path(kind, "crowd", split))
    digest = mine.digest("download" if kind != "download" else "variance", "crowd", "train")
    wrong = mine.pattern(kind).format(dataset="crowd", split=split, digest=digest)
    assert not re.fullmatch(pattern, wrong)


@pytest.mark.parametrize(
    ("path", "now"),
    [
        ("results/report/index.html", "results/mine/report/index.html"),
        ("results/policies/sft/seed0", "results/mine/policies/sft/seed0"),
        ("results/audit/crowd/train.parquet", "results/mine/audit/crowd/train.parquet"),
        ("results/download/crowd/train", ("download", "train")),
        ("results/annotations/crowd/train.rejects.parquet", ("rejects", "train")),
        ("results/samples/crowd/train.crops/0.parquet", ("samples", "train.crops")),
        ("results/variance/crowd/train.gain.parquet", ("gain", "train")),
        ("results/prompts/crowd/train.crops.parquet", ("prompts", "train.crops")),
        ("results/variance/unknown/train.parquet", None),
        ("results/mine/report/index.html", None),
        ("results/shared/download/crowd/train-12345678/source.json", None),
        ("results", None),
        ("all", None),
    ],
)
def test_former_places_lead_to_those_of_now(path, now):
    mine = places()
    if isinstance(now, tuple):
        kind, split = now
        now = mine.path(kind, "crowd", split)
    assert mine.renamed(path) == now


def test_an_experiment_that_is_called_like_a_former_place_is_asked_for_as_it_is():
    assert places("report").renamed("results/report/report/index.html") is None
