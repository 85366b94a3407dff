"""What needs vLLM: `make test-vllm` runs it, in an environment of its own; elsewhere it is skipped.

On a CPU compiling takes longer than all the tests, and the engine is in the test's own process.
"""

from __future__ import annotations

import gc
import importlib.util
import os
from pathlib import Path

import pytest

os.environ.setdefault("TORCH_COMPILE_DISABLE", "1")
os.environ.setdefault("VLLM_CPU_KVCACHE_SPACE", "1")
os.environ.setdefault("VLLM_CPU_OMP_THREADS_BIND", "nobind")
os.environ.setdefault("VLLM_ENABLE_V1_MULTIPROCESSING", "0")
os.environ.setdefault("VLLM_NO_USAGE_STATS", "1")


def pytest_collection_modifyitems(items):
    """Mark the tests of this folder; pytest hands over all that there are."""
    there = importlib.util.find_spec("vllm") is not None
    for item in (item for item in items if item.path.is_relative_to(Path(__file__).parent)):
        item.add_marker(pytest.mark.filterwarnings("default"))  # other people's
        if not there:
            item.add_marker(pytest.mark.skip(reason="vLLM is not installed here: make test-vllm"))


@pytest.fixture(autouse=True)
def freed():
    """Let go of engines: each holds a gigabyte, and vLLM hides what it holds from the collector."""
    yield
    gc.unfreeze()
    gc.collect()
