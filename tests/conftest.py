"""What all tests share: where the repository and the real data are."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Keep together what shares costly fixtures, where tests run in several processes.

    These are the tests of a file, and all that look at the one run of the whole workflow.
    """
    if config.pluginmanager.hasplugin("xdist"):
        for item in items:
            of_the_run = "undisturbed" in getattr(item, "fixturenames", ())
            group = "undisturbed" if of_the_run else item.path.relative_to(ROOT).as_posix()
            item.add_marker(pytest.mark.xdist_group(group))


@pytest.fixture(scope="session")
def root() -> Path:
    """The repository's root."""
    return ROOT


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of real data beside the repository; tests that need it are skipped without."""
    folder = ROOT.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip("the real data are not here (../shared/data)")
    return folder
