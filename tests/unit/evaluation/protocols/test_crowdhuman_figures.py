"""CrowdHuman's figures from files, against plain loops."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from benchmarks import plain_evaluators
from dipr1.errors import UserError
from dipr1.evaluation.protocols import official_figures
from tests.unit.evaluation.protocols.benchmark_files import (
    detections_of,
    lines,
    random_boxes,
    write,
    xyxy,
)


def crowdhuman_files(folder: Path, seed: int, num_images: int = 20) -> tuple[str, str, list]:
    rng = np.random.default_rng(seed)
    truth, answers, plain = [], [], []
    for number in range(num_images):
        people = random_boxes(rng, int(rng.integers(0, 8)))
        areas = random_boxes(rng, int(rng.integers(0, 3)))
        found = detections_of(rng, people)
        gtboxes = [{"tag": "person", "fbox": box, "extra": {"occ": 0}} for box in people]
        for kind, box in enumerate(areas):
            tag = ("mask", "person")[kind % 2]
            gtboxes.insert(0, {"tag": tag, "extra": {"ignore": 1}, "fbox": box})
        truth.append({"ID": f"{number},a", "gtboxes": gtboxes})
        boxes = [{"box": box, "score": score, "tag": 1} for box, score in found]
        answers.append({"ID": f"{number},a", "height": 300, "width": 280, "dtboxes": boxes})
        plain.append(
            (
                [xyxy(box, score) for box, score in found],
                [xyxy(box) for box in people],
                [xyxy(box) for box in areas],
                (280, 300),
            )
        )
    order = rng.permutation(num_images)
    return (
        write(folder / "gt.odgt", lines(truth)),
        write(folder / "dt.odgt", lines([answers[row] for row in order])),
        [list(part) for part in zip(*plain, strict=True)],
    )


@pytest.mark.parametrize("seed", range(3))
def test_crowdhuman_equals_plain_loops(tmp_path, seed):
    pytest.importorskip("networkx", reason="the plain loops match with networkx")
    truth, answers, plain = crowdhuman_files(tmp_path, seed)
    values = official_figures("crowdhuman", truth, answers)
    expected = plain_evaluators.crowdhuman_ap_mr(*plain)
    assert list(values) == ["AP", "MR", "JI"]
    assert values["AP"] == pytest.approx(expected[0], abs=1e-12)
    assert values["MR"] == pytest.approx(expected[1], abs=1e-12)
    assert values["JI"] == pytest.approx(plain_evaluators.crowdhuman_ji(*plain), abs=1e-12)


def test_crowdhuman_images_without_a_record_are_images_without_detections(tmp_path, capsys):
    truth, answers, plain = crowdhuman_files(tmp_path, 7)
    plain[0][0] = []
    kept = [line for line in Path(answers).read_text().splitlines() if '"0,a"' not in line]
    answers = write(tmp_path / "fewer.odgt", "\n".join(kept) + "\n\n")
    values = official_figures("crowdhuman", truth, answers)
    assert values["MR"] == pytest.approx(plain_evaluators.crowdhuman_ap_mr(*plain)[1], abs=1e-12)
    assert "1 of 20 images have no record" in capsys.readouterr().err


def test_crowdhuman_sizes_of_the_ground_truth_come_first(tmp_path):
    person = {"tag": "person", "fbox": [90, 10, 10, 30]}
    box = {"box": [90, 10, 60, 30], "score": 0.7}  # the person, once it is clipped to 100 pixels
    records = [{"ID": name, "gtboxes": [person]} for name in "abc"]
    answers = [{"ID": name, "dtboxes": [box], "width": 100, "height": 80} for name in "abc"]
    truth = write(tmp_path / "gt.odgt", lines(records))
    plain = official_figures("crowdhuman", truth, write(tmp_path / "dt.odgt", lines(answers)))
    records[0] |= {"width": 100, "height": 80}
    answers[0] |= {"width": 500}
    truth = write(tmp_path / "gt.odgt", lines(records))
    assert (
        official_figures("crowdhuman", truth, write(tmp_path / "dt.odgt", lines(answers))) == plain
    )
    del answers[0]["width"]
    assert (
        official_figures("crowdhuman", truth, write(tmp_path / "dt.odgt", lines(answers))) == plain
    )
    records[0]["height"] = "tall"
    truth = write(tmp_path / "gt.odgt", lines(records))
    with pytest.raises(UserError, match="gt.odgt: line 1: `height`: expected a finite number"):
        official_figures("crowdhuman", truth, str(tmp_path / "dt.odgt"))


GOOD_PERSON = {"tag": "person", "fbox": [1, 2, 3, 4]}


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"ID": "a", ', "line 2: not JSON"),
        ('["a"]', "line 2: expected an object with a text `ID`"),
        ('{"ID": 3, "dtboxes": []}', "line 2: expected an object with a text `ID`"),
        ('{"ID": "b"}', "a list `dtboxes`"),
        ('{"ID": "a", "dtboxes": [], "width": 9, "height": 9}', "image 'a' is there already"),
        ('{"ID": "c", "dtboxes": [], "width": 9, "height": 9}', "image 'c' is not in"),
        ('{"ID": "b", "dtboxes": [], "width": 9}', "line 2: `height`: expected a finite number"),
        ('{"ID": "b", "dtboxes": [], "width": 9, "height": "x"}', "but got x"),
        (
            '{"ID": "b", "width": 9, "height": 9, "dtboxes":'
            ' [{"box": [1, 2, 3, 4], "score": 0.5}, {"box": [1, 2, 3], "score": 0.5}]}',
            "line 2, box 2: `box`: expected 4 finite numbers, but got [1, 2, 3]",
        ),
        (
            '{"ID": "b", "width": 9, "height": 9, "dtboxes": [{"box": [1, 2, 3, 4]}]}',
            "line 2, box 1: `score`: expected a finite number, but there is none",
        ),
        ('{"ID": "b", "width": 9, "height": 9, "dtboxes": [7]}', "but the record is 7"),
    ],
)
def test_crowdhuman_names_the_bad_line(tmp_path, line, message):
    records = [{"ID": name, "gtboxes": [GOOD_PERSON]} for name in ("a", "b")]
    truth = write(tmp_path / "gt.odgt", lines(records))
    good = {"ID": "a", "width": 9, "height": 9, "dtboxes": []}
    answers = write(tmp_path / "dt.odgt", json.dumps(good) + "\n" + line)
    with pytest.raises(UserError, match="dt.odgt") as error:
        official_figures("crowdhuman", truth, answers)
    assert message in str(error.value)
    assert "\n" not in str(error.value)
