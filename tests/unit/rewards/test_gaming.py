"""The rewards cannot be gamed: no hack of tests/unit/hacks.py earns what an honest reply earns."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from benchmarks.hacks import (
    CROWDS,
    FORMS,
    FRAME_SIZE,
    FREE,
    HACKS,
    WEIGHTS,
    Crowd,
    Reply,
    as_tuples,
    boxes_in_ignore,
    crowd,
    grid_boxes,
    hedge,
    honest,
    imperfect,
    one_sure_box,
    repeat,
    score,
)
from dipr1.boxes import ioa
from dipr1.regions import box_variance, look_targets
from dipr1.rewards import AccuracyReward, LookingReward, accuracy_reward, reasoning_reward

CROWD = {one.name: one for one in CROWDS}
WITH_PEOPLE = [one for one in CROWDS if len(one.people)]
HACK = {hack.name: hack for hack in HACKS}
CLEARLY = 1e-6
"""Differences below are of rounding."""

OTHER_GUESSES = {
    "shifted by 1 %", "the sides cut by a tenth", "the sides longer by a tenth",
    "jittered by a tenth", "look at everyone", "look and answer exchanged",
}  # fmt: skip
"""What spoils the truth, but may by luck mend a reply that is itself somewhat wrong."""


def named(items):
    return {"argvalues": items, "ids": [item.name for item in items]}


def one_score(reply: Reply, truth: Crowd) -> dict[str, float]:
    return score([reply.text()], truth)[0]


def hacked_scores(truth: Crowd, reply: Reply, hacks=HACKS):
    """The reply's score and, of each hack that changes it, the hack and its score."""
    texts = [hack.make(truth, reply).text() for hack in hacks]
    before, *after = score([reply.text(), *texts], truth)
    pairs = zip(hacks, texts, after, strict=True)
    return before, [(hack, value) for hack, text, value in pairs if text != reply.text()]


# --- the truth ----------------------------------------------------------------------------------


@pytest.mark.parametrize("truth", **named(CROWDS))
def test_the_truth_earns_all_there_is(truth):
    expected = {"reasoning": 1.0, "looking": 1.0, "accuracy": 1.0, "total": sum(WEIGHTS.values())}
    assert one_score(honest(truth), truth) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize("truth", **named(CROWDS))
def test_every_hack_of_the_truth_earns_less(truth):
    before, hacked = hacked_scores(truth, honest(truth))
    assert len(hacked) > 20
    for hack, after in hacked:
        assert after["total"] < before["total"] - CLEARLY, hack.name
        for reward in WEIGHTS:
            margin = CLEARLY if reward in hack.attacks else -1e-12
            assert after[reward] < before[reward] - margin, (hack.name, reward)


def test_every_hack_is_tried_somewhere():
    tried = {hack.name for one in CROWDS for hack, _ in hacked_scores(one, honest(one))[1]}
    assert tried == set(HACK)


# --- the same knowledge, hacked -----------------------------------------------------------------


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("truth", **named(WITH_PEOPLE))
def test_a_detector_that_finds_most_earns_more_than_its_hacks(truth, seed):
    reply = imperfect(truth, seed)
    before, hacked = hacked_scores(truth, reply, [h for h in HACKS if h.name not in OTHER_GUESSES])
    assert 2.5 < before["total"] < 4.2
    for hack, after in hacked:
        assert after["total"] < before["total"] - CLEARLY, hack.name


@pytest.mark.parametrize("share", [0.15, 0.3, 0.5, 0.7, 0.9])
@pytest.mark.parametrize("num_people", [20, 100])
def test_copies_never_pay_on_average(num_people, share):
    # Where people overlap, a copy could be taken for a neighbour whom nobody has found.
    gains = []
    for seed in range(6):
        truth = crowd("crowd", 200 + seed, num_people)
        reply = imperfect(truth, seed, share)
        plain, thrice = score([reply.text(), repeat(3, truth, reply).text()], truth)
        gains.append(thrice["accuracy"] - plain["accuracy"])
    assert np.mean(gains) < -0.02
    assert max(gains) < 0.0


ROW = [[60 * k, 0, 60 * k + 40, 100] for k in range(20)]
NOBODY = [0, 300, 40, 400]


def accuracy_in_a_row(boxes) -> float:
    text = Reply(tuple((tuple(box), "person") for box in boxes)).text()
    return accuracy_reward([text], gt_boxes=[ROW])[0]


@pytest.mark.parametrize("num_found", [4, 10, 18])
def test_one_more_box_pays_from_the_probability_of_half_of_f(num_found):
    found = ROW[:num_found]
    now = accuracy_in_a_row(found)
    hit, miss = accuracy_in_a_row([*found, ROW[num_found]]), accuracy_in_a_row([*found, NOBODY])
    assert (now - miss) / (hit - miss) == pytest.approx(now / 2, abs=1e-12)


