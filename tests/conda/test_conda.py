"""The workflow in conda environments, in folders that are not the project's."""

from __future__ import annotations

import pytest

from dipr1.config import load
from tests.conda.conftest import InConda
from tests.workflow.conftest import PLACES, SHORT, jobs
from tests.workflow.test_edits import added
from tests.workflow.test_plan import expected_jobs

SPLIT = "crowdscenes/validation"
PROMPTS = PLACES.path("prompts", *SPLIT.split("/"))
DATA = [PROMPTS, f"{PLACES.own}/describe/{SPLIT}.html", f"{PLACES.own}/export/{SPLIT}.json"]
NOTHING = "Nothing to be done"
SAY_WHERE = "import sys\nprint('in', sys.prefix, 'of', __file__)\n"


def environments(conda: InConda) -> list[str]:
    """The environments that there are, by the content of their files."""
    return sorted(file.read_text() for file in (conda.folder / "environments").glob("*.yaml"))


@pytest.fixture(scope="session")
def data(conda, tmp_path_factory):
    """A folder in which the rules that need no policy have run."""
    folder = tmp_path_factory.mktemp("data")
    conda.run(folder, *DATA)
    return folder


def test_data_rules_run_in_an_environment_of_their_own(conda, data, root):
    assert environments(conda) == [(root / "envs" / "data.yaml").read_text()]
    assert all((data / name).is_file() for name in DATA)


def test_data_are_the_same_without_conda(data, workflow, tmp_path):
    workflow.run(tmp_path, *DATA)
    for name in DATA:
        assert (tmp_path / name).read_bytes() == (data / name).read_bytes()


def test_data_are_made_once(conda, data):
    assert NOTHING in conda.run(data, *DATA)


def test_data_of_another_clone_are_made_by_its_code_in_the_same_environment(
    conda, data, repository, tmp_path
):
    added("dipr1/verbs/convert.py", SAY_WHERE)(repository)
    before = environments(conda)
    InConda(repository, conda.folder).run(tmp_path, PROMPTS)
    [log] = tmp_path.glob("logs/shared/convert/crowdscenes.validation-*.log")
    said = log.read_text()
    assert f"in {conda.folder}/environments/" in said
    assert f"of {repository}/dipr1/verbs/convert.py" in said
    assert environments(conda) == before


def test_the_image_with_the_environments(conda, root, tmp_path):
    output = conda.run(tmp_path, "--containerize")
    lines = output[output.index("FROM ") :].splitlines()
    for name in ("data", "train"):
        copied = [line for line in lines if line.endswith("/environment.yaml")]
        source, target = next(line.split()[1:] for line in copied if f"/{name}.yaml" in line)
        assert (tmp_path / source).resolve() == root / "envs" / f"{name}.yaml"
        prefix = target.removesuffix("/environment.yaml")
        assert any(f"conda env create --prefix {prefix} --file {target}" in line for line in lines)
    described = [line.removeprefix("#   ") for line in lines if line.startswith("#   ")]
    assert not any("../" in line for line in described if line.lstrip().startswith("- "))


def test_the_whole_workflow_runs(conda, root, tmp_path):
    assert jobs(conda.run(tmp_path)) == expected_jobs(load(root / SHORT))
    assert (tmp_path / PLACES.own / "report/index.html").is_file()
    assert len(environments(conda)) == 2
    assert NOTHING in conda.run(tmp_path)
