"""The workflow as a part of another one, which lies in a folder of its own."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from dipr1.config import load
from tests.workflow.conftest import PLACES, SHORT, Workflow, jobs
from tests.workflow.test_edits import added, planned
from tests.workflow.test_plan import expected_jobs

OUTER = """
configfile: "experiment.yaml"

module dipr1:
    snakefile: "{root}/Snakefile"
    config: config["dipr1"]

use rule * from dipr1 as {names}
"""
SPLIT = "crowdscenes/validation"


@pytest.fixture
def outer(root, tmp_path):
    """Another workflow, which uses this one, with its configuration."""

    def made(names: str = "*", clone: Path = root, **changes) -> tuple[Workflow, Path]:
        folder, file = tmp_path / "outer", tmp_path / "outer" / "experiment.yaml"
        folder.mkdir()
        (folder / "Snakefile").write_text(OUTER.format(root=clone, names=names))
        config = {"name": "test"} | yaml.safe_load((root / SHORT).read_text()) | changes
        file.write_text(yaml.safe_dump({"dipr1": config, "another": {}}, sort_keys=False))
        return Workflow(folder), file

    return made


@pytest.mark.parametrize(("names", "start"), [("*", ""), ("people_*", "people_")])
def test_all_of_it_is_planned(outer, root, tmp_path, names, start):
    another, config = outer(names)
    expected = {
        f"{start}{name}": count for name, count in expected_jobs(load(root / SHORT)).items()
    }
    expected["total"] = expected.pop(f"{start}total")
    assert jobs(another.run(tmp_path, "--dry-run", configfile=config)) == expected


def test_what_is_made_already_is_not_made_again(outer, undisturbed, planner):
    # so the commands, the digests of the code and the names are those of the workflow by itself
    another, config = outer()
    assert planned(planner, another, undisturbed, configfile=config) == set()


def test_the_data_rules_run_the_code_of_the_clone_that_is_named(outer, repository, tmp_path):
    # and not that which is installed where Snakemake is
    added("dipr1/verbs/convert.py", "print('another clone')\n")(repository)
    another, config = outer(clone=repository)
    targets = [f"{PLACES.own}/describe/{SPLIT}.html", f"{PLACES.own}/export/{SPLIT}.json"]
    another.run(tmp_path, *targets, configfile=config)
    assert all((tmp_path / target).is_file() for target in targets)
    [log] = tmp_path.glob("logs/shared/convert/crowdscenes.validation-*.log")
    assert "another clone" in log.read_text()


def test_a_wrong_configuration_is_one_line(outer, tmp_path):
    another, config = outer(num_shards=0)
    done = another.try_run(tmp_path, "--dry-run", configfile=config)
    assert done.returncode == 1
    assert f"{config}: num_shards: found 0" in done.stdout
    assert "Traceback" not in done.stdout
