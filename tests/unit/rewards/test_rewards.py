"""All rewards together: what earns them, what is logged, and how trainers may call them."""

from __future__ import annotations

import inspect
import pickle
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dipr1.rewards import (
    REWARDS,
    AccuracyReward,
    LookingReward,
    ReasoningReward,
    accuracy_reward,
    looking_reward,
    reasoning_reward,
)
from dipr1.rewards.scores import GROUND_TRUTH
from tests.unit.rewards.responding import (
    EMPTY_SCENE,
    HACKS,
    HONEST,
    ONE_INVERTED,
    PEOPLE,
    SCENE,
    respond,
    trainer_columns,
)


def rewards(text: str, scene=SCENE) -> list[float]:
    columns = {name: [value] for name, value in scene.items()}
    return [f([text], **columns)[0] for f in (reasoning_reward, looking_reward, accuracy_reward)]


@pytest.mark.parametrize("hack", HACKS.values(), ids=HACKS.keys())
def test_the_honest_response_scores_higher(hack):
    honest, hacked = rewards(HONEST), rewards(hack)
    assert sum(honest) > sum(hacked)
    assert all(a >= b for a, b in zip(honest, hacked, strict=True))


def test_the_honest_response_scores_one_in_each():
    assert rewards(HONEST) == pytest.approx([1.0, 1.0, 1.0], abs=1e-15)


def test_a_correct_empty_answer_scores_one():
    assert rewards(respond(), EMPTY_SCENE) == [1.0, 1.0, 1.0]
    assert rewards(respond(PEOPLE, PEOPLE), EMPTY_SCENE) == [1.0, 0.0, 0.0]


def test_one_bad_box_does_not_cost_the_others():
    clean, spoilt = rewards(respond(PEOPLE[1:]))[2], rewards(respond(ONE_INVERTED))[2]
    assert 0.5 < spoilt < clean


def test_line_breaks_within_the_lists_change_nothing():
    broken = HONEST.replace("[{", "\n[\n{").replace(", ", ",\n ").replace("}]", "}\n]\n")
    assert broken != HONEST
    assert rewards(broken) == rewards(HONEST)


def test_conversations_score_as_strings():
    texts = [HONEST, *HACKS.values()]
    chats = [[{"role": "assistant", "content": text}] for text in texts]
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        columns = trainer_columns(len(texts))
        values = reward(completions=texts, **columns)
        assert values == reward(completions=chats, **columns)
        assert all(type(value) is float and 0.0 <= value <= 1.0 for value in values)


def test_metrics_are_means_over_the_batch():
    logged = {}
    texts = [HONEST, respond(PEOPLE * 2, [[0, 0, 50, 100]]), "", respond(PEOPLE[:1])]
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        reward(completions=texts, **trainer_columns(4), log_metric=logged.__setitem__)
    assert logged["response/well_formed"] == 0.75
    assert logged["answer/boxes"] == pytest.approx((3 + 6 + 1) / 3)
    assert logged["answer/duplicates"] == pytest.approx(3 / 3)
    assert logged["answer/precision"] == pytest.approx((1 + 0.5 + 1) / 3)
    assert logged["answer/recall"] == pytest.approx((1 + 1 + 1.9 / 4.7) / 3)
    assert logged["look/boxes"] == pytest.approx((2 + 1 + 0) / 3)
    assert logged["look/recall"] == pytest.approx(2 / 3)
    union = 1000 + 1000 - 5 * 48
    assert logged["look/area_share"] == pytest.approx((union / 1e4 + 0.5 + 0) / 3)
    assert logged["look/precision"] == pytest.approx((1 + union / 5000 + 0) / 3)
    assert all(type(value) is float for value in logged.values())


def test_no_metric_is_logged_where_there_is_nothing_to_average():
    logged = {}
    accuracy_reward([""], gt_boxes=[[]], log_metric=logged.__setitem__)
    assert logged == {"answer/unreadable": 1.0}
    accuracy_reward([], gt_boxes=[], log_metric=logged.__setitem__)
    assert logged == {"answer/unreadable": 1.0}


