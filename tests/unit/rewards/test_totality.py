"""Whatever a model writes is read, in time linear in its length, and every reward is in [0, 1]."""

from __future__ import annotations

import gc
import itertools
import json
import math
import time
from collections.abc import Callable
from random import Random

import numpy as np
import pytest

from benchmarks.long_texts import ITEM, LONG, LOOK, THINK, WRAPPERS, distinct_boxes
from dipr1.responses import PROBLEMS, Response, parse_response
from dipr1.rewards import accuracy_reward, looking_reward, reasoning_reward

BOX = [1, 2, 3, 4]
GOOD = f"{THINK}\n{LOOK}\n<answer>[{ITEM}]</answer>"
PEOPLE = [[x, y, x + 20, y + 45] for x in range(0, 100, 25) for y in (0, 50)]
COLUMNS = {
    "gt_boxes": PEOPLE,
    "gt_labels": ["person"] * len(PEOPLE),
    "ignore_boxes": [[0, 80, 100, 100]],
    "gt_uncertainty": [0.5] * len(PEOPLE),
    "region_boxes": PEOPLE,
    "region_uncertainty": [0.75] * len(PEOPLE),
    "frame_width": 100,
    "frame_height": 100,
    "labels": ["person"],
}
REWARDS = (reasoning_reward, looking_reward, accuracy_reward)


def check_response(response: Response) -> None:
    assert list(response.problems) == [name for name in PROBLEMS if name in response.problems]
    assert response.well_formed == all(p.endswith("degenerate_box") for p in response.problems)
    assert response.think is None or isinstance(response.think, str)
    for section, texts in ((response.look, "whys"), (response.answer, "labels")):
        if section is not None:
            boxes = section.boxes
            assert boxes.shape == (len(getattr(section, texts)), 4) and boxes.dtype == np.float64
            assert (np.isfinite(boxes).all(axis=1) | np.isnan(boxes).all(axis=1)).all()


def check_rewards(texts: list[str]) -> None:
    columns = {name: [value] * len(texts) for name, value in COLUMNS.items()}
    for reward in REWARDS:
        values = reward(texts, **columns)
        assert len(values) == len(texts)
        assert all(type(value) is float and 0.0 <= value <= 1.0 for value in values)


def check(texts: list[str]) -> None:
    """Every text is read and rewarded; the one that is not is shown."""
    for text in texts:
        try:
            check_response(parse_response(text, ["person"]))
        except Exception as error:
            raise AssertionError(f"{error!r} in reading {ascii(text[:2000])}") from error
    try:
        check_rewards(texts)
    except Exception:
        if len(texts) > 1:
            for text in texts:
                check([text])
        else:
            raise AssertionError(f"not rewarded: {ascii(texts[0][:2000])}") from None
        raise


# --- what models really write -------------------------------------------------------------------

