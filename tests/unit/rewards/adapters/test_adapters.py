"""The rewards and their adapters in processes, in threads, and in any order."""

from __future__ import annotations

import asyncio
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from dipr1.rewards import (
    REWARDS,
    AccuracyReward,
    LookingReward,
    ReasoningReward,
    accuracy_reward,
    for_easyr1,
    for_verl,
    looking_reward,
    reasoning_reward,
)
from dipr1.rewards.scores import score_response
from tests.unit.rewards.adapters.inputs import SWIFT, columns_of, easyr1_inputs
from tests.unit.rewards.responding import SCENE, TEXTS

CALLABLES = {
    "reasoning_reward": reasoning_reward,
    "looking_reward": looking_reward,
    "accuracy_reward": accuracy_reward,
    "ReasoningReward": ReasoningReward(graded=True),
    "LookingReward": LookingReward(0.25, 2, 2.0),
    "AccuracyReward": AccuracyReward("hard", "mean", alpha=0.2),
    **{make.__name__: make() for make in SWIFT.values()},
}
SCORERS = {
    "verl": for_verl.compute_score_batch,
    "easyr1": for_easyr1.compute_score,
}


def all_values(texts) -> dict[str, list]:
    """What every reward and adapter makes of the texts."""
    values = {name: reward(texts, **columns_of(texts)) for name, reward in CALLABLES.items()}
    truths = [json.dumps(SCENE)] * len(texts)
    values["verl"] = for_verl.compute_score_batch(["crowd"] * len(texts), texts, truths)
    values["easyr1"] = for_easyr1.compute_score(
        [{"response": t, "ground_truth": g} for t, g in zip(texts, truths, strict=True)]
    )
    return values


def test_all_of_them_pickle():
    for reward in CALLABLES.values():
        copy = pickle.loads(pickle.dumps(reward))
        assert copy(TEXTS, **columns_of(TEXTS)) == reward(TEXTS, **columns_of(TEXTS))
    for scorer in (*SCORERS.values(), for_verl.compute_score, score_response):
        assert pickle.loads(pickle.dumps(scorer)) is scorer


def call(reward, texts, columns):
    return reward(texts, **columns)


def test_new_processes_agree():
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn) as pool:
        found = {
            name: pool.submit(call, reward, TEXTS, columns_of(TEXTS))
            for name, reward in CALLABLES.items()
        }
        truths = [json.dumps(SCENE)] * len(TEXTS)
        verl = pool.submit(for_verl.compute_score_batch, ["crowd"] * len(TEXTS), TEXTS, truths)
        easyr1 = pool.submit(for_easyr1.compute_score, easyr1_inputs())
        values = {name: future.result() for name, future in found.items()}
        values |= {"verl": verl.result(), "easyr1": easyr1.result()}
    assert values == all_values(TEXTS)


def test_threads_agree():
    texts = [f"{text} {number}" for number in range(20) for text in TEXTS]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(all_values, [texts, texts[::-1]] * 8))
    expected = all_values(texts)
    for number, values in enumerate(found):
        for name, value in values.items():
            assert (value[::-1] if number % 2 else value) == expected[name]


def test_tasks_of_an_event_loop_agree():
    async def one(text: str) -> dict:
        await asyncio.sleep(0)
        return all_values([text])

    async def every() -> list[dict]:
        return await asyncio.gather(*map(one, TEXTS * 5))

    expected = all_values(TEXTS)
    for number, values in enumerate(asyncio.run(every())):
        for name, [value] in values.items():
            assert value == expected[name][number % len(TEXTS)]


def test_what_was_called_before_does_not_matter():
    expected = all_values(TEXTS)
    others = {name: [None] * len(TEXTS) for name in SCENE}
    for number in np.random.default_rng(0).permutation(len(TEXTS) * 3) % len(TEXTS):
        # In between the same texts against another truth, and a call that fails.
        accuracy_reward(TEXTS, gt_boxes=[[]] * len(TEXTS))
        looking_reward(TEXTS, **others)
        with pytest.raises(ValueError, match="gt_boxes"):
            accuracy_reward(TEXTS)
        values = all_values([TEXTS[number]])
        assert {name: value[0] for name, value in values.items()} == {
            name: value[number] for name, value in expected.items()
        }
    assert all_values(TEXTS) == expected


def test_arguments_are_not_changed():
    columns, truth = columns_of(TEXTS), json.loads(json.dumps(SCENE))
    before = json.dumps(columns)
    for reward in CALLABLES.values():
        reward(TEXTS, **columns)
    for_verl.compute_score("crowd", TEXTS[0], truth)
    assert json.dumps(columns) == before and truth == SCENE


MODULES = [
    "dipr1.rewards",
    "dipr1.rewards.scores",
    "dipr1.rewards.adapters.for_verl",
    "dipr1.rewards.adapters.for_easyr1",
    "dipr1.rewards.adapters.for_swift",
]


@pytest.mark.parametrize("module", MODULES)
def test_importing_takes_numpy_and_little_of_ours(module):
    code = (
        "import sys\n"
        "before = set(sys.modules)\n"
        f"import {module}\n"
        "new = {name for name in set(sys.modules) - before if not name.startswith('_')}\n"
        "outside = {n.partition('.')[0] for n in new} - set(sys.stdlib_module_names)\n"
        "print(*sorted(outside), sum(name.startswith('dipr1') for name in new))\n"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    *packages, num_ours = result.stdout.split()
    assert packages == ["dipr1", "numpy"], result.stderr
    assert int(num_ours) <= 12 + len(REWARDS)


def test_what_stands_in_the_prompt_already_may_be_told():
    texts = [text.removeprefix("<think>") for text in TEXTS]
    truth = SCENE | {"prompt_end": "<think>\n"}
    [first, *_] = for_verl.compute_score_batch(["crowd"], texts[:1], [json.dumps(truth)])
    assert first["reasoning"] == 1.0
    one = {"response": texts[0], "ground_truth": json.dumps(truth)}
    assert for_easyr1.compute_score(one)["reasoning"] == 1.0
    assert score_response(texts[0], **truth)["reasoning"] == 1.0
    for column in ("<think>\n", ["<think>\n"] * len(texts)):
        columns = columns_of(texts) | {"prompt_end": column}
        for make in SWIFT.values():
            begun = make()(["<think>" + text for text in texts], **columns_of(texts))
            assert make()(texts, **columns) == begun
