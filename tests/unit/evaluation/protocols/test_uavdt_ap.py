"""UAVDT's average precision from files, against plain loops."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from benchmarks import plain_evaluators
from dipr1.errors import UserError
from dipr1.evaluation.protocols import official_figures
from dipr1.evaluation.protocols.uavdt_ap import UAVDT_TEST
from tests.unit.evaluation.protocols.benchmark_files import (
    detections_of,
    random_boxes,
    write,
    xyxy,
)

FRAMES = "M0101", "M0203"


def uavdt_folders(folder: Path, seed: int, comma: str) -> tuple[str, str, tuple]:
    rng = np.random.default_rng(seed)
    plain: tuple[dict, dict, dict] = ({}, {}, {})
    for sequence in FRAMES:
        rows: tuple[list, list, list] = ([], [], [])
        for frame in rng.permutation(15) + 1:
            vehicles = random_boxes(rng, int(rng.integers(0, 6)))
            areas = random_boxes(rng, int(rng.integers(0, 3)))
            found = detections_of(rng, vehicles)
            key = (sequence, int(frame))
            plain[0][key] = [xyxy(box, score) for box, score in found]
            plain[1][key] = [xyxy(box) for box in vehicles]
            plain[2][key] = [xyxy(box) for box in areas]
            rows[0].extend([frame, -1, *box, score, 1, -1] for box, score in found)
            rows[1].extend([frame, 1, *box, 1, 1, 2] for box in vehicles)
            rows[2].extend([frame, 1, *box, 1, -1, -1] for box in areas)
        for name, part in zip((".txt", "_gt_whole.txt", "_gt_ignore.txt"), rows, strict=True):
            place = folder / ("dt" if name == ".txt" else "gt")
            place.mkdir(exist_ok=True)
            text = "\n".join(comma.join(map(str, row)) for row in part)
            write(place / f"{sequence}{name}", text)
    return str(folder / "gt"), str(folder / "dt"), plain


@pytest.mark.parametrize(("seed", "comma"), [(0, ","), (1, ", "), (2, " ")])
def test_uavdt_equals_plain_loops(tmp_path, seed, comma):
    truth, answers, plain = uavdt_folders(tmp_path, seed, comma)
    expected = plain_evaluators.uavdt_ap(*plain)
    assert 5 < expected < 95
    values = official_figures("uavdt", truth, answers)
    assert values == {"AP_overall": pytest.approx(expected, abs=1e-9)}


def test_uavdt_reads_gt_where_gt_whole_is_missing(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    before = official_figures("uavdt", truth, answers)
    for name in FRAMES:
        (Path(truth) / f"{name}_gt_whole.txt").rename(Path(truth) / f"{name}_gt.txt")
    assert official_figures("uavdt", truth, answers) == before


def test_uavdt_wants_all_sequences_of_the_test_set(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    assert FRAMES[1] in UAVDT_TEST
    (Path(answers) / f"{FRAMES[1]}.txt").unlink()
    with pytest.raises(UserError, match=r"M0203.txt is missing \(1 such"):
        official_figures("uavdt", truth, answers)
    write(Path(answers) / f"{FRAMES[1]}.txt", "")
    assert official_figures("uavdt", truth, answers)["AP_overall"] > 0
    write(Path(answers) / "M9999.txt", "")
    with pytest.raises(UserError, match="has no M9999_gt_whole.txt"):
        official_figures("uavdt", truth, answers)


def test_uavdt_names_the_bad_line(tmp_path):
    truth, answers, _ = uavdt_folders(tmp_path, 3, ",")
    path = Path(answers) / f"{FRAMES[0]}.txt"
    path.write_text("1,-1,5,5,9,9,0.5\n\n1,-1,5,5,9,9\n")
    with pytest.raises(UserError, match="M0101.txt: line 3: expected 7 numbers: 1,-1,5,5,9,9"):
        official_figures("uavdt", truth, answers)


@pytest.mark.parametrize("missing", ["gt", "dt"])
def test_uavdt_empty_folders(tmp_path, missing):
    uavdt_folders(tmp_path, 3, ",")
    for file in (tmp_path / missing).iterdir():
        file.unlink()
    with pytest.raises(UserError, match=f"{missing}: no file like M0203"):
        official_figures("uavdt", str(tmp_path / "gt"), str(tmp_path / "dt"))
