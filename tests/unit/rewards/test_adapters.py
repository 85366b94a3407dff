"""The rewards as other trainers load and call them, and in threads and processes."""

from __future__ import annotations

import asyncio
import importlib.util
import inspect
import json
import multiprocessing
import pickle
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import yaml

from dipr1.rewards import (
    AccuracyReward,
    LookingReward,
    ReasoningReward,
    accuracy_reward,
    for_easyr1,
    for_swift,
    for_verl,
    looking_reward,
    reasoning_reward,
)
from dipr1.rewards.scores import (
    GROUND_TRUTH,
    WEIGHTS,
    read_ground_truth,
    score_response,
    score_responses,
)

PEOPLE = [[10, 10, 30, 60], [25, 12, 45, 62], [70, 20, 90, 70]]
TRUTH = {
    "gt_boxes": PEOPLE,
    "gt_labels": ["person"] * 3,
    "ignore_boxes": [[0, 80, 100, 100]],
    "gt_uncertainty": [0.9, 0.7, 0.1],
    "region_boxes": PEOPLE,
    "region_uncertainty": [0.9, 0.7, 0.1],
    "frame_width": 100,
    "frame_height": 100,
    "labels": ["person"],
}
EMPTY = {"gt_boxes": [], "gt_labels": [], "region_boxes": [], "region_uncertainty": []}


def respond(boxes, looks=(), think="a crowd") -> str:
    answer = json.dumps([{"bbox_2d": box, "label": "person"} for box in boxes])
    look = json.dumps([{"bbox_2d": box} for box in looks])
    return f"<think>{think}</think><look>{look}</look><answer>{answer}</answer>"


TEXTS = [
    respond(PEOPLE, PEOPLE[:2]),
    respond(PEOPLE[:2], [[0, 0, 100, 100]]),
    respond(PEOPLE * 2, PEOPLE, think=""),
    respond([[12, 10, 32, 60]]),
    "```json\n" + json.dumps([{"bbox_2d": box} for box in PEOPLE]) + "\n```",
    "nobody",
    "",
]


def rewards_of(texts, truth=TRUTH) -> list[dict[str, float]]:
    """What the functions for TRL give, row by row."""
    columns = {name: [value] * len(texts) for name, value in truth.items()}
    named = {
        "reasoning": reasoning_reward(texts, **columns),
        "looking": looking_reward(texts, **columns),
        "accuracy": accuracy_reward(texts, **columns),
    }
    return [dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)]


EXPECTED = rewards_of(TEXTS)
TOTALS = [sum(WEIGHTS[name] * row[name] for name in row) for row in EXPECTED]


# --- one record of ground truth -----------------------------------------------------------------


def test_scores_are_those_of_the_rewards():
    for text, rewards, total in zip(TEXTS, EXPECTED, TOTALS, strict=True):
        scores = score_response(text, **TRUTH)
        assert scores.pop("total") == pytest.approx(total, rel=1e-15)
        assert scores == rewards
    assert len(set(TOTALS)) > 4


def test_the_weights_are_those_of_the_demo(root):
    config = yaml.safe_load((root / "config.yaml").read_text(encoding="utf-8"))
    assert config["arms"]["dipr1"]["rewards"] == WEIGHTS


def test_weights_can_be_chosen():
    rewards = EXPECTED[3]
    assert score_response(TEXTS[3], **TRUTH, weights={"accuracy": 2})["total"] == pytest.approx(
        2 * rewards["accuracy"]
    )
    assert score_response(TEXTS[3], **TRUTH, weights={})["total"] == 0.0
    with pytest.raises(ValueError, match="expected reasoning, looking, accuracy but got format"):
        score_response(TEXTS[3], **TRUTH, weights={"format": 1})


def test_no_texts():
    assert score_responses([], []) == []


def test_looking_is_left_out_without_regions():
    truth = {"gt_boxes": PEOPLE, "gt_labels": ["person"] * 3}
    first, second = score_responses(TEXTS[:2], [truth, TRUTH])
    assert set(first) == {"reasoning", "accuracy", "total"}
    assert first["total"] == pytest.approx(1.0 + 3.0)
    assert second == score_response(TEXTS[1], **TRUTH)


def as_a_data_frame_reads_it(value):
    """Nested lists as arrays of arrays, which no conversion to one array takes."""
    if not isinstance(value, list):
        return value
    array = np.empty(len(value), dtype=object)
    array[:] = [as_a_data_frame_reads_it(item) for item in value]
    return array if value and isinstance(value[0], list) else np.array(value)


