"""The flawed teacher: its responses are in form, except on some empty streets."""

from __future__ import annotations

import numpy as np

from dipr1.demo.scenes import scene
from dipr1.demo.teacher import teach
from dipr1.responses import parse_response


def test_teacher_is_well_formed_but_for_empty_streets():
    rng = np.random.default_rng(0)
    malformed = []
    for index in range(150):
        drawn = scene(index, seed=9, style="street")
        text, boxes = teach(drawn, rng)
        parsed = parse_response(text, labels=["person"])
        assert parsed.well_formed or not len(drawn.boxes)
        malformed.append(not parsed.well_formed)
        assert len(boxes) == len(drawn.boxes)
    assert 0 < sum(malformed) < 15
