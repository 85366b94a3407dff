"""Prompts: what is asked, in whose frame, and what a teacher answers."""

from __future__ import annotations

import numpy as np
import pytest

from dipr1.frames import Frame
from dipr1.prompts import build_prompt, render_response
from dipr1.responses import parse_response

TINY = Frame.absolute(192, 144, 128, 128, fixed=True)


def test_tiny_is_asked_briefly():
    assert build_prompt(["person"], TINY) == [{"role": "user", "content": "Find every person."}]
    assert build_prompt(["car", "bus"], TINY)[0]["content"] == "Find every car and bus."
    boxes_alone = build_prompt(["person"], TINY, form="answer")
    assert boxes_alone == [{"role": "user", "content": "Find every person. Boxes only."}]


@pytest.mark.parametrize(
    ("frame", "coordinates"),
    [
        (Frame.absolute(640, 480, 644, 476), "pixels of the image, which is 644 x 476"),
        (Frame.thousandths(640, 480), "thousandths of the image's width and height, 0 to 1000"),
    ],
)
def test_a_real_policy_is_told_frame_labels_and_template(frame, coordinates):
    (message,) = build_prompt(["person", "rider"], frame)
    text = message["content"]
    assert message["role"] == "user"
    assert f"Coordinates are {coordinates};" in text
    assert 'labels "person", "rider"' in text
    for tag in ("think", "look", "answer"):
        assert f"<{tag}>" in text and f"</{tag}>" in text


def test_the_template_in_the_prompt_is_well_formed_once_filled_in():
    text = build_prompt(["person"], Frame.thousandths(1, 1))[0]["content"]
    template = text[text.index("<think>") : text.index("</answer>") + len("</answer>")]
    filled = template.replace("x1, y1, x2, y2", "1, 2, 3, 4").replace(", ...", "")
    assert parse_response(filled, ["person"]).well_formed


def test_an_answer_alone_is_asked_for_in_its_form():
    text = build_prompt(["person"], Frame.thousandths(1, 1), form="answer")[0]["content"]
    assert "think" not in text and "look" not in text
    template = text[text.index("<answer>") : text.index("</answer>") + len("</answer>")]
    filled = template.replace("x1, y1, x2, y2", "1, 2, 3, 4").replace(", ...", "")
    assert parse_response(filled, ["person"]).in_form("answer")


def test_an_answer_alone_is_rendered_without_the_other_steps():
    text = render_response("Two.", [[1, 2, 3, 4]], [[1, 2, 3, 4]], ["person"], form="answer")
    assert text == '<answer> [{"bbox_2d": [1, 2, 3, 4], "label": "person"}] </answer>'


# --- what a teacher answers -----------------------------------------------------------------------


def test_response_text_is_the_template_to_the_letter():
    text = render_response(
        "A crowd.",
        [[1, 2, 3, 4], [5, 6, 7, 8]],
        [[1.4, 2.6, 3, 4]],
        ["person"],
        whys=["overlap", 'a "sign"'],
    )
    assert text == (
        "<think> A crowd. </think>\n"
        '<look> [{"bbox_2d": [1, 2, 3, 4], "why": "overlap"},'
        ' {"bbox_2d": [5, 6, 7, 8], "why": "a \\"sign\\""}] </look>\n'
        '<answer> [{"bbox_2d": [1, 3, 3, 4], "label": "person"}] </answer>'
    )


@pytest.mark.parametrize("digits", [0, 2])
def test_a_rendered_response_parses_back(digits):
    boxes = np.array([[1.234, 5.678, 90.5, 100.0], [0, 0, 7, 8]])
    text = render_response("x", boxes[:1], boxes, ["person", "rider"], digits=digits)
    response = parse_response(text, ["person", "rider"])
    assert response.well_formed and not response.problems
    np.testing.assert_array_equal(response.answer.boxes, boxes.round(digits))
    np.testing.assert_array_equal(response.look.boxes, boxes[:1].round(digits))
    assert list(response.answer.labels) == ["person", "rider"]


def test_an_empty_response_parses_back():
    response = parse_response(render_response("Nobody.", [], [], []), ["person"])
    assert response.well_formed and len(response.answer.boxes) == 0


@pytest.mark.parametrize("extra", [{"labels": []}, {"whys": []}])
def test_labels_and_whys_must_be_as_many_as_boxes(extra):
    arguments = {"labels": ["person"], "whys": ["x"]} | extra
    with pytest.raises(ValueError, match="zip"):
        render_response("x", [[1, 2, 3, 4]], [[1, 2, 3, 4]], **arguments)