def test_what_a_person_training_needs_is_logged():
    logged = {}
    texts = [
        HONEST,
        respond([PEOPLE[0]] * 3, PEOPLE[:1]),
        "<think>a crowd</think><look>[]</look><answer>[{",
    ]
    columns = {name: [value] * 3 for name, value in SCENE.items()}
    for reward in (reasoning_reward, looking_reward, accuracy_reward):
        reward(texts, log_metric=logged.__setitem__, **columns)
    assert logged["response/well_formed"] == pytest.approx(2 / 3)
    assert logged["response/truncated"] == pytest.approx(1 / 3)
    problems = {name for name, share in logged.items() if name.startswith("problems/") and share}
    assert problems == {"problems/answer_unclosed", "problems/answer_not_json"}
    # Over the answers that can be read.
    assert logged["answer/boxes"] == 3.0
    assert logged["answer/duplicates"] == 1.0
    assert logged["answer/ignored"] == 0.0
    assert logged["answer/unit_square"] == 0.0
    assert logged["answer/precision"] == pytest.approx((1 + 1 / 3) / 2)
    assert logged["answer/recall"] == pytest.approx((1 + 1.9 / 4.7) / 2)
    assert logged["look/recall"] == pytest.approx((1 + 0.9 / 1.6 + (0.7 / 1.6) * 0.24 + 0) / 3)
    assert logged["look/precision"] == pytest.approx(2 / 3)
    assert logged["look/area_share"] == pytest.approx((1760 + 1000 + 0) / 3 / 10_000)


@pytest.mark.parametrize(
    "reward",
    [
        ReasoningReward(graded=True),
        LookingReward(0.6, 3, 2.0),
        AccuracyReward("hard", "mean", alpha=0.2),
    ],
)
def test_rewards_pickle(reward):
    copy = pickle.loads(pickle.dumps(reward))
    assert vars(copy) == vars(reward) and vars(copy)
    assert copy.__name__ == reward.__name__
    texts = [HONEST, *HACKS.values()]
    assert copy(texts, **trainer_columns(len(texts))) == reward(
        texts, **trainer_columns(len(texts))
    )


def test_names_that_trainers_log():
    functions = (reasoning_reward, looking_reward, accuracy_reward)
    classes = (ReasoningReward, LookingReward, AccuracyReward)
    assert [f.__name__ for f in functions] == [c().__name__ for c in classes]
    for plain, with_options in zip(functions, classes, strict=True):
        texts = [HONEST, *HACKS.values()]
        columns = trainer_columns(len(texts))
        assert plain(texts, **columns) == with_options()(texts, **columns)


@pytest.mark.parametrize("name", REWARDS)
def test_entries_say_what_the_other_rooms_rely_on(name):
    entry = REWARDS[name]
    reward = entry.make()
    assert reward.__name__ == f"{name}_reward"
    assert set(reward.needs) <= set(GROUND_TRUTH)
    assert entry.meaning.format(one="person", many="people").endswith((".", "?"))
    parameters = inspect.signature(entry.make).parameters
    for option in entry.options:
        assert parameters[option.parameter].default is not inspect.Parameter.empty


def test_a_reward_is_the_same_whoever_is_rewarded_beside_it():
    """To the last bit: answers of a call are compared together, filled up to be equally long."""
    rng = np.random.default_rng(0)
    texts, scenes = [], []
    for number in range(40):
        corners = rng.uniform(0, 300, (int(rng.integers(0, 12)), 2))
        people = np.hstack([corners, corners + rng.uniform(20, 90, corners.shape)]).tolist()
        some = rng.uniform(-5, 5, (len(people), 4)) + np.reshape(people, (-1, 4))
        label, frame = ("person", "rider")[number % 2], number % 3
        texts.append(respond(some.tolist() * (1 + number % 2), some[: number % 7].tolist(), label))
        scene = {"gt_boxes": people, "gt_labels": ["person"] * len(people)}
        scene |= {"region_boxes": people, "region_uncertainty": rng.random(len(people)).tolist()}
        scene |= {"ignore_boxes": [[0, 0, 90, 90]] * (number % 3), "gt_uncertainty": None}
        scene |= {"frame_width": 200 if frame else None, "frame_height": 250 if frame else None}
        scenes.append(scene | {"ignore_labels": ["rider"] * (number % 3) if frame else None})
    texts[7] = "nothing to read"
    columns = {name: [scene[name] for scene in scenes] for name in scenes[0]}
    together = [f(texts, **columns) for f in (reasoning_reward, looking_reward, accuracy_reward)]
    alone = [rewards(text, scene) for text, scene in zip(texts, scenes, strict=True)]
    assert list(zip(*together, strict=True)) == list(map(tuple, alone))
    assert len(set(together[1])) > 15 < len(set(together[2]))


def test_threads_agree():
    texts = [HONEST, *HACKS.values()] * 4
    columns = trainer_columns(len(texts))
    expected = accuracy_reward(texts, **columns)
    with ThreadPoolExecutor(4) as pool:
        results = [pool.submit(accuracy_reward, texts, **columns) for _ in range(8)]
        assert all(result.result() == expected for result in results)


def test_import_is_light():
    code = (
        "import sys, dipr1.rewards; heavy = ['torch', 'trl', 'transformers', 'pandas', 'pyarrow',"
        " 'scipy', 'pydantic']; print([m for m in heavy if m in sys.modules])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout.strip() == "[]", result.stderr