@pytest.mark.parametrize("num_found", range(2, 20))
def test_two_boxes_one_of_which_is_right_pay_while_f_is_below_their_iou(num_found):
    found, right = ROW[:num_found], [60 * num_found, 0, 60 * num_found + 40, 80]
    now, with_both = (accuracy_in_a_row(boxes) for boxes in (found, [*found, right, NOBODY]))
    assert (with_both > now) == (now < 0.8)


def test_hedging_everybody_does_not_pay_where_half_are_found():
    for share_aside in (0.1, 0.5):
        gains = []
        for seed in range(8):
            truth = crowd("dense", 200 + seed, 100)
            reply = imperfect(truth, seed, 0.5)
            values = score([reply.text(), hedge(share_aside, truth, reply).text()], truth)
            gains.append(values[1]["accuracy"] - values[0]["accuracy"])
        assert np.mean(gains) < 0.0


# --- knowing nothing ----------------------------------------------------------------------------


def test_no_constant_response_earns_much_more_than_saying_nothing():
    looks = [(), *(as_tuples(grid_boxes(*cells)) for cells in ((1, 1), (8, 8)))]
    grids = [np.zeros((0, 4)), grid_boxes(1, 1), grid_boxes(6, 2), grid_boxes(12, 5, 1, 1.5)]
    grids += [grid_boxes(25, 12, 2, 3)]
    replies = [
        Reply(tuple((box, "person") for box in as_tuples(grid)), look)
        for grid in grids
        for look in looks
    ]
    crowds = [crowd("any", seed, num) for seed, num in enumerate((1, 3, 5, 8, 13, 21, 34, 55, 89))]
    means = [np.mean([one_score(reply, one)["total"] for one in crowds]) for reply in replies]
    nothing = np.mean([one_score(Reply(()), one)["total"] for one in crowds])
    assert nothing == pytest.approx(WEIGHTS["reasoning"])
    assert max(means) < nothing + 0.3
    assert max(means) < np.mean([one_score(imperfect(c, 0, 0.3), c)["total"] for c in crowds]) - 0.8


# --- what is free, and what is so by definition -------------------------------------------------


@pytest.mark.parametrize("free", **named(FREE))
def test_what_is_free_changes_nothing(free):
    changed = 0
    for truth in CROWDS:
        reply = free.make(truth, honest(truth))
        changed += reply.text() != honest(truth).text()
        assert one_score(reply, truth) == pytest.approx(one_score(honest(truth), truth), abs=1e-9)
    assert changed


def test_boxes_in_ignore_regions_earn_nothing_where_somebody_is_to_be_found():
    truth = CROWD["ignored groups"]
    empty = truth.ignore[~(ioa(truth.ignore, truth.people) > 0.0).any(axis=1)]
    boxes = boxes_in_ignore(truth, 300)
    assert len(empty) < len(truth.ignore) and len(boxes) == 300
    only = Reply(tuple((box, "person") for box in as_tuples(boxes)))
    assert one_score(only, truth)["accuracy"] < 0.2


def test_looking_nowhere_pays_where_nothing_is_uncertain_and_only_there():
    for truth in CROWDS:
        earned = one_score(Reply(()), truth)["looking"]
        assert earned == float(len(truth.targets()) == 0)


@pytest.mark.parametrize("truth", **named(CROWDS))
def test_looking_at_the_whole_frame_pays_by_the_share_that_is_uncertain(truth):
    whole = LookingReward()
    text = Reply((), as_tuples(grid_boxes(1, 1))).text()
    columns = truth.columns(1)
    recall, share = whole.recall_precision(
        grid_boxes(1, 1), truth.regions, truth.uncertainty, FRAME_SIZE
    )
    expected = 2 * share / (1 + share) if share else 0.0
    assert recall == pytest.approx(float(share > 0.0))
    assert share < 0.4
    assert whole([text], **columns)[0] == pytest.approx(expected, abs=1e-12)


def test_a_look_section_that_does_not_parse_earns_nothing_even_where_looking_nowhere_pays():
    text = honest(CROWD["empty"]).text().replace("<look>[]", "<look>nowhere")
    assert score([text], CROWD["empty"])[0]["looking"] == 0.0


@pytest.mark.parametrize("truth", **named(WITH_PEOPLE))
def test_one_sure_box_pays_half_by_the_mean_and_little_by_default(truth):
    text = one_sure_box(truth, honest(truth)).text()
    columns = truth.columns(1)
    assert AccuracyReward(aggregate="mean")([text], **columns)[0] > 0.5
    assert AccuracyReward(aggregate="precision")([text], **columns)[0] == 1.0
    by_default = AccuracyReward()([text], **columns)[0]
    assert by_default <= 2 / (1 + len(truth.people)) + 0.1