FORMS = {
    "mapping": lambda truth: truth,
    "JSON": json.dumps,
    "arrays": lambda truth: {name: as_a_data_frame_reads_it(v) for name, v in truth.items()},
    "one array each": lambda truth: {name: np.array(value) for name, value in truth.items()},
    "with what is not known": lambda truth: {name: None for name in GROUND_TRUTH} | truth,
    "with the image's name": lambda truth: truth | {"image_id": "a,1"},
}


@pytest.mark.parametrize("form", FORMS.values(), ids=FORMS.keys())
@pytest.mark.parametrize("truth", [TRUTH, EMPTY], ids=["crowd", "nobody"])
def test_ground_truth_may_come_in_any_form(form, truth):
    texts = [*TEXTS, respond([])]
    expected = score_responses(texts, [truth] * len(texts))
    assert score_responses(texts, [form(truth)] * len(texts)) == expected
    assert read_ground_truth(form(truth)).get("gt_boxes") == truth["gt_boxes"]


@pytest.mark.parametrize(
    ("truth", "message"),
    [
        ({}, "expected gt_boxes, an empty list if need be; got nothing"),
        ({"labels": ["person"]}, "expected gt_boxes, .*; got labels"),
        ({"gt_boxes": None}, "expected gt_boxes"),
        ({"gt_boxes": [], "boxes": []}, "boxes is not known; it may have gt_boxes, gt_labels"),
        ({"gt_boxes": [], "region_boxes": []}, "both region_boxes and region_uncertainty"),
        ("[]", "expected a mapping or its JSON but got list"),
        ("42", "expected a mapping or its JSON but got int"),
        (None, "expected a mapping or its JSON but got NoneType"),
        ("72", "expected a mapping"),
    ],
)
def test_other_ground_truth_is_refused(truth, message):
    with pytest.raises(ValueError, match=message):
        score_responses(["nobody"], [truth])


# --- as the frameworks load and call them -------------------------------------------------------


def load_file(module, name: str):
    """A module run from its file under another name, as frameworks load a reward's file."""
    spec = importlib.util.spec_from_file_location(name, module.__file__)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


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
                ground_truth=json.dumps(TRUTH),
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
    found = for_verl.compute_score("crowd", TEXTS[1], TRUTH, {"index": 3})
    check_verl(found, EXPECTED[1], TOTALS[1])
    compute_score = partial(verl_call, for_verl.compute_score, {"weights": {"looking": 2.0}})
    found = compute_score(data_source="crowd", solution_str=TEXTS[1], ground_truth=TRUTH)
    check_verl(found, EXPECTED[1], 2 * EXPECTED[1]["looking"])


def test_verl_in_batches():
    scores = for_verl.compute_score_batch(
        data_sources=np.array(["crowd"] * len(TEXTS), dtype=object),
        solution_strs=TEXTS,
        ground_truths=[TRUTH] * len(TEXTS),
        extra_infos=[{"rollout_reward_scores": {}} for _ in TEXTS],
    )
    for found, rewards, total in zip(scores, EXPECTED, TOTALS, strict=True):
        check_verl(found, rewards, total)


def easyr1_inputs() -> list[dict]:
    return [
        {"response": text, "response_length": len(text), "ground_truth": json.dumps(TRUTH)}
        for text in TEXTS
    ]


@pytest.mark.parametrize("module", [for_easyr1, load_file(for_easyr1, "custom_reward_fn")])
def test_easyr1_calls_with_a_list_or_with_one(module):
    assert (module.REWARD_NAME, module.REWARD_TYPE) == ("dipr1", "batch")
    scores = module.compute_score(easyr1_inputs())
    assert scores == [module.compute_score(one) for one in easyr1_inputs()]
    for found, rewards, total in zip(scores, EXPECTED, TOTALS, strict=True):
        assert found.pop("overall") == pytest.approx(total, rel=1e-15)
        assert found == rewards


def test_easyr1_with_arguments_from_the_configuration():
    compute_score = partial(for_easyr1.compute_score, **{"weights": {"accuracy": 1.0}})
    found = [score["overall"] for score in compute_score(easyr1_inputs())]
    assert found == [rewards["accuracy"] for rewards in EXPECTED]


SWIFT = (for_swift.DipReasoning, for_swift.DipLooking, for_swift.DipAccuracy)


def swift_columns(as_json: bool = False) -> dict[str, list]:
    """What ms-swift makes of the rows, next to the state of the trainer."""
    truth = {n: json.dumps(v) if as_json else v for n, v in TRUTH.items()} | {"image_id": "a,1"}
    rows = [
        {"messages": [{"role": "assistant", "content": text}], "finish_reason": "stop", **truth}
        for text in TEXTS
    ]
    return {name: [row[name] for row in rows] for name in rows[0]} | {"trainer_state": object()}


