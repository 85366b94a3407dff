"""CityPersons' miss rates from files, against plain loops."""

from __future__ import annotations

import pytest

from benchmarks import plain_evaluators
from dipr1.evaluation.protocols import official_figures
from dipr1.evaluation.protocols.citypersons_miss_rate import SUBSETS
from tests.unit.evaluation.protocols.benchmark_files import (
    citypersons_files,
    write,
)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("wrap_fault", [False, True])
def test_citypersons_equals_plain_loops(tmp_path, seed, wrap_fault):
    *paths, detections, people = citypersons_files(tmp_path, seed, certain_error=True)
    values = official_figures("citypersons", *paths, wrap_fault=wrap_fault)
    assert list(values) == ["Reasonable", "Reasonable_small", "Reasonable_occ=heavy", "All"]
    for name, subset in SUBSETS.items():
        expected = plain_evaluators.citypersons_miss_rate(
            detections, people, subset.heights, subset.visibilities, wrap_fault
        )
        assert values[name] == pytest.approx(expected, abs=1e-9)


def test_citypersons_fault_flatters_a_certain_error(tmp_path):
    *paths, _, _ = citypersons_files(tmp_path, 0, certain_error=True)
    right = official_figures("citypersons", *paths)
    wrapped = official_figures("citypersons", *paths, wrap_fault=True)
    assert wrapped["Reasonable"] < right["Reasonable"]


def test_citypersons_takes_heights_as_written(tmp_path):
    """24.04 + 40.0 - 24.04 is less than 40, the least height of a detection."""
    person = {"image_id": 1, "category_id": 1, "bbox": [0, 24.04, 20, 50.0], "height": 50}
    truth = {"images": [{"id": 1}], "annotations": [person | {"vis_ratio": 1.0}]}
    found = {"image_id": 1, "category_id": 1, "bbox": [0, 24.04, 20, 40.0], "score": 0.5}
    assert 24.04 + 40.0 - 24.04 < 40.0
    paths = write(tmp_path / "gt.json", truth), write(tmp_path / "dt.json", [found])
    assert official_figures("citypersons", *paths)["Reasonable"] == 0.0
