"""What unit tests of several rooms share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.unit.qwen import make_checkpoint, make_prompts


@pytest.fixture(scope="session")
def qwen(tmp_path_factory) -> Path:
    """The checkpoint folder of a policy of another family than the tiny one."""
    pytest.importorskip("torch")
    folder = tmp_path_factory.mktemp("qwen2_5_vl")
    make_checkpoint(folder)
    return folder


@pytest.fixture(scope="session")
def qwen_prompts(qwen, tmp_path_factory) -> list[dict]:
    """Four rows of the prompts artifact for that policy, their images of different shapes."""
    return make_prompts(qwen, tmp_path_factory.mktemp("images"))