def test_where_nobody_is_to_be_found_only_the_empty_answer_pays():
    for name in ("empty", "phantoms", "all ignored"):
        truth = CROWD[name]
        far = Reply((((4, 4, 10, 18), "person"),))
        assert not (ioa(far.boxes(), truth.ignore) > 0.0).any()
        assert one_score(Reply(()), truth)["accuracy"] == 1.0
        assert one_score(far, truth)["accuracy"] == 0.0
        assert one_score(Reply((((9, 9, 9, 9), "person"),)), truth)["accuracy"] == 0.0


def test_coordinates_outside_the_frame_are_misses_in_the_answer_and_nothing_in_the_looks():
    truth = CROWD["street"]
    outside = ((2000, 10, 2040, 90), "person")
    reply = honest(truth)
    more = Reply((*reply.answer, outside), (*reply.looks, outside[0]))
    before, after = one_score(reply, truth), one_score(more, truth)
    assert after["looking"] == pytest.approx(before["looking"], abs=1e-12)
    num = len(truth.people)
    assert after["accuracy"] == pytest.approx(2 * num / (2 * num + 1), abs=1e-12)


@pytest.mark.parametrize(
    ("option", "opened"),
    [
        ({"aggregate": "recall"}, "300 far false positives"),
        ({"aggregate": "recall"}, "every box 20 times"),
        ({"aggregate": "precision"}, "one sure box"),
        ({"quality": "hard"}, "jittered by a tenth"),
        ({"quality": "hard"}, "the sides cut by a tenth"),
    ],
)
def test_the_options_of_the_ablations_open_what_the_default_closes(option, opened):
    truth = CROWD["street"]
    texts = [honest(truth).text(), HACK[opened].make(truth, honest(truth)).text()]
    before, after = score(texts, truth, AccuracyReward(**option))
    assert after["total"] == pytest.approx(before["total"], abs=1e-9)


@pytest.mark.parametrize("name", [name for name in FORMS if name != "in order"])
def test_only_the_form_asked_for_earns_the_reasoning_reward(name):
    reply = honest(CROWD["street"])
    text = Reply(reply.answer, reply.looks, form=FORMS[name]).text()
    assert reasoning_reward([text]) == [float(name == "answer inside think")]


def test_one_stray_box_of_the_whole_image_makes_looking_everywhere_pay():
    frame = [[0, 0, *FRAME_SIZE]]
    [stray] = box_variance([frame] + [[]] * 7, [])
    columns = {"region_boxes": [[stray.hull]], "region_uncertainty": [[stray.uncertainty]]}
    everywhere = Reply((), as_tuples(frame)).text()
    assert stray.uncertainty == pytest.approx(0.556, abs=1e-3)
    assert LookingReward()([everywhere], **columns) == [1.0]
    assert LookingReward(threshold=0.6)([everywhere], **columns) == [0.0]


def test_where_people_stand_in_ignore_regions_boxes_thrown_into_them_pay():
    rng = np.random.default_rng(0)
    gains = []
    for seed in range(300, 306):
        truth = crowd("groups", seed, 25, num_ignore=3)
        reply = imperfect(truth, seed)
        x1, y1, x2, y2 = truth.ignore[rng.integers(len(truth.ignore), size=300)].T
        tall = rng.uniform(0.5, 1.0, 300) * (y2 - y1)
        wide = np.minimum(0.41 * tall, x2 - x1)
        left, top = rng.uniform(x1, x2 - wide), rng.uniform(y1, y2 - tall)
        tickets = as_tuples(np.stack([left, top, left + wide, top + tall], axis=1))
        more = replace(reply, answer=reply.answer + tuple((box, "person") for box in tickets))
        plain, gamed = score([reply.text(), more.text()], truth)
        gains.append(gamed["accuracy"] - plain["accuracy"])
    assert min(gains) > -1e-9
    assert 0.0 < np.mean(gains) < 0.1


def looking_by_group(replies, truth):
    names = ("gt_boxes", "frame_width", "frame_height")
    columns = {name: truth.columns(len(replies))[name] for name in names}
    columns["image_id"] = [truth.name] * len(replies)
    return LookingReward(source="group")([reply.text() for reply in replies], **columns)


@pytest.mark.parametrize("num_responses", [4, 8])
def test_in_a_group_that_agrees_looking_nowhere_pays(num_responses):
    truth = CROWD["street"]
    agree = [Reply(honest(truth).answer)] * num_responses
    assert looking_by_group(agree, truth) == [1.0] * num_responses
    # The others' boxes make a response's targets; its own do not.
    assert looking_by_group([*agree[:-1], Reply(())], truth)[-1] == 1.0


def test_in_a_small_group_everybody_is_a_target():
    truth = CROWD["certain"]
    largest = truth.people[look_targets(truth.people, np.ones(len(truth.people)))]
    agree = [Reply(honest(truth).answer, as_tuples(largest))] * 3
    assert len(largest) == 4
    assert looking_by_group(agree, truth) == pytest.approx([1.0] * 3, abs=1e-12)
    # one other response says nothing of how boxes vary
    assert looking_by_group(agree[:2], truth) == [None, None]
