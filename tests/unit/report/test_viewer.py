"""The images that are chosen, and the layers drawn over each."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pytest

from dipr1.artifacts.annotations import ANNOTATIONS
from dipr1.artifacts.samples import SAMPLES
from dipr1.report.viewer import FALSE, HIT, SKIPPED, EvaluationSet, as_json, choose, view
from tests.unit.experiment import annotation


def table_of(texts_boxes: list) -> pa.Table:
    rows = [
        {
            "image_id": "0",
            "sample": 0,
            "text": "" if boxes is None else "<think>x</think><look>[]</look><answer>[]</answer>",
            "num_tokens": 1,
            "problems": [],
            "boxes": boxes,
            "confidence": None if boxes is None else [0.5] * len(boxes),
        }
        for boxes in texts_boxes
    ]
    return pa.Table.from_pylist(rows, SAMPLES.schema)


def one_image(tmp_path: Path, row: dict, answers: dict[str, list | None]) -> dict:
    """The viewer's record of one image with answers by arm."""
    tables = {arm: table_of([boxes]) for arm, boxes in answers.items()}
    one = EvaluationSet("d.s", pa.Table.from_pylist([row], ANNOTATIONS.schema), tables)
    [record] = view([one], list(answers)[-1:], 5).images
    return record


def test_layers_tell_right_false_missed_and_ignored_apart(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10], [50, 50, 60, 60]], [[100, 100, 140, 140]], image=blank)
    answered = [[0, 0, 10, 10], [80, 10, 90, 20], [101, 101, 110, 110], [5, 5, 5, 5]]
    record = one_image(tmp_path, row, {"a": answered, "b": None})
    first, second = record["answers"]
    assert [box[4] for box in first["boxes"]] == [HIT, FALSE, SKIPPED, FALSE]
    assert (first["hits"], first["false"], first["missed"]) == (1, 2, [1])
    assert first["boxes"][0] == [0.0, 0.0, 10.0, 10.0, HIT, 1.0, 0.5]
    assert (second["readable"], second["missed"]) == (False, [0, 1])
    assert record["ignore"] == [[100.0, 100.0, 140.0, 140.0]]
    assert record["people"][1] == [50.0, 50.0, 60.0, 60.0, None, "person"]


def test_a_box_that_is_not_finite_stays_a_miss_and_is_valid_json(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10]], image=blank)
    record = one_image(tmp_path, row, {"a": [[float("nan"), 0, 10, float("inf")]]})
    assert record["answers"][0]["boxes"][0][:5] == [None, 0.0, 10.0, None, FALSE]
    assert json.loads(as_json(record)) == record


def test_with_several_labels_the_label_must_be_right(tmp_path, blank):
    row = annotation("0", [[0, 0, 10, 10], [50, 50, 60, 60]], image=blank)
    row["labels"] = ["person", "car"]
    text = (
        '<think>x</think><look>[]</look><answer>[{"bbox_2d": [0, 0, 10, 10], "label": "car"},'
        ' {"bbox_2d": [50, 50, 60, 60], "label": "car"}]</answer>'
    )
    table = table_of([[[0, 0, 10, 10], [50, 50, 60, 60]]])
    table = table.set_column(2, "text", pa.array([text]))
    one = EvaluationSet("d.s", pa.Table.from_pylist([row], ANNOTATIONS.schema), {"a": table})
    [record] = view([one], ["a"], 5).images
    assert [box[4] for box in record["answers"][0]["boxes"]] == [FALSE, HIT]


def test_all_sets_together_stay_within_the_bound(tmp_path, blank, monkeypatch):
    monkeypatch.setattr("dipr1.report.viewer.MOST_IMAGES", 4)
    rows = [annotation(str(number), [], image=blank) for number in range(9)]
    answers = pa.concat_tables(
        table_of([[]]).set_column(0, "image_id", pa.array([str(number)])) for number in range(9)
    )
    table = pa.Table.from_pylist(rows, ANNOTATIONS.schema)
    sets = [EvaluationSet(name, table, {"a": answers}) for name in ("d.s", "e.s")]
    assert [image["set"] for image in view(sets, ["a"], 60).images] == ["d.s"] * 2 + ["e.s"] * 2


def test_the_random_sample_does_not_depend_on_what_else_is_chosen():
    alone = [row for row, why in choose({}, 50, 10).items() if "random" in why]
    mixed = choose({"worst": alone[:5]}, 50, 10)
    assert len(mixed) == 10
    assert set(alone) <= {row for row, why in mixed.items() if "random" in why}
    assert all(why[0] == "worst" for row, why in mixed.items() if row in alone[:5])


@pytest.mark.parametrize("count", [0, 1, 3, 9])
def test_as_many_are_chosen_as_there_are_at_most(count):
    assert len(choose({"worst": [2, 0], "differ": []}, 3, count)) == min(count, 3)


def test_where_all_are_shown_all_are_in_the_random_sample():
    assert all("random" in why for why in choose({"worst": [2, 0, 1]}, 3, 3).values())
