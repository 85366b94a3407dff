"""What is nearly JSON is read as what it means; the notes say what was wrong with it."""

from __future__ import annotations

import json
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dipr1.almost_json import NOTES, as_ascii, mend


@pytest.mark.parametrize(
    ("text", "value", "notes"),
    [
        ("[1, 2,]", [1, 2], ["trailing_comma"]),
        ("[1 2]", [1, 2], ["missing_comma"]),
        ("['it's here']", ["it's here"], ["single_quotes"]),
        ("[(1, 2), None]", [[1, 2], None], ["python_values"]),
        ("[{a: b}]", [{"a": "b"}], ["unquoted"]),
        ("[{a = 1}]", [{"a": 1}], ["unquoted"]),
        ("[007, +3, .5, 5.]", [7, 3, 0.5, 5], []),
        ("[[1]] [[2]]", [[1], [2]], ["several_lists"]),
        ("[], []", [], ["several_lists"]),
        ('["line\nbreak"]', ["line\nbreak"], []),
    ],
)
def test_what_is_meant(text, value, notes):
    assert mend(text) == (value, notes)


@pytest.mark.parametrize(
    "text",
    ["", "nobody", "[no people]", "[1, 2", "[1}", "{1: [}", "[1,,2]", "Here: [1]", '["a'],
)
def test_what_has_no_plain_meaning_is_not_guessed(text):
    assert mend(text) == (None, [])


def test_full_width_letters_stay_where_nothing_is_full_width():
    assert as_ascii("［１，２］") == ("[1,2]", ["full_width"])
    assert as_ascii("[1, 2]") == ("[1, 2]", [])


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-999, 999) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner),
    max_leaves=8,
)


@given(st.lists(VALUES, max_size=4))
def test_json_stays_what_it_is(value):
    assert mend(json.dumps(value)) == (value, [])


@given(st.text("[]{}(),:'\"ab1. \n=-", max_size=60))
def test_any_text_has_a_result(text):
    value, notes = mend(text)
    assert set(notes) <= set(NOTES)
    assert value is not None or notes == []


def test_long_texts_take_little_time():
    started = time.perf_counter()
    for piece in ("'", '"', "['", "a:", "[(", "[1 ", "{a:"):
        mend(piece * 50_000)
    assert time.perf_counter() - started < 2.0
