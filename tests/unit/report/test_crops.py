"""Crops of likely label errors."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from dipr1.artifacts.audit import AUDIT
from dipr1.report.crops import suspects, window


@pytest.mark.parametrize("box", [[0, 0, 1, 1], [-50, -50, 300, 300], [190, 140, 191, 143]])
def test_a_crop_holds_the_box_and_lies_in_the_image(box):
    left, top, right, bottom = window([box], (192, 144))
    inside = np.clip(box, 0, [192, 144, 192, 144])
    assert 0 <= left <= inside[0]
    assert 0 <= top <= inside[1]
    assert inside[2] <= right <= 192
    assert inside[3] <= bottom <= 144


def test_suspects_are_shared_between_the_sets(tmp_path, blank):
    row = {"rank": 0, "image_id": "0", "image": blank, "kind": "loose_label", "region": 0}
    row |= {"box": [5, 5, 9, 9], "hull": [5, 5, 9, 9], "suggested_box": None}
    row |= {"support": 0.5, "uncertainty": 1.0, "score": 0.5}
    table = pa.Table.from_pylist([row | {"rank": rank} for rank in (2, 0, 1)], AUDIT.schema)
    # being unsure says nothing against a label
    unsure = pa.Table.from_pylist([row | {"kind": "uncertain"}], AUDIT.schema)
    shown = suspects({"a.s": table, "b.s": table, "c.s": unsure}, 6, {})
    assert {name: len(of_set.crops) for name, of_set in shown.items()} == {"a.s": 2, "b.s": 2}


def test_suspects_are_counted_where_the_right_labels_are_known(blank):
    row = {"image_id": "0", "image": blank, "kind": "unsupported_label", "region": 0}
    row |= {"box": [5, 5, 9, 9], "hull": [5, 5, 9, 9], "suggested_box": None}
    row |= {"support": 0.0, "uncertainty": 0.0, "score": 0.5, "error_share": 0.25}
    confirmed = [True] * 3 + [False] * 16 + [None] + [True] * 5
    rows = [row | {"rank": rank, "confirmed": known} for rank, known in enumerate(confirmed)]
    schema = AUDIT.schema
    for field in AUDIT.optional:
        schema = schema.append(field)
    table = pa.Table.from_pylist(rows, schema)
    of_set = suspects({"a.s": table}, 2, {"a.s": 0.1})["a.s"]
    assert (of_set.judged, of_set.confirmed, of_set.planted) == (19, 3, 0.1)
    assert (of_set.expected, of_set.worth) == (19 * 0.25, 0.5)
    assert (of_set.worth_of_more, of_set.num_more) == (25 * 0.25, 25)
    assert [crop.confirmed for crop in of_set.crops] == [True, True]


def test_a_swapped_label_is_told_with_both_names(blank):
    row = {"rank": 0, "image_id": "0", "image": blank, "kind": "swapped_label", "region": 0}
    row |= {"box": [5, 5, 9, 9], "hull": [5, 5, 9, 9], "suggested_box": [5, 5, 9, 9]}
    row |= {"support": 1.0, "uncertainty": 0.0, "score": 0.5, "label": "van"}
    rows = [row | {"suggested_label": "car"}]
    table = pa.Table.from_pylist(rows, AUDIT.schema_with(["label", "suggested_label"]))
    [crop] = suspects({"a.s": table}, 2, {})["a.s"].crops
    assert crop.words == (
        "Annotated as van; the model, which finds it in all of its answers, calls it car."
    )
    assert crop.annotated
