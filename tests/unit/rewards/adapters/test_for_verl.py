"""The rewards as verl loads and calls them."""

from __future__ import annotations

import asyncio
import inspect
import json
import math
from functools import partial

import numpy as np
import pytest

from dipr1.rewards import for_verl
from tests.unit.rewards.responding import EXPECTED, SCENE, TEXTS, TOTALS, load_file


def verl_call(function, reward_kwargs, **given):
    """As verl binds the configuration's arguments to the function."""
    return function(**{**given, **reward_kwargs})


def check_verl(score, rewards, total) -> None:
    assert score.pop("score") == pytest.approx(total, rel=1e-15)
    assert score == rewards


@pytest.mark.parametrize("module", [for_verl, load_file(for_verl, "custom_module_1")])
def test_verl_calls_by_keyword_from_threads_of_an_event_loop(module):
    compute_score = partial(verl_call, module.compute_score, {})
    assert not inspect.iscoroutinefunction(compute_score)

    async def run_single(text: str) -> dict:
        return await asyncio.get_running_loop().run_in_executor(
            None,
            lambda: compute_score(
                data_source="crowd",
                solution_str=text,
                ground_truth=json.dumps(SCENE),
                extra_info={"num_turns": None, "rollout_reward_scores": {}},
                reward_router_address="localhost:1",
                reward_model_tokenizer=None,
            ),
        )

    async def run_all() -> list[dict]:
        return await asyncio.gather(*(run_single(text) for text in TEXTS * 10))

    for found, rewards, total in zip(
        asyncio.run(run_all()), EXPECTED * 10, TOTALS * 10, strict=True
    ):
        assert all(type(value) is float for value in found.values())
        check_verl(found, rewards, total)


def test_verl_by_position_and_with_weights():
    found = for_verl.compute_score("crowd", TEXTS[1], SCENE, {"index": 3})
    check_verl(found, EXPECTED[1], TOTALS[1])
    compute_score = partial(verl_call, for_verl.compute_score, {"weights": {"looking": 2.0}})
    found = compute_score(data_source="crowd", solution_str=TEXTS[1], ground_truth=SCENE)
    check_verl(found, EXPECTED[1], 2 * EXPECTED[1]["looking"])


def test_verl_in_batches():
    scores = for_verl.compute_score_batch(
        data_sources=np.array(["crowd"] * len(TEXTS), dtype=object),
        solution_strs=TEXTS,
        ground_truths=[SCENE] * len(TEXTS),
        extra_infos=[{"rollout_reward_scores": {}} for _ in TEXTS],
    )
    for found, rewards, total in zip(scores, EXPECTED, TOTALS, strict=True):
        check_verl(found, rewards, total)


def test_verl_gets_the_same_keys_from_every_row():
    without = {name: SCENE[name] for name in ("gt_boxes", "gt_labels")}
    for first, second in ((SCENE, without), (without, SCENE)):
        scores = [for_verl.compute_score("crowd", TEXTS[0], truth) for truth in (first, second)]
        # as verl makes columns of them
        columns = {key: np.array([score[key] for score in scores]) for key in scores[0]}
        assert list(columns) == ["score", "reasoning", "looking", "accuracy"]
        assert np.isnan(columns["looking"]).tolist() == [first is without, second is without]
        assert np.isfinite(columns["score"]).all()
    assert list(for_verl.compute_score("crowd", "", without, weights={})) == list(columns)


def test_verl_in_batches_has_groups():
    truths = [{"gt_boxes": SCENE["gt_boxes"], "image_id": name} for name in "aaaabbc"]
    batch = {"data_sources": ["crowd"] * 7, "solution_strs": TEXTS, "ground_truths": truths}
    scores = for_verl.compute_score_batch(**batch, options={"looking_source": "group"})
    assert [math.isnan(score["looking"]) for score in scores] == [False] * 4 + [True] * 3