@pytest.mark.parametrize("as_json", [False, True])
def test_swift_calls_with_columns(as_json):
    for make, name in zip(SWIFT, WEIGHTS, strict=True):
        reward = make(args=object())
        assert not inspect.iscoroutinefunction(reward.__call__)
        found = reward(TEXTS, **swift_columns(as_json))
        assert found == [rewards[name] for rewards in EXPECTED]


def test_swift_leaves_out_rows_without_ground_truth():
    columns = {"gt_boxes": [None, PEOPLE], "gt_labels": [None, ["person"] * 3]}
    assert for_swift.DipAccuracy()(TEXTS[:2], **columns)[0] is None


def test_swift_finds_the_rewards_by_name(tmp_path):
    # A stand-in for ms-swift, as its 4.6 exposes rewards and loads a plugin's file.
    package = tmp_path / "swift" / "rewards"
    package.mkdir(parents=True)
    (tmp_path / "swift" / "__init__.py").touch()
    (package / "__init__.py").write_text(
        "class ORM:\n"
        "    def __init__(self, args=None, **kwargs):\n"
        "        self.args = args\n"
        "orms = {}\n"
    )
    code = (
        "import importlib.util, json, os, sys\n"
        "path, columns = sys.argv[1], json.loads(sys.argv[2])\n"
        "sys.path.insert(0, os.path.dirname(path))\n"
        "spec = importlib.util.spec_from_file_location('_swift_external_1', path)\n"
        "module = importlib.util.module_from_spec(spec)\n"
        "sys.modules[spec.name] = module\n"
        "spec.loader.exec_module(module)\n"
        "from swift.rewards import ORM, orms\n"
        "rewards = [orms['dipr1_' + n](args=1) for n in ('reasoning', 'looking', 'accuracy')]\n"
        "assert all(isinstance(reward, ORM) for reward in rewards)\n"
        "print(json.dumps([reward(**columns) for reward in rewards]))\n"
    )
    columns = {name: [value] * len(TEXTS) for name, value in TRUTH.items()}
    arguments = [for_swift.__file__, json.dumps({"completions": TEXTS, **columns})]
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        env={"PYTHONPATH": f"{tmp_path}:{Path(for_swift.__file__).parents[2]}"},
    )
    assert result.returncode == 0, result.stderr
    expected = [[rewards[name] for rewards in EXPECTED] for name in WEIGHTS]
    assert json.loads(result.stdout) == expected


def test_no_module_here_hides_a_framework():
    # ms-swift puts the folder of a plugin first on the path.
    folder = Path(for_swift.__file__).parent
    frameworks = {"swift", "verl", "trl", "torch", "transformers", "datasets", "numpy"}
    assert not frameworks & {file.stem for file in folder.glob("*.py")}


# --- processes, threads, order ------------------------------------------------------------------

REWARDS = {
    "reasoning_reward": reasoning_reward,
    "looking_reward": looking_reward,
    "accuracy_reward": accuracy_reward,
    "ReasoningReward": ReasoningReward(graded=True),
    "LookingReward": LookingReward(0.25, 2, 2.0),
    "AccuracyReward": AccuracyReward("hard", "mean", alpha=0.2),
    **{make.__name__: make() for make in SWIFT},
}
SCORERS = {
    "verl": for_verl.compute_score_batch,
    "easyr1": for_easyr1.compute_score,
}


def columns_of(texts) -> dict[str, list]:
    return {name: [value] * len(texts) for name, value in TRUTH.items()}


def all_values(texts) -> dict[str, list]:
    """What every reward and adapter makes of the texts."""
    values = {name: reward(texts, **columns_of(texts)) for name, reward in REWARDS.items()}
    truths = [json.dumps(TRUTH)] * len(texts)
    values["verl"] = for_verl.compute_score_batch(["crowd"] * len(texts), texts, truths)
    values["easyr1"] = for_easyr1.compute_score(
        [{"response": t, "ground_truth": g} for t, g in zip(texts, truths, strict=True)]
    )
    return values


def test_all_of_them_pickle():
    for reward in REWARDS.values():
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
            for name, reward in REWARDS.items()
        }
        truths = [json.dumps(TRUTH)] * len(TEXTS)
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
    others = {name: [None] * len(TEXTS) for name in TRUTH}
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
    columns, truth = columns_of(TEXTS), json.loads(json.dumps(TRUTH))
    before = json.dumps(columns)
    for reward in REWARDS.values():
        reward(TEXTS, **columns)
    for_verl.compute_score("crowd", TEXTS[0], truth)
    assert json.dumps(columns) == before and truth == TRUTH


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
    assert int(num_ours) <= 13
