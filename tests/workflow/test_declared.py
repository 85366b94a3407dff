"""What is said in two places says the same: schema, environments, lock, profiles, rules."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement

from dipr1.cli import VERBS, WITHOUT_RULE
from dipr1.config import options_page, schema_text


@pytest.fixture(scope="module")
def project(root):
    return tomllib.loads((root / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def rule_files(root):
    return {file.stem: file.read_text() for file in (root / "rules").glob("*.smk")}


def test_the_schema_is_the_one_of_the_models(root):
    written = (root / "workflow" / "schemas" / "config.schema.yaml").read_text()
    assert written == schema_text(), "run: python -m dipr1.config"


def test_the_page_of_options_is_the_one_of_the_models(root):
    written = (root / "docs" / "configuration.md").read_text(encoding="utf-8")
    assert written == options_page(), "run: python -m dipr1.config"


@pytest.mark.parametrize(
    ("environment", "extras"), [("data", []), ("train", ["train"]), ("vllm", ["train", "vllm"])]
)
def test_the_environments_list_what_the_project_requires(root, project, environment, extras):
    text = (root / "envs" / f"{environment}.yaml").read_text()
    declared = yaml.safe_load(text)
    assert declared["channels"] == ["conda-forge"]
    *conda, pip = declared["dependencies"]
    # conda takes the newest that it may: none on which the tests were not run
    assert conda == ["python >=3.11,<3.14", "pip"]
    required = project["dependencies"] + [
        line for extra in extras for line in project["optional-dependencies"][extra]
    ]
    if "vllm" in extras:  # it pins them itself
        required = [line for line in required if not line.startswith("torch")]
    assert pip["pip"] == required


def test_the_lock_fits_the_bounds(root, project):
    locked = dict(
        line.split("==")
        for line in (root / "constraints.txt").read_text().splitlines()
        if not line.startswith("#")
    )
    versions = {name.lower().replace("_", "-"): version for name, version in locked.items()}
    assert "dipr1" not in versions
    installed = ["workflow", "train", "test", "dev"]
    requirements = project["dependencies"] + [
        line for extra in installed for line in project["optional-dependencies"][extra]
    ]
    for line in requirements:
        requirement = Requirement(line)
        assert requirement.specifier.contains(versions[requirement.name.lower()]), line


def test_every_rule_is_a_verb_in_a_file_of_its_name(rule_files):
    rules = {
        file: re.findall(r"^rule (\w+):", text, re.MULTILINE) for file, text in rule_files.items()
    }
    assert rules.pop("common") == rules.pop("memory") == []
    steps = [verb for verb in VERBS if verb not in WITHOUT_RULE]
    assert rules == {verb: [verb] for verb in steps}
    for verb in steps:
        # what begins several processes is put together in a function
        assert f'"dipr1 {verb}' in rule_files["common" if verb == "train" else verb]


def test_no_import_of_our_own_hides_in_a_function(root):
    hidden = [
        f"{file.relative_to(root)}:{inner.lineno}"
        for file in (root / "dipr1").rglob("*.py")
        if file.parent.name != "verbs"
        for function in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(function, ast.FunctionDef)
        for inner in ast.walk(function)
        if isinstance(inner, ast.ImportFrom) and (inner.module or "").split(".")[0] == "dipr1"
    ]
    assert hidden == []


def test_the_profile_names_rules_that_exist(root):
    profile = yaml.safe_load((root / "workflow/profiles/slurm/profile.yaml").read_text())
    assert set(profile["set-resources"]) <= set(VERBS) - set(WITHOUT_RULE)


def test_captions_exist(root, rule_files):
    captions = re.findall(r'caption="\.\./([^"]+)"', "".join(rule_files.values()))
    assert captions
    for caption in captions:
        assert (root / caption).is_file()


@pytest.mark.parametrize("check", [["snakefmt", "--check", "Snakefile", "rules"]])
def test_the_rules_are_formatted(root, check):
    name, *arguments = check
    done = subprocess.run(
        [sys.executable, "-m", name, *arguments], cwd=root, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_snakemake_has_nothing_to_remark(workflow, tmp_path):
    assert "your workflow is in a good condition" in workflow.run(tmp_path, "--lint")


def test_no_command_of_the_documentation_has_its_target_taken_for_a_configuration(root):
    pages = [root / "README.md", root / "CONTRIBUTING.md", *(root / "docs").glob("*.md")]
    commands = [
        command
        for page in pages
        for command in re.findall(r"--configfile [^`\n]*", page.read_text(encoding="utf-8"))
    ]
    assert commands
    for command in commands:
        # it takes all words up to the next option
        assert re.match(r"--configfile \S+( +(-|#|\\|&&)|,|$)", command), command
