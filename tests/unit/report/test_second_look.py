"""Whose view each box of a second look is, and whom it found."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.samples import SAMPLES
from dipr1.evaluation.answered import answered_images
from dipr1.policies.looking_again import Seen, merge_by_agreement
from dipr1.report.second_look import CONFIRMED, DENIED, KEPT, NEW, SecondLook, second_looks
from dipr1.report.viewer import EvaluationSet, Viewer, view
from tests.unit.experiment import annotation

WINDOW = [0.0, 0.0, 100.0, 100.0]
PEOPLE = [[10, 10, 30, 50], [40, 10, 60, 50], [70, 60, 90, 95], [150, 10, 170, 50]]
FIRST = {
    "boxes": [[10, 10, 30, 48], [75, 5, 95, 45], [150, 10, 170, 50]],
    "confidence": [0.6, 0.8, 0.9],
}
CROP = {"boxes": [[10, 10, 30, 50], [40, 10, 60, 50]], "confidence": [0.7, 0.5]}


def looked_row(
    image_id: str = "0", first: dict | None = FIRST, window: list | None = WINDOW
) -> dict:
    """What `inspect` writes of an image: FIRST, and CROP seen in a window."""
    views = Seen.of(**first) if first else Seen.of([], [])
    if window is not None:
        crop = Seen.of(**CROP, view=1)
        views = merge_by_agreement(views, [crop], np.array([window]), (192, 144))
    return {
        "image_id": image_id,
        "sample": 0,
        "text": "<think>x</think><look>[]</look><answer>[]</answer>",
        "num_tokens": 9,
        "problems": [],
        "look_boxes": [[8, 8, 60, 60]],
        "boxes": views.boxes.tolist() if len(views) else None,
        "confidence": views.confidence.tolist(),
        "labels": ["person"] * len(views),
        "view": views.view.tolist(),
        "windows": [] if window is None else [window],
        "num_crops": int(window is not None),
        "crop_texts": [] if window is None else ["what the window shows"],
        "first_boxes": first and first["boxes"],
        "first_confidence": first and first["confidence"],
    }


def looked_table(rows: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(rows, SAMPLES.schema_with([*rows[0]]))


def annotated(people: list = PEOPLE, num: int = 1, image: str = "") -> pa.Table:
    rows = [annotation(str(number), people, image=image) for number in range(num)]
    return pa.Table.from_pylist(rows, ANNOTATIONS.schema)


def second_look(row: dict, people: list = PEOPLE) -> SecondLook | None:
    table = looked_table([row])
    scores = [np.array(values or []) for values in table["confidence"].to_pylist()]
    [look] = second_looks(answered_images(annotated(people), table, scores, [["person"]]), table)
    return look


def test_each_box_says_whose_view_it_is_and_what_became_of_it():
    look = second_look(looked_row())
    # the first one gave way to the window's; the second lies in the window, which does not have it;
    # the third lies outside
    assert look.view.tolist() == [0, 0, 1, 1]
    assert look.state.tolist() == [DENIED, KEPT, CONFIRMED, NEW]
    assert look.first.boxes.tolist() == FIRST["boxes"]
    assert look.windows.tolist() == [WINDOW]
    assert look.texts == ["what the window shows"]


def test_found_is_whom_a_window_has_and_the_first_view_has_not():
    look = second_look(looked_row())
    assert look.found.tolist() == [1]
    # the first view found the first and the last one, and nobody the third
    assert look.first.judged[0].found.tolist() == [True, False, False, True]


def test_a_person_of_another_label_is_not_found():
    row = looked_row() | {"labels": ["person", "person", "person", "car"]}
    table = looked_table([row])
    scores = [np.array(row["confidence"])]
    images = answered_images(annotated(), table, scores, [["car", "person"]])
    [look] = second_looks(images, table)
    assert look.found.tolist() == [
        0
    ]  # the first view's boxes name nothing, where two are asked for


def test_without_a_window_there_is_no_second_look():
    assert second_look(looked_row(window=None)) is None


def test_an_answer_of_one_view_has_none():
    row = {name: looked_row()[name] for name in SAMPLES.schema.names if name in looked_row()}
    table = looked_table([row])
    images = answered_images(annotated(), table, [np.ones(4)], [["person"]])
    assert second_looks(images, table) == [None]


def test_where_the_first_view_cannot_be_read_the_windows_find_all():
    look = second_look(looked_row(first=None))
    assert (look.state.tolist(), look.found.tolist()) == ([NEW, NEW], [0, 1])
    assert len(look.first.boxes) == 0


def test_a_second_look_that_sees_nothing_keeps_an_unreadable_answer():
    row = looked_row(first=None) | dict.fromkeys(("boxes", "confidence", "view", "labels"))
    look = second_look(row)
    assert (look.view.tolist(), look.state.tolist(), look.found.tolist()) == ([], [], [])


# --- the viewer -----------------------------------------------------------------------------------


def viewer_of(blank: str, arms: dict[str, list[dict]], pair: list[str]) -> Viewer:
    num = len(next(iter(arms.values())))
    tables = {arm: looked_table(rows) for arm, rows in arms.items()}
    return view([EvaluationSet("d.s", annotated(num=num, image=blank), tables)], pair, num)


def test_the_viewer_tells_the_second_look_of_the_arms_that_had_one(blank: str):
    again = looked_row()
    once = {name: again[name] for name in ("image_id", "sample", "text", "num_tokens", "problems")}
    once |= {"look_boxes": [], **FIRST}
    viewer = viewer_of(blank, {"a": [once], "a+own": [again]}, ["a", "a+own"])
    first, second = viewer.images[0]["answers"]
    assert "again" not in first
    assert second["again"] == {
        "first": {name: first[name] for name in ("boxes", "missed", "hits", "false")},
        "windows": [WINDOW],
        "texts": ["what the window shows"],
        "view": [0, 0, 1, 1],
        "state": [DENIED, KEPT, CONFIRMED, NEW],
        "found": [1],
    }
    assert (viewer.looked, viewer.opens) == (["a+own"], "a+own")


def test_images_on_which_the_second_look_found_somebody_are_chosen(blank: str):
    rows = [looked_row(str(number), window=WINDOW if number == 7 else None) for number in range(40)]
    tables = {"a+own": looked_table(rows)}
    one = EvaluationSet("d.s", annotated(num=40, image=blank), tables)
    chosen = view([one], ["a+own"], 6).images
    assert [image["id"] for image in chosen if "again" in image["why"]] == ["7"]


@pytest.mark.parametrize(
    ("arms", "pair", "opens"),
    [
        (("a+oracle", "a+variance", "a+own"), ["a+oracle"], "a+own"),
        (("a+grid", "a+variance"), ["a+variance"], "a+variance"),
        (("a+oracle", "b+grid"), ["a"], "b+grid"),
        (("a+oracle",), ["a"], "a+oracle"),
    ],
)
def test_it_opens_with_the_best_arms_own_looks_and_with_the_oracles_last(blank, arms, pair, opens):
    tables = {arm: [looked_row()] for arm in ("a", *arms)}
    tables["a"] = [looked_row(window=None)]
    assert viewer_of(blank, tables, pair).opens == opens


def test_where_no_second_look_found_anybody_the_viewer_opens_as_ever(blank: str):
    row = looked_row() | {"view": [0, 0, 0, 0]}
    viewer = viewer_of(blank, {"a+own": [row]}, ["a+own"])
    assert (viewer.looked, viewer.opens) == (["a+own"], None)
    assert "again" not in viewer.images[0]["why"]