PERSON = ("person",)
REAL = {
    "as asked": (GOOD, [BOX], PERSON, ""),
    "indented JSON": (
        f'{THINK}{LOOK}<answer>\n[\n  {{\n    "bbox_2d": [\n      1,\n      2,\n      3,\n      4\n'
        '    ],\n    "label": "person"\n  }\n]\n</answer>',
        [BOX],
        PERSON,
        "",
    ),
    "Qwen2.5-VL, a fence and no tags": (
        f"```json\n[\n\t{ITEM}\n]\n```",
        [BOX],
        PERSON,
        "no_tags answer_code_fence",
    ),
    "Qwen2.5-VL, cut off in the second box": (
        f'```json\n[\n\t{ITEM},\n\t{{"bbox_2d": [5, 6, 7',
        [BOX],
        PERSON,
        "no_tags answer_code_fence answer_broken_list",
    ),
    "Qwen2-VL, box tokens": (
        "<|object_ref_start|>person<|object_ref_end|><|box_start|>(1,2),(3,4)<|box_end|>"
        "<|box_start|>(5,6),(7,8)<|box_end|>",
        [BOX, [5, 6, 7, 8]],
        PERSON * 2,
        "no_tags answer_box_tokens",
    ),
    "InternVL, box tokens": (
        "<ref>person</ref><box>[[1, 2, 3, 4], [5, 6, 7, 8]]</box>",
        [BOX, [5, 6, 7, 8]],
        PERSON * 2,
        "no_tags answer_box_tokens",
    ),
    "a sentence before the fence": (
        f"{THINK}{LOOK}<answer>There is one person:\n```json\n[{ITEM}]\n```\n</answer>",
        [BOX],
        PERSON,
        "answer_code_fence",
    ),
    "a fence without a language, not closed": (
        f"{THINK}{LOOK}<answer>```\n[{ITEM}]</answer>",
        [BOX],
        PERSON,
        "answer_code_fence",
    ),
    "Python in place of JSON": (
        f"{THINK}{LOOK}<answer>[{{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}}]</answer>",
        [BOX],
        PERSON,
        "answer_single_quotes",
    ),
    "trailing commas": (
        f'{THINK}{LOOK}<answer>[{{"bbox_2d": [1, 2, 3, 4,], "label": "person",}},]</answer>',
        [BOX],
        PERSON,
        "answer_trailing_comma",
    ),
    "Python, fenced, with trailing commas": (
        f"{THINK}{LOOK}<answer>```python\n[{{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}},]\n```"
        "</answer>",
        [BOX],
        PERSON,
        "answer_code_fence answer_single_quotes answer_trailing_comma",
    ),
    "Python, cut off": (
        f"{THINK}{LOOK}<answer>[{{'bbox_2d': [1, 2, 3, 4], 'label': 'person'}}, {{'bbox_2d': [5,",
        [BOX],
        PERSON,
        "answer_unclosed answer_single_quotes answer_broken_list",
    ),
    "box_2d": (
        f'{THINK}{LOOK}<answer>[{{"box_2d": [1, 2, 3, 4], "label": "person"}}]</answer>',
        [BOX],
        PERSON,
        "answer_box_key",
    ),
    "bbox": (
        f'{THINK}{LOOK}<answer>[{{"label": "person", "bbox": [1, 2, 3, 4]}}]</answer>',
        [BOX],
        PERSON,
        "answer_box_key",
    ),
    "one object in place of a list": (
        f"{THINK}{LOOK}<answer>{ITEM}</answer>",
        [BOX],
        PERSON,
        "answer_not_a_list",
    ),
    "boxes alone": (
        f"{THINK}{LOOK}<answer>[[1, 2, 3, 4], [5, 6, 7, 8]]</answer>",
        [BOX, [5, 6, 7, 8]],
        (None, None),
        "answer_bare_box answer_missing_label",
    ),
    "decimals": (
        f'{THINK}{LOOK}<answer>[{{"bbox_2d": [1.5, 2.25, 3e0, 4.0], "label": "person"}}]</answer>',
        [[1.5, 2.25, 3, 4]],
        PERSON,
        "",
    ),
    "no label": (
        f'{THINK}{LOOK}<answer>[{{"bbox_2d": [1, 2, 3, 4]}}]</answer>',
        [BOX],
        (None,),
        "answer_missing_label",
    ),
    "another label": (
        f'{THINK}{LOOK}<answer>[{{"bbox_2d": [1, 2, 3, 4], "label": "man"}}]</answer>',
        [BOX],
        ("man",),
        "answer_unknown_label",
    ),
    "text in another script": (
        f"<think>街上有一个人 👀</think>{LOOK}"
        '<answer>[{"bbox_2d": [1, 2, 3, 4], "label": "person", "note": "右边"}]</answer>',
        [BOX],
        PERSON,
        "",
    ),
    "no look": (f"{THINK}<answer>[{ITEM}]</answer>", [BOX], PERSON, "look_missing"),
    "an end-of-text token left in": (
        f"{GOOD}<|im_end|>",
        [BOX],
        PERSON,
        "",
    ),
    "corners the wrong way round": (
        f'{THINK}{LOOK}<answer>[{{"bbox_2d": [3, 4, 1, 2], "label": "person"}}]</answer>',
        [[3, 4, 1, 2]],
        PERSON,
        "answer_degenerate_box",
    ),
    "looks in two fences": (
        f"{THINK}<look>```json\n[]\n```\n```json\n[{ITEM}]\n```</look><answer>[{ITEM}]</answer>",
        [BOX],
        PERSON,
        "look_code_fence look_several_fences",
    ),
    "a Qwen, a fence that only closes": (
        f"{THINK}{LOOK}<answer>[{ITEM}]\n```</answer>",
        [BOX],
        PERSON,
        "answer_code_fence",
    ),
    "Qwen2-VL, its tokens lost in decoding": (
        "person(1,2),(3,4)person(5,6),(7,8)",
        [BOX, [5, 6, 7, 8]],
        PERSON * 2,
        "no_tags answer_box_tokens",
    ),
    "InternVL, its tokens lost in decoding": (
        "person[[1, 2, 3, 4], [5, 6, 7, 8]]",
        [BOX, [5, 6, 7, 8]],
        PERSON * 2,
        "no_tags answer_box_tokens",
    ),
    "nobody": (f"{THINK}<look>[]</look><answer>[]</answer>", [], (), ""),
    "repeating itself": (
        f"{GOOD}\n{GOOD}",
        None,
        None,
        "outside_text think_repeated look_repeated answer_repeated",
    ),
    "prose": (
        "I cannot see anybody.",
        None,
        None,
        "no_tags answer_not_json",
    ),
}


