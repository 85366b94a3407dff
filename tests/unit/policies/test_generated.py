"""How likely the policy thought a box: the mean over the tokens of its numbers."""

from __future__ import annotations

import numpy as np

from dipr1.policies.generated import Generated, box_confidence, box_log_likelihood


def generated(pieces: list[str], probabilities: list[float]) -> Generated:
    ends = np.cumsum([len(piece) for piece in pieces])
    return Generated("".join(pieces), len(pieces), ends, np.array(probabilities))


def test_confidence_is_the_mean_over_the_numbers_of_each_box():
    pieces = ["<look> [] </look><answer> [[", "1", ", ", "2", ", ", "3", ", ", "4", "], ["]
    pieces += ["5", ", ", "6", "7", ", ", "8", ", ", "9", "]] </answer>"]
    chances = [0.0, 0.5, 0.0, 0.7, 0.0, 0.9, 0.0, 0.3, 0.0]
    chances += [0.2, 0.0, 0.4, 0.6, 0.0, 0.2, 0.0, 0.3, 0.0]
    confidence = box_confidence(generated(pieces, chances), 2)
    # the second box has a number of two tokens: their mean counts for it
    np.testing.assert_allclose(confidence, [0.6, (0.2 + 0.5 + 0.2 + 0.3) / 4], rtol=1e-6)


def test_confidence_without_boxes_or_with_boxes_that_needed_repair():
    response = generated(["<answer>", " [] ", "</answer>"], [0.5, 0.7, 0.9])
    assert box_confidence(response, 0).shape == (0,)
    np.testing.assert_allclose(box_confidence(response, 2), [0.7, 0.7])


def test_log_likelihood_is_the_mean_over_the_tokens_of_each_box():
    pieces = ["<answer> [[", "1", ", ", "2", "5", ", ", "3", ", ", "4", "]] </answer>"]
    chances = [0.0, 0.5, 0.0, 0.25, 1.0, 0.0, 0.125, 0.0, 1.0, 0.0]
    log_likelihood = box_log_likelihood(generated(pieces, chances), 1)
    np.testing.assert_allclose(log_likelihood, [np.log(2.0**-6) / 5], rtol=1e-6)
    assert box_log_likelihood(generated(pieces, chances), 0).shape == (0,)


def test_log_likelihood_of_boxes_that_needed_repair_is_that_of_the_response():
    response = generated(["<answer>", " [] ", "</answer>"], [0.5, 0.5, 0.25])
    np.testing.assert_allclose(box_log_likelihood(response, 2), [np.log(2.0**-4) / 3] * 2)
    never = generated(["<answer>", " [] "], [1.0, 0.0])
    assert np.isfinite(box_log_likelihood(never, 1)).all()
