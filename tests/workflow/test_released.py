"""What a fork and a release run: images, GitHub's workflows, the check of a tag."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.specifiers import SpecifierSet

from dipr1 import __version__

# what an image needs of a clone; the package finds its own files
NEEDED = {"dipr1", "envs", "rules", "workflow", "Snakefile", "config.yaml", "constraints.txt"}
NEEDED |= {"pyproject.toml", "README.md", "LICENSE"}


def supported(root) -> SpecifierSet:
    project = tomllib.loads((root / "pyproject.toml").read_text())["project"]
    return SpecifierSet(project["requires-python"])


def test_both_images_hold_what_runs(root):
    kept = (root / "containers" / "Dockerfile.dockerignore").read_text().splitlines()
    assert {line[1:] for line in kept if line.startswith("!")} == NEEDED
    definition = (root / "containers" / "dipr1.def").read_text()
    files = definition.partition("%files\n")[2].partition("\n\n")[0].split()
    assert dict(zip(files[::2], files[1::2], strict=True)) == {
        name: f"/opt/dipr1/{name}" for name in NEEDED
    }
    for name in NEEDED:
        assert (root / name).exists()


def test_both_images_are_of_one_python_and_installed_alike(root):
    texts = [(root / "containers" / name).read_text() for name in ("Dockerfile", "dipr1.def")]
    (python,) = {re.search(r"python:(3\.\d+)", text)[1] for text in texts}
    assert python in supported(root)
    for text in texts:
        assert "--constraint constraints.txt" in text
        assert "--editable '.[workflow,train]'" in text


def test_ci_runs_what_is_run_here_on_every_python(root):
    jobs = yaml.safe_load((root / ".github" / "workflows" / "ci.yml").read_text())["jobs"]
    assert {"run": "bash .ci/run"} in jobs["run"]["steps"]
    pythons = jobs["package"]["strategy"]["matrix"]["python"]
    minors = [f"3.{minor}" for minor in range(8, 30)]
    assert pythons == [minor for minor in minors if minor in supported(root)]
    classifiers = tomllib.loads((root / "pyproject.toml").read_text())["project"]["classifiers"]
    assert [f"Programming Language :: Python :: {minor}" for minor in pythons] == [
        line for line in classifiers if re.search(r":: 3\.\d+$", line)
    ]


@pytest.fixture
def clone(root, tmp_path):
    """The files that a release is checked by, with a changelog that knows it."""
    for name in (".github/release.py", "dipr1/__init__.py", "CITATION.cff"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(root / name, tmp_path / name)
    sections = (
        ("[Unreleased]", "later"),
        (f"[{__version__}] - 2026-01-01", "this"),
        ("[0.0.1]", "old"),
    )
    log = "\n".join(f"## {title}\n- {text}\n" for title, text in sections)
    (tmp_path / "CHANGELOG.md").write_text(log)
    return tmp_path


def release(clone, tag: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, ".github/release.py", tag]
    return subprocess.run(command, cwd=clone, capture_output=True, text=True, check=False)


def test_a_release_says_what_the_changelog_does(clone):
    done = release(clone, f"v{__version__}")
    assert (done.returncode, done.stdout) == (0, "- this\n"), done.stderr


@pytest.mark.parametrize(
    ("file", "old", "new", "told"),
    [
        ("dipr1/__init__.py", __version__, "9.9.9", "tag it v9.9.9"),
        ("CITATION.cff", f"version: {__version__}", "version: 9.9.9", "CITATION.cff: version 9.9"),
        ("CHANGELOG.md", f"[{__version__}]", "[9.9.9]", "CHANGELOG.md: nothing like"),
    ],
)
def test_a_release_that_disagrees_with_its_tag_is_refused(clone, file, old, new, told):
    text = (clone / file).read_text()
    (clone / file).write_text(text.replace(old, new))
    done = release(clone, f"v{__version__}")
    assert done.returncode == 1
    assert told in done.stderr
    assert done.stderr.count("\n") == 1