@pytest.mark.parametrize(("text", "boxes", "labels", "problems"), REAL.values(), ids=REAL.keys())
def test_what_models_write(text, boxes, labels, problems):
    response = parse_response(text, ["person"])
    check([text])
    assert set(response.problems) == set(problems.split())
    if boxes is None:
        assert response.answer is None
    else:
        assert response.answer.boxes.tolist() == boxes
        assert response.answer.labels == labels


# --- a hundred thousand texts -------------------------------------------------------------------

TAGS = [f"<{slash}{name}>" for name in ("think", "look", "answer") for slash in ("", "/")]
PIECES = [
    *TAGS,
    *"{}[]\",'`: \n\t\\<>()-+.0",
    *("<answer", "answer>", "< answer>", "<ANSWER>", "</answer >", "<answer/>", "<|im_end|>"),
    *('"bbox_2d"', "'bbox_2d'", '"box_2d"', '"bbox"', '"box"', '"label"', "'label':", '"why"'),
    *('"person"', "'person'", '"car"', "person", '""', '"\\u0000"', '"\\ud800"', '"\\x"', "\\u"),
    *("```json", "```", "```\n", "~~~", "/*", "//", "#", "*/", "..."),
    *("NaN", "-NaN", "Infinity", "-Infinity", "null", "true", "false", "None", "nan", "inf"),
    *("1", "-2.5", "1e400", "-1e400", "1e-400", "1e", "0x1f", "007", "1_000", "١٢", "½", "2³"),
    *("9" * 400, "9" * 4301, "0." + "3" * 900, "-" + "0" * 30, "1e" + "9" * 30, "1,2,3,4"),
    *("[1, 2, 3, 4]", "[1,2,3,4,]", "[1 2 3 4]", "(1,2),(3,4)", "[[1,2],[3,4]]", '["1", 2, 3, 4]'),
    *("[1e308, 1e308, -1e308, 1e308]", "[-1e200, -1e200, 1e200, 1e200]", "[3, 3, 3, 3]"),
    *("[0, 0, 1e-320, 1e-320]", "[0, 0, 100, 100]", "[-50, -50, 150, 150]", "[4, 3, 2, 1]"),
    *("<|box_start|>", "<|box_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<box>", "</box>", "<ref>", "</ref>", "<|det|>", "<loc0012>"),
    *(ITEM, f"[{ITEM}]", f"{ITEM},", "[]", "{}", "[[]]", "[{}]", '{"bbox_2d":', "[[[[", "]]]]"),
    *("é", "人", "😀", "\u202e", "\u2028", "\u00a0", "\ufeff", "\x00", "\x1c", "\x7f", "\r\n"),
    *("\ud800", "\udc00", "\udfff\ud800", "“", "”", "＜answer＞", "，"),
]
TEMPLATES = [text for text, *_ in REAL.values()]


def mutated(random: Random) -> str:
    """A text that a model may write, changed at one to six places."""
    text = random.choice(TEMPLATES)
    for _ in range(random.randint(1, 6)):
        start = random.randint(0, len(text))
        end = min(len(text), start + int(random.expovariate(0.15)))
        change = random.random()
        if change < 0.45:
            text = text[:start] + random.choice(PIECES) + text[end:]
        elif change < 0.6:
            text = text[:start] + text[end:]
        elif change < 0.7:
            text = text[:start] + text[start:end] * random.randint(2, 9) + text[end:]
        elif change < 0.78:
            text = text[: random.randint(0, len(text))]
        elif change < 0.86:
            text = text[:start] + random.choice(TEMPLATES)[:300] + text[start:]
        elif change < 0.94:
            other = random.randint(0, len(text))
            text = text[:start] + text[other : other + end - start] + text[start:]
        else:
            text = text[:start] + chr(random.randrange(0x110000)) + text[end:]
    return text


def assembled(random: Random) -> str:
    """Pieces in any order, within sections or without."""
    inside = "".join(random.choices(PIECES, k=random.randint(1, 20)))
    return random.choice((f"{THINK}{LOOK}<answer>{inside}</answer>", inside, f"<look>{inside}"))


