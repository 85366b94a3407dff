"""All protocols alike: nothing to find, nothing found, options of another one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from dipr1.errors import UserError
from dipr1.evaluation.protocols import PROTOCOLS, official_figures
from tests.unit.evaluation.protocols.benchmark_files import (
    lines,
    write,
)


def empty_files(folder: Path, protocol: str, with_truth: bool) -> tuple[str, str]:
    """One image, one object or none, no detection."""
    if protocol == "uavdt":
        (folder / "gt").mkdir()
        (folder / "dt").mkdir()
        write(folder / "dt" / "M0101.txt", "")
        write(folder / "gt" / "M0101_gt_whole.txt", "1,1,0,0,9,90,1,1,1\n" if with_truth else "")
        return str(folder / "gt"), str(folder / "dt")
    person = {"image_id": 1, "category_id": 1, "bbox": [0, 0, 40, 90], "height": 90}
    document: object = {
        "images": [{"id": 1}],
        "annotations": [person | {"vis_ratio": 1}] if with_truth else [],
        "categories": [{"id": 1}],
    }
    answers: object = []
    if protocol == "crowdhuman":
        people = [{"tag": "person", "fbox": [1, 2, 3, 4]}] if with_truth else []
        document, answers = lines([{"ID": "a", "gtboxes": people}]), ""
    elif protocol == "wider":
        document, answers = "a.jpg 1 0 0 9 90" if with_truth else "a.jpg", ""
    return write(folder / "truth", document), write(folder / "answers", answers)


NOTHING_FOUND = {
    "crowdhuman": [0.0, 1.0, 0.0],
    "citypersons": [100.0, math.nan, math.nan, 100.0],
    "coco": [0.0, 0.0, 0.0, -1.0, 0.0, -1.0, 0.0, 0.0, 0.0, -1.0, 0.0, -1.0],
    "wider": [0.0],
    "uavdt": [0.0],
}


def nothing_of(protocol: str, folder: Path, with_truth: bool) -> list[float]:
    return list(official_figures(protocol, *empty_files(folder, protocol, with_truth)).values())


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_found(tmp_path, protocol):
    values = nothing_of(protocol, tmp_path, with_truth=True)
    assert values == pytest.approx(NOTHING_FOUND[protocol], nan_ok=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_nothing_to_find(tmp_path, protocol):
    values = nothing_of(protocol, tmp_path, with_truth=False)
    undefined = -1.0 if protocol == "coco" else math.nan
    assert values == pytest.approx([undefined] * len(values), nan_ok=True)


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("option", ["ignore", "wrap_fault"])
def test_an_option_of_another_protocol_is_refused(tmp_path, protocol, option):
    truth, answers = empty_files(tmp_path, protocol, with_truth=True)
    areas = {"ignore": write(tmp_path / "areas.txt", ""), "wrap_fault": True}
    if PROTOCOLS[protocol].option == option:
        official_figures(protocol, truth, answers, **{option: areas[option]})
    else:
        with pytest.raises(UserError, match=f"is only for .*, not {protocol}"):
            official_figures(protocol, truth, answers, **{option: areas[option]})
