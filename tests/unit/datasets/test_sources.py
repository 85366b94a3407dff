"""The catalogue of known data sets states only what a page states."""

from __future__ import annotations

import re

import pytest

from dipr1.datasets import formats
from dipr1.datasets.sources import SOURCES


@pytest.mark.parametrize("name", SOURCES)
def test_the_catalogue_states_only_what_a_page_states(name):
    source = SOURCES[name]
    assert source.format in formats.NAMES
    assert "http" in source.page
    assert "http" in source.licence
    for archive in source.archives:
        assert archive.cited.startswith("http")
        assert archive.url is None or archive.url.rsplit("/", 1)[1] == archive.name
        assert archive.sha256 is None or re.fullmatch("[0-9a-f]{64}", archive.sha256)
        assert archive.sha256 is None or archive.size is not None


def test_every_data_set_that_is_known_is_in_the_catalogue():
    assert {source.format for source in SOURCES.values()} == {
        *("caltech", "citypersons", "coco", "crowdhuman", "eurocity", "kitti", "mot", "pennfudan"),
        *("uavdt", "visdrone", "voc", "wider"),
    }