def nested(random: Random) -> str:
    """A JSON value of random shape, sometimes deep, sometimes with one fault."""
    value = random.choice((BOX, 1e308, 10**400, "person", None, True, [], {}, "\ud800", [1, 2, 3]))
    for _ in range(random.choice((1, 2, 3, 5, 40))):
        key = random.choice(("bbox_2d", "box", "label", "why", "x"))
        value = random.choice(([value], [value, BOX], {key: value}, {"bbox_2d": BOX, key: value}))
    text = json.dumps(value, ensure_ascii=random.random() < 0.5)
    if random.random() < 0.3:
        fault = random.randint(0, len(text))
        text = text[:fault] + random.choice(PIECES) + text[fault + 1 :]
    return f"{THINK}<look>{text}</look><answer>[{text}]</answer>"


def noise(random: Random) -> str:
    """Characters of one or of all planes, surrogates and NUL among them."""
    largest = random.choice((0x80, 0x100, 0x3000, 0x110000))
    text = "".join(chr(random.randrange(largest)) for _ in range(random.randint(0, 60)))
    return random.choice((text, f"<answer>{text}</answer>"))


MAKERS = [mutated] * 14 + [assembled] * 3 + [nested] * 2 + [noise]
NUM_TEXTS = 100_000
NUM_CHUNKS = 20


@pytest.mark.parametrize("chunk", range(NUM_CHUNKS))
def test_any_text_is_read_and_rewarded(chunk):
    random = Random(chunk)
    num = NUM_TEXTS // NUM_CHUNKS
    texts = [random.choice(MAKERS)(random) for _ in range(num)]
    for start in range(0, num, 500):
        check(texts[start : start + 500])


def test_the_texts_reach_every_problem():
    random = Random("problems")
    missing = set(PROBLEMS)
    for _ in range(20_000):
        missing.difference_update(parse_response(random.choice(MAKERS)(random), ["car"]).problems)
        if not missing:
            break
    assert not missing


# --- time ---------------------------------------------------------------------------------------


# 10 ms is what is aimed at, and benchmarks/parsing.py measures it. A test on a machine that does
# other things besides tells only what is several times slower: all that is worse than linear.
SECONDS_PER_100_KB = 0.040
# What `json.loads` takes for 100 kB of boxes where that is the budget.
SECONDS_OF_JSON = 0.0012


_NUM_SPACES = itertools.cycle(range(1, 1000))


def seconds(run: Callable[[str], object], text: str, attempts: int = 3, enough: float = 0.0):
    """Processor time for a text that was not seen before: the best of so many, or good enough."""
    best = math.inf
    for _ in range(attempts):
        fresh = text + " " * next(_NUM_SPACES)
        # How long the collector takes depends on all that the process holds.
        gc.disable()
        try:
            start = time.process_time()
            run(fresh)
            best = min(best, time.process_time() - start)
        finally:
            gc.enable()
        if best < enough:
            break
    return best


def check_time(text: str) -> None:
    """At most so long per 100 kB, or as much longer as this machine is slower."""
    budget = SECONDS_PER_100_KB * len(text) / 100_000
    if seconds(parse_response, text, enough=budget) < budget:
        return
    slowness = seconds(json.loads, distinct_boxes(100_000)) / SECONDS_OF_JSON
    took = seconds(parse_response, text, 5, budget * slowness)
    assert took < budget * max(slowness, 1.0)


@pytest.mark.parametrize("name", LONG)
def test_long_texts_are_read_quickly(name):
    for length in (50_000, 100_000, 1_000_000):
        check_time(WRAPPERS["answer"] % LONG[name](length))


@pytest.mark.parametrize("wrapper", WRAPPERS)
def test_long_texts_are_read_quickly_wherever_they_stand(wrapper):
    for make in LONG.values():
        check_time(WRAPPERS[wrapper] % make(50_000))


@pytest.mark.parametrize("wrapper", ["answer", "look"])
@pytest.mark.parametrize("name", LONG)
def test_long_texts_are_rewarded(name, wrapper):
    check([WRAPPERS[wrapper] % LONG[name](100_000)])


def reward_all(text: str) -> None:
    for reward in REWARDS:
        reward([text], **{name: [value] for name, value in COLUMNS.items()})


@pytest.mark.parametrize("wrapper", ["answer", "look"])
@pytest.mark.parametrize("name", ["boxes", "one box again and again", "InternVL box tokens"])
def test_time_of_the_rewards_is_linear(name, wrapper):
    short, long = (WRAPPERS[wrapper] % LONG[name](length) for length in (100_000, 400_000))
    # Four times the boxes take four times as long; what is quadratic takes sixteen times.
    for _ in range(3):
        ratio = seconds(reward_all, long) / seconds(reward_all, short)
        if ratio < 8:
            break
    assert ratio < 8


def test_megabytes_of_noise_are_rewarded():
    random = Random("megabytes")
    check(["".join(random.choices(PIECES, k=150_000)) for _ in range(2)])
